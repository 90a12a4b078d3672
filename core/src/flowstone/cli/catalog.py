"""`flowstone catalog`: lists the contents of installed packages, and packages to install."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from flowstone.cli.commands import Commands
from flowstone.cli.output import emit, json_option, show, warn
from flowstone.cli.views import Cell, Facts, Row, Table
from flowstone.errors import UnknownName
from flowstone.plugins import catalog as offered
from flowstone.plugins import format_kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowstone.cli.sheets import Input, Sheet
    from flowstone.cli.views import View
    from flowstone.plugins.catalog import Offer


@click.group(cls=Commands)
def catalog() -> None:
    """List and show the block types, tasks and other objects of installed packages."""


@catalog.command("ls")
@click.argument("text", required=False, default="")
@click.option("--kind", help="Only this kind, such as block or task.")
@json_option
def list_offers(text: str, kind: str | None, as_json: bool) -> None:
    """List the objects of installed packages, or those that match TEXT.

    TEXT is a part of the name of an object or package. The objects are not imported. Known packages
    that are not installed are listed, too.
    """
    found = [
        offer
        for each in _find_kinds(kind)
        for offer in offered.offers(each)
        if text.lower() in f"{offer.name} {offer.plugin.distribution}".lower()
    ]
    absent = {
        name: what
        for name, what in offered.list_absent().items()
        if text.lower() in f"{name} {what}".lower()
    }
    if as_json:
        known = [{"package": name, "what": what} for name, what in absent.items()]
        emit({"offers": [_describe(offer) for offer in found], "not_installed": known})
        return
    views: list[View] = [_make_table(found, text)]
    if absent:
        views.append(_make_absent_table(absent))
    show(*views)
    broken = [plugin.distribution for plugin in offered.plugins() if plugin.error]
    if broken:
        warn(f"\nBroken, so what they offer is missing: {', '.join(broken)}. See `plugin ls`.")


def _find_kinds(kind: str | None) -> Sequence[str]:
    known = offered.kinds()
    if kind is None:
        return known
    found = [each for each in known if kind in {each, format_kind(each)}]
    if not found:
        problem = f"{kind!r} is not one of {', '.join(map(format_kind, known))}"
        raise click.BadParameter(problem, param_hint="--kind")
    return found


def _make_table(found: list[Offer], text: str) -> Table:
    rows = [
        Row(
            (
                Cell(offer.name, "bold"),
                Cell(format_kind(offer.kind)),
                Cell(f"{offer.plugin.distribution} {offer.plugin.version}"),
            )
        )
        for offer in found
    ]
    empty = f"No installed object has {text!r} in its name." if text else "There are no objects."
    return Table(("name", "kind", "package"), rows, empty=empty)


def _make_absent_table(absent: dict[str, str]) -> Table:
    rows = [
        Row((Cell(name, "dim"), Cell(what, "dim"), Cell(f"pip install {name}")))
        for name, what in absent.items()
    ]
    return Table(("not installed", "provides", "command"), rows)


def _describe(offer: Offer) -> dict[str, object]:
    return {
        "name": offer.name,
        "kind": offer.kind,
        "package": offer.plugin.distribution,
        "version": offer.plugin.version,
        "target": offer.target,
    }


@catalog.command("show")
@click.argument("name")
@click.option("--kind", help="Its kind, if a block and a task have the same name.")
@json_option
def show_offer(name: str, kind: str | None, as_json: bool) -> None:
    """Show the purpose of NAME, and its fields or parameters.

    Only NAME is imported.
    """
    # Takes 150 ms, for pydantic, which a list doesn't need.
    from flowstone.cli.sheets import make_sheet

    sheets = [make_sheet(offer) for offer in _find_offers(name, kind)]
    if as_json:
        emit([asdict(each) for each in sheets])
    else:
        show(*[view for each in sheets for view in _make_views(each)])


def _find_offers(name: str, kind: str | None) -> list[Offer]:
    """Return the offers with a name; for a broken plugin, raise the plugin's own error."""
    kinds = _find_kinds(kind)
    found = [offer for each in kinds for offer in offered.offers(each) if offer.name == name]
    if found:
        return found
    unknown: UnknownName | None = None
    for each in kinds:
        try:
            return [offered.offer(each, name)]
        except UnknownName as error:
            unknown = unknown or error
    everything = [offer.name for each in kinds for offer in offered.offers(each)]
    kind = format_kind(kind) if kind else "block, task or other object"
    near = UnknownName(kind, name, everything, unknown.package if unknown else None)
    for note in getattr(unknown, "__notes__", ()):
        near.add_note(note)
    raise near


def _make_views(told: Sheet) -> list[View]:
    facts = [
        (format_kind(told.kind), Cell(told.name, "bold")),
        ("what", Cell(told.summary)),
        ("where", Cell(told.target.replace(":", "."))),
        ("package", Cell(f"{told.package} {told.version}")),
        ("install", Cell(told.install)),
        ("returns", Cell(told.returns)),
        ("notes", Cell(told.notes)),
        ("example", Cell(told.example)),
    ]
    views: list[View] = [Facts([(name, cell) for name, cell in facts if cell.text])]
    if told.inputs:
        columns = ("field" if told.kind == "block" else "parameter", "type", "default", "what")
        views.append(Table(columns, [_make_row(each) for each in told.inputs]))
    return views


def _make_row(each: Input) -> Row:
    default = Cell("required", "yellow") if each.default is None else Cell(each.default)
    return Row((Cell(each.name, "bold"), Cell(each.type), default, Cell(each.description)))
