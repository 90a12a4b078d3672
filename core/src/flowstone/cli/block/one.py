"""The commands that show or check one block, or one block type."""

# ruff: noqa: SLF001 - block types have their descriptions in such attributes

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

import click

from flowstone.blocks import Block, Check, Credentials
from flowstone.blocks.display import redact_fields
from flowstone.cli.block import documents
from flowstone.cli.candidates import complete_blocks
from flowstone.cli.hints import format_hint
from flowstone.cli.output import emit, import_option, json_option, show
from flowstone.cli.views import Cell, Facts, Row, Table
from flowstone.cli.wording import format_time
from flowstone.context.current import services
from flowstone.errors import ConfigurationError, ReferenceUnresolved
from flowstone.plugins import registry
from flowstone.secrets.fields import hides
from flowstone.secrets.walk import find_references

if TYPE_CHECKING:
    from collections.abc import Iterator


@click.command("show")
@click.argument("block", shell_complete=complete_blocks)
@json_option
def show_block(block: str, as_json: bool) -> None:
    """Show a block; for each secret, only whether it is set."""
    found = documents.find(block)
    fields = redact_fields(found.body)
    if as_json:
        emit({**documents.describe(found), "fields": fields})
        return
    head = [
        ("block", Cell(documents.format_reference(found), "bold")),
        ("saved", Cell(f"{format_time(found.updated)}, version {found.version}")),
    ]
    show(Facts(head), Facts(list(_format_fields(fields))))


@click.command("check")
@click.argument("block", shell_complete=complete_blocks)
@import_option
@json_option
@click.pass_context
def check_block(ctx: click.Context, block: str, as_json: bool) -> None:
    """Connect with saved credentials, and report whether they work; exit with 1 if not.

    For other blocks, check that their references to secrets resolve.
    """
    ref = documents.format_reference(documents.find(block))
    loaded = Block.load(ref)
    if isinstance(loaded, Credentials):
        what, answer = "login", loaded.check()
    elif any(find_references(loaded)):
        what, answer = "references", _follow_references(loaded)
    else:
        raise ConfigurationError(
            ref, f"a {loaded.block_type_name()} has no credentials to check", _suggest(loaded)
        )
    if as_json:
        emit(
            {
                "block": ref,
                "ok": answer.ok,
                "reason": answer.reason,
                "latency_seconds": answer.latency_seconds,
            }
        )
    else:
        style = "green" if answer.ok else "red"
        show(
            Facts(
                [
                    ("block", Cell(ref, "bold")),
                    (what, Cell("ok" if answer.ok else "refused", style)),
                    ("as" if answer.ok else "reason", Cell(answer.reason)),
                    ("took", Cell(f"{answer.latency_seconds:.2f} s")),
                ]
            )
        )
    if not answer.ok:
        ctx.exit(1)


def _follow_references(block: Block) -> Check:
    """Resolve the references to secrets in a block."""
    began, ok, reason = perf_counter(), True, "all of them resolve"
    try:
        for found in find_references(block):
            services().references.resolve(found.reference, found.place)
    except ReferenceUnresolved as error:
        ok, reason = False, str(error)
    return Check(ok, reason, perf_counter() - began)


def _suggest(block: Block) -> str:
    used = [each for each in block.__dict__.values() if isinstance(each, Credentials)]
    for each in used:
        if each.name:
            return f"Check the credentials that it uses: {each.block_type_slug()}/{each.name}."
    if used:
        return "Save its credentials as a block, and check that."
    return "Only blocks with credentials or references to secrets can be checked."


def _format_fields(fields: dict[str, object]) -> Iterator[tuple[str, Cell]]:
    """Yield the fields as lines; of nested fields, only those that are set."""
    for name, value in fields.items():
        lines = list(_format_inner(name, value))
        yield from lines or [(name, Cell("not set", "dim"))]


def _format_inner(path: str, value: Any) -> Iterator[tuple[str, Cell]]:
    keys = value.keys() if isinstance(value, dict) else set()
    if keys == {"set"}:
        if value["set"]:
            yield path, Cell("set", "yellow")
    elif keys == {"block"}:
        yield path, Cell(f"the saved block {value['block']}")
    elif keys == {"type", "fields"}:
        yield path, Cell(f"a block of type {value['type']}, saved in this one")
        yield from _format_below(path, value["fields"])
    elif isinstance(value, dict):
        yield from _format_below(path, value)
    elif value is not None:
        yield path, Cell(value if isinstance(value, str) and value else repr(value))


def _format_below(path: str, fields: dict[str, Any]) -> Iterator[tuple[str, Cell]]:
    for name, value in fields.items():
        yield from _format_inner(f"{path}.{name}", value)


def show_type(slug: str, *, as_json: bool) -> None:
    """Show the fields of a block type."""
    kind: type[Block] = registry.find_block_type(slug)
    fields = [
        {
            "field": name,
            "type": format_hint(field.annotation),
            "required": field.is_required(),
            "secret": hides(field.annotation),
            "description": field.description,
        }
        for name, field in kind.model_fields.items()
    ]
    own: Any = kind
    if as_json:
        emit(
            {
                "type": kind.block_type_slug(),
                "class": f"{kind.__module__}:{kind.__qualname__}",
                "description": own._description,
                "example": own._code_example,
                "fields": fields,
            }
        )
        return
    head = [("type", Cell(kind.block_type_slug(), "bold"))]
    if own._description:
        head.append(("what", Cell(own._description)))
    head.append(("class", Cell(f"{kind.__module__}.{kind.__qualname__}")))
    if own._code_example:
        head.append(("example", Cell(own._code_example)))
    rows = [
        Row(
            (
                Cell(str(each["field"]), "bold"),
                Cell(_format_type(each)),
                Cell(str(each["description"] or "")),
            )
        )
        for each in fields
    ]
    show(Facts(head), Table(("field", "type", "description"), rows, empty="It has no fields."))


def _format_type(field: dict[str, Any]) -> str:
    return f"{field['type']}{', required' if field['required'] else ''}"
