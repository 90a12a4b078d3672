"""A group of commands: loads what it names when that is called, says near names, ends cleanly."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import click

from flowstone.errors import FlowstoneError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping


class Commands(click.Group):
    """Commands that are here, and lazy ones: ``{name: ("module:attribute", short help)}``."""

    def __init__(
        self, *args: Any, lazy: Mapping[str, tuple[str, str]] | None = None, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self._lazy = lazy or {}

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the command line; an error of ours ends it with one message and exit code 1."""
        try:
            return super().main(*args, **options)
        except FlowstoneError as error:
            for text in (f"Error: {error}", *getattr(error, "__notes__", ())):
                click.echo(text, err=True)
            sys.exit(1)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *self._lazy})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self._lazy:
            module, _, attribute = self._lazy[cmd_name][0].partition(":")
            return cast("click.Command", getattr(import_module(module), attribute))
        found = super().get_command(ctx, cmd_name)
        if found is None and not cmd_name.startswith("-"):
            ctx.fail(f"No such command {cmd_name!r}.{nearest(cmd_name, self.list_commands(ctx))}")
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the lazy ones by the help that stands here: to list is not to load."""
        if not self._lazy:
            super().format_commands(ctx, formatter)
            return
        # The frame of the list takes six columns.
        width = formatter.width - 6 - max(map(len, self.list_commands(ctx)))
        here = {name: found.get_short_help_str(width) for name, found in self.commands.items()}
        lazy = {name: text for name, (_, text) in self._lazy.items()}
        with formatter.section("Commands"):
            formatter.write_dl(sorted({**here, **lazy}.items()))
