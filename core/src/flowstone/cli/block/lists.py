"""The commands that read documents and the catalog only: no block type is imported for them."""

from __future__ import annotations

import click

from flowstone.cli.block import documents
from flowstone.cli.candidates import complete_block_types, complete_blocks
from flowstone.cli.output import emit, is_terminal, json_option, say, show, warn
from flowstone.cli.views import Cell, Row, Table
from flowstone.cli.wording import format_ago, format_time
from flowstone.context.current import services
from flowstone.plugins import catalog


@click.command("types")
@click.argument("slug", required=False, shell_complete=complete_block_types)
@json_option
def list_types(slug: str | None, as_json: bool) -> None:
    """List the installed block types, or show the fields of one."""
    if slug is not None:
        # Costs 150 ms, for pydantic; a list needs none of it.
        from flowstone.cli.block.one import show_type

        show_type(slug, as_json=as_json)
        return
    offers = catalog.offers("block")
    if as_json:
        emit(
            [
                {
                    "type": offer.name,
                    "package": offer.plugin.distribution,
                    "version": offer.plugin.version,
                    "target": offer.target,
                }
                for offer in offers
            ]
        )
        return
    rows = [
        Row(
            (
                Cell(offer.name, "bold"),
                Cell(offer.target.partition(":")[2]),
                Cell(f"{offer.plugin.distribution} {offer.plugin.version}"),
            )
        )
        for offer in offers
    ]
    show(Table(("type", "class", "package"), rows, empty="No block type is installed."))
    broken = [plugin.distribution for plugin in catalog.plugins() if plugin.error]
    if broken:
        warn(f"\nBroken, so what they offer is missing: {', '.join(broken)}. See `plugin ls`.")


@click.command("ls")
@json_option
def list_blocks(as_json: bool) -> None:
    """List blocks."""
    known = {offer.name for offer in catalog.offers("block")}
    every = services().documents.find("block:", prefix=True)
    saved = set(map(documents.format_reference, every))
    found = [(each, documents.diagnose(each, known, saved)) for each in every]
    if as_json:
        emit([{**documents.describe(each), "condition": condition} for each, condition in found])
        return
    now = services().clock.time()
    rows = [
        Row(
            (
                Cell(documents.format_reference(each), "bold"),
                Cell(format_ago(each.updated, now) if is_terminal() else format_time(each.updated)),
                Cell(condition, "green" if condition == "ok" else "red"),
            )
        )
        for each, condition in found
    ]
    show(Table(("block", "updated", "state"), rows, empty="No block is saved yet."))


@click.command("delete")
@click.argument("block", shell_complete=complete_blocks)
@json_option
def delete_block(block: str, as_json: bool) -> None:
    """Delete a block."""
    found = documents.find(block)
    ref = documents.format_reference(found)
    users = documents.find_referrers(ref)
    services().documents.delete(found.kind, found.name)
    if as_json:
        emit({"block": ref, "deleted": True, "referred_to_by": users})
    else:
        say(f"Deleted {ref}.")
    if users:
        warn(f"Warning: {', '.join(users)} referred to it, and can't be loaded without it.")
