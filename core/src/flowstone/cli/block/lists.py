"""The commands that read only documents and the catalog, without importing block types."""

from __future__ import annotations

import click

from flowstone.cli.block import documents
from flowstone.cli.candidates import complete_block_types, complete_blocks
from flowstone.cli.output import emit, import_option, is_terminal, json_option, say, show, warn
from flowstone.cli.views import Cell, Row, Table
from flowstone.cli.wording import format_ago, format_time
from flowstone.context.current import services
from flowstone.errors import ConfigurationError
from flowstone.plugins import catalog, registry
from flowstone.ports.paging import iterate_documents


@click.command("types")
@click.argument("slug", required=False, shell_complete=complete_block_types)
@import_option
@json_option
def list_types(slug: str | None, as_json: bool) -> None:
    """List block types, or show the fields of one."""
    if slug is not None:
        # Takes 150 ms, for pydantic, which a list doesn't need.
        from flowstone.cli.block.one import show_type

        show_type(slug, as_json=as_json)
        return
    found = [
        *(_describe_own(own_slug, kind) for own_slug, kind in registry.list_own()),
        *map(_describe_offer, catalog.offers("block")),
    ]
    if as_json:
        emit(found)
        return
    rows = [
        Row(
            (
                Cell(str(each["type"]), "bold"),
                Cell(str(each["target"]).partition(":")[2]),
                Cell(_format_origin(each)),
            )
        )
        for each in found
    ]
    show(Table(("type", "class", "package"), rows, empty="No block type is installed."))
    broken = [plugin.distribution for plugin in catalog.plugins() if plugin.error]
    if broken:
        warn(f"\nBroken, so what they offer is missing: {', '.join(broken)}. See `plugin ls`.")


def _describe_offer(offer: catalog.Offer) -> dict[str, object]:
    plugin = offer.plugin
    return {
        "type": offer.name,
        "package": plugin.distribution,
        "version": plugin.version,
        "target": offer.target,
    }


def _describe_own(slug: str, kind: type) -> dict[str, object]:
    target = f"{kind.__module__}:{kind.__qualname__}"
    return {"type": slug, "package": None, "version": None, "target": target}


def _format_origin(found: dict[str, object]) -> str:
    if found["package"] is None:
        return str(found["target"]).partition(":")[0]
    return f"{found['package']} {found['version']}"


@click.command("ls")
@import_option
@json_option
def list_blocks(as_json: bool) -> None:
    """List blocks."""
    known = {offer.name for offer in catalog.offers("block")} | _find_own()
    every = list(iterate_documents(services().documents, "block:", prefix=True))
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
    show(Table(("block", "updated", "state"), rows, empty="There are no blocks yet."))
    if any(condition == documents.ABSENT for _, condition in found):
        warn(f"\n{registry.HOW_TO_FIND}")


def _find_own() -> set[str]:
    """Return the user's own block types; warn if a module can't be imported."""
    try:
        return {slug for slug, _ in registry.list_own()}
    except ConfigurationError as error:
        warn(f"Warning: {error}")
        return set()


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
