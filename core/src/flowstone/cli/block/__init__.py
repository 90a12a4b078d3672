"""`flowstone block`: manages blocks, and lists block types."""

from __future__ import annotations

import click

from flowstone.cli.commands import Commands
from flowstone.cli.output import import_option

_HERE = "flowstone.cli.block"


@click.group(
    cls=Commands,
    lazy={
        "check": (f"{_HERE}.one:check_block", "Check that saved credentials work."),
        "create": (f"{_HERE}.create:create_block", "Create a block."),
        "delete": (f"{_HERE}.lists:delete_block", "Delete a block."),
        "edit": (f"{_HERE}.edit:edit_block", "Change fields of a block."),
        "ls": (f"{_HERE}.lists:list_blocks", "List blocks."),
        "show": (f"{_HERE}.one:show_block", "Show a block, without its secrets."),
        "types": (f"{_HERE}.lists:list_types", "List block types, or show the fields of one."),
    },
)
@import_option
def block() -> None:
    """Create, show, edit, check and delete blocks.

    A BLOCK is a type and a name, such as local-directory/raw.
    """
