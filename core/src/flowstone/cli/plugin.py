"""`flowstone plugin`: lists and shows installed plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from flowstone.cli.commands import Commands
from flowstone.cli.output import emit, json_option, show, warn
from flowstone.cli.views import Cell, Facts, Row, Table
from flowstone.cli.wording import format_count
from flowstone.errors import UnknownName
from flowstone.plugins import catalog, format_kind

if TYPE_CHECKING:
    from flowstone.plugins.catalog import Plugin


@click.group(cls=Commands)
def plugin() -> None:
    """List and show installed plugins; with flowstone-testing, check them and create new ones."""


@plugin.command("ls")
@click.option("--strict", is_flag=True, help="Exit with 1 if a plugin is broken.")
@json_option
@click.pass_context
def list_plugins(ctx: click.Context, strict: bool, as_json: bool) -> None:
    """List the installed plugins, and what each of them offers.

    The objects that they offer are not imported. A broken plugin is listed with its traceback, and
    does not affect the others.
    """
    found = catalog.plugins()
    broken = [each for each in found if each.error]
    if as_json:
        emit([_describe(each) for each in found])
    else:
        show(_make_table(found))
        for each in broken:
            warn(f"\n{each.distribution} {each.version} is broken:\n{each.traceback.rstrip()}")
        for each in found:
            if each.output:
                warn(f"\n{each.distribution} {each.version} printed:\n{each.output.rstrip()}")
    if broken and strict:
        ctx.exit(1)


def _make_table(plugins: Any) -> Table:
    columns = ("package", "version", "plugin", "offers")
    return Table(
        columns, [Row(_make_cells(each)) for each in plugins], empty="No plugin is installed."
    )


def _make_cells(plugin: Plugin) -> tuple[Cell, ...]:
    if plugin.error:
        offers = Cell(f"broken: {type(plugin.error).__name__}", "red")
    else:
        tables = plugin.collection.tables()
        counts = [
            format_count(len(table), format_kind(kind)) for kind, table in tables.items() if table
        ]
        offers = Cell(", ".join(counts) or "nothing")
    return Cell(plugin.distribution, "bold"), Cell(plugin.version), Cell(plugin.name), offers


def _describe(plugin: Plugin) -> dict[str, object]:
    error = plugin.error
    return {
        "plugin": plugin.name,
        "package": plugin.distribution,
        "version": plugin.version,
        "module": plugin.module,
        "offers": {kind: sorted(table) for kind, table in plugin.collection.tables().items()},
        "output": plugin.output,
        "error": error
        and {
            "type": type(error).__name__,
            "message": str(error),
            "traceback": plugin.traceback,
        },
    }


@plugin.command("show")
@click.argument("name")
@json_option
def show_plugin(name: str, as_json: bool) -> None:
    """Show the objects that a plugin offers, and where they are."""
    found = _find_plugin(name)
    if as_json:
        emit(_describe(found))
        return
    tables = found.collection.tables()
    rows = [
        Row((Cell(format_kind(kind)), Cell(offer, "bold"), Cell(target)))
        for kind, table in tables.items()
        for offer, target in table.items()
    ]
    package = Cell(f"{found.distribution} {found.version}")
    facts = [("plugin", Cell(found.name, "bold")), ("package", package)]
    facts += [("error", Cell(found.traceback.rstrip(), "red"))] if found.error else []
    show(Facts(facts), Table(("kind", "name", "where"), rows, empty="It offers nothing."))


def _find_plugin(name: str) -> Plugin:
    """Return a plugin by its name or the name of its package."""
    plugins = catalog.plugins()
    for each in plugins:
        if name in {each.name, each.distribution}:
            return each
    raise UnknownName("plugin", name, [each.name for each in plugins])
