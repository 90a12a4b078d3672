"""`flowstone block create`."""

from __future__ import annotations

import sys

import click

from flowstone.cli.block import documents
from flowstone.cli.candidates import complete_block_types
from flowstone.cli.output import emit, import_option, json_option, say
from flowstone.context.current import services
from flowstone.errors import ObjectAlreadyExists
from flowstone.plugins import registry


@click.command("create")
@click.argument("slug", shell_complete=complete_block_types)
@click.argument("name")
@click.argument("fields", nargs=-1, metavar="[FIELD=VALUE]...")
@click.option(
    "--json-file", metavar="FILE", help="Read fields from a JSON file; - is standard input."
)
@click.option("--overwrite", is_flag=True, help="Replace an existing block.")
@click.option("--no-input", is_flag=True, help="Never prompt.")
@import_option
@json_option
def create_block(
    slug: str,
    name: str,
    fields: tuple[str, ...],
    json_file: str | None,
    overwrite: bool,
    no_input: bool,
    as_json: bool,
) -> None:
    """Create a block of type SLUG, and save it as NAME.

    \b
    field=value        a string, a number, a block (store=local-directory/raw)
    field:=JSON        any JSON value
    field=@env:NAME    the value of an environment variable
    field=@file:PATH   the content of a file
    field=@-           standard input

    Pass secrets in one of the last three ways, so that they are not stored in the shell's history.
    On a terminal, the command asks for missing fields; secrets are not shown as you type.
    """  # noqa: D301 - click's mark for lines to leave as they are
    # Takes 100 ms, for pydantic, which neither help nor completion needs.
    from flowstone.cli.block.fields import FieldReader

    kind = registry.find_block_type(slug)
    registry.check_name("block", name)
    if not overwrite:
        _refuse_taken(slug, name)
    reader = FieldReader(kind)
    if json_file is not None:
        reader.read_file(json_file)
    reader.read_arguments(fields)
    if sys.stdin.isatty() and not no_input:
        reader.ask()
    version = kind(**reader.fields).save(name, overwrite=overwrite)
    reader.warn_of_typed()
    if as_json:
        emit(documents.describe(documents.find(f"{slug}/{name}")))
    else:
        say(f"Saved {slug}/{name}, version {version}.")


def _refuse_taken(slug: str, name: str) -> None:
    """Refuse a name that is in use before asking for fields."""
    if services().documents.find(f"block:{slug}", names=[name]):
        remedy = "Pass --overwrite to replace it, or choose another name."
        raise ObjectAlreadyExists(f"{slug} block", name, remedy)
