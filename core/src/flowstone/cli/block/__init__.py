"""`flowstone block`: the block types that are installed, and the blocks that are saved."""

from __future__ import annotations

import click

from flowstone.cli.commands import Commands

_HERE = "flowstone.cli.block"


@click.group(
    cls=Commands,
    lazy={
        "check": (f"{_HERE}.one:check_block", "Connect with a saved login: does it work?"),
        "create": (f"{_HERE}.create:create_block", "Save a block of a type under a name."),
        "delete": (f"{_HERE}.lists:delete_block", "Delete a saved block."),
        "edit": (f"{_HERE}.edit:edit_block", "Change fields of a saved block."),
        "ls": (f"{_HERE}.lists:list_blocks", "List the saved blocks."),
        "show": (f"{_HERE}.one:show_block", "Show a saved block; no secret is shown."),
        "types": (f"{_HERE}.lists:list_types", "List the installed types, or one's fields."),
    },
)
def block() -> None:
    """Save, show, change, check and delete blocks.

    A BLOCK is named by its type and name, as local-directory/raw.
    """
