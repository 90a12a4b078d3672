"""`flowstone block edit`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from flowstone.cli.block import documents
from flowstone.cli.candidates import complete_blocks
from flowstone.cli.output import emit, import_option, json_option, say
from flowstone.errors import StaleDocument

if TYPE_CHECKING:
    from flowstone.records.documents import Document


@click.command("edit")
@click.argument("block", shell_complete=complete_blocks)
@click.argument("fields", nargs=-1, metavar="[FIELD=VALUE]...")
@click.option(
    "--json-file", metavar="FILE", help="Read fields from a JSON file; - is standard input."
)
@import_option
@json_option
def edit_block(block: str, fields: tuple[str, ...], json_file: str | None, as_json: bool) -> None:
    """Change fields of a block. Other fields are not changed.

    Write fields as for `block create`. The JSON file can be the edited output of `block show
    --json`, in which {"set": true} leaves a secret unchanged and {"set": false} removes it.
    """
    # Takes 100 ms, for pydantic, which neither help nor completion needs.
    from flowstone.blocks import Block
    from flowstone.blocks.display import apply_redacted
    from flowstone.cli.block.fields import FieldReader

    found = documents.find(block)
    ref = documents.format_reference(found)
    loaded = Block.load(ref)
    changed = loaded
    reader = FieldReader(type(loaded))
    if json_file is not None:
        shown = reader.read_shown(json_file)
        _refuse_stale(found, shown.get("version"))
        changed = apply_redacted(loaded, found.body, shown.get("fields", shown))
    reader.read_arguments(fields)
    if reader.fields:
        changed = changed.model_copy(update=reader.fields)
    version = found.version
    if changed != loaded:
        version = changed._save_over(found.version)  # noqa: SLF001 - only over what was read
    if as_json:
        emit({**documents.describe(documents.find(ref)), "changed": version != found.version})
    elif version == found.version:
        say(f"No changes: {ref} is still at version {version}.")
    else:
        say(f"Saved {ref}, version {version}.")
    reader.warn_of_typed()


def _refuse_stale(found: Document, version: object) -> None:
    """Refuse the output of an older version, which would undo later changes."""
    if isinstance(version, int) and version != found.version:
        raise StaleDocument(found.kind, found.name, version, found.version)
