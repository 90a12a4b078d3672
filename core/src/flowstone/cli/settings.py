"""`flowstone settings`: shows every setting, and the source of its value."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from flowstone.cli.output import emit, json_option, show, warn
from flowstone.cli.views import Cell, Row, Table
from flowstone.records.redaction import MASK
from flowstone.settings import explain_settings, find_misspelt

if TYPE_CHECKING:
    from flowstone.settings import SettingSource


@click.command("settings")
@json_option
def show_settings(as_json: bool) -> None:
    """Show each setting, its value, and the source of the value.

    Secrets are masked. Misspelt variables cause a warning. Exits with 1 if the value of a variable
    is invalid.
    """
    found, misspelt = explain_settings(), find_misspelt()
    if as_json:
        emit({"settings": [_describe(each) for each in found], "misspelt": misspelt})
    else:
        show(Table(("variable", "value", "from"), [_make_row(each) for each in found], "problem"))
        for wrong, right in misspelt.items():
            warn(f"{wrong} is not a setting. Did you mean {right}?")
    if any(each.problem for each in found):
        sys.exit(1)


def _describe(setting: SettingSource) -> dict[str, object]:
    value = setting.value
    if setting.is_secret:
        value = MASK if setting.is_set else None
    elif not isinstance(value, str | bool | int | float | tuple | None):
        value = str(value)
    return {
        "variable": setting.variable,
        "name": setting.name,
        "value": value,
        "from": "environment" if setting.is_set else "default",
        "problem": setting.problem,
    }


def _make_row(setting: SettingSource) -> Row:
    is_own = setting.is_set and not setting.problem
    cells = (
        Cell(setting.variable, "bold" if setting.is_set else ""),
        Cell(_format_value(setting)),
        Cell("environment" if is_own else "default", "cyan" if is_own else "dim"),
    )
    return Row(cells, Cell(setting.problem, "red") if setting.problem else None)


def _format_value(setting: SettingSource) -> str:
    value = setting.value
    if setting.is_secret:
        return MASK if setting.is_set else "-"
    if value is None or value == ():
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
