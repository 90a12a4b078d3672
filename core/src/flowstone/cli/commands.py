"""Groups of commands: core's own, imported when they are called, and those of packages."""

from __future__ import annotations

import sys
from copy import copy
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import click
from click.shell_completion import CompletionItem

from flowstone import plugins
from flowstone.errors import FlowstoneError, UnknownName, suggest_names
from flowstone.plugins.known import find_package_offering
from flowstone.records.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowstone.plugins import Offer

#: Longer than any help text: the formatter wraps lines, so nothing is truncated.
_WHOLE = 1000


class Commands(click.Group):
    """A group whose commands are imported when they are called.

    A package adds commands to a group, or to the top level, with `commands` of its `Collection`. It
    can't replace a command of core: plugins are loaded only to list commands, and for names that
    core doesn't have.
    """

    def __init__(
        self, *args: Any, lazy: Mapping[str, tuple[str, str]] | None = None, **options: Any
    ) -> None:
        """Create a group.

        Args:
            *args: as for `click.Group`.
            lazy: commands to import when they are called, by name: ``"module:attribute"``, and the
                line for the list of commands.
            **options: as for `click.Group`.
        """
        super().__init__(*args, **options)
        self._lazy = lazy or {}

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the command line; for a `FlowstoneError`, print its message and exit with 1."""
        try:
            return super().main(*args, **options)
        except FlowstoneError as error:
            for text in (f"Error: {error}", *_read_notes(error)):
                click.echo(redact(text), err=True)
            sys.exit(1)

    def list_commands(self, ctx: click.Context) -> list[str]:
        shown = [name for name, command in self.commands.items() if not command.hidden]
        return sorted({*shown, *self._lazy, *_find_offers(ctx)})

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the names of commands, with their lines in the list; imports none of them."""
        items = [
            CompletionItem(name, help=self._lazy[name][1] if name in self._lazy else None)
            for name in self.list_commands(ctx)
            if name.startswith(incomplete)
        ]
        return [*items, *click.Command.shell_complete(self, ctx, incomplete)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command; None if neither core nor a package has it.

        Raises:
            PluginBroken: the package that provides it can't be loaded.
        """
        if cmd_name in self._lazy:
            module, _, attribute = self._lazy[cmd_name][0].partition(":")
            return cast("click.Command", getattr(import_module(module), attribute))
        if cmd_name in self.commands:
            return self.commands[cmd_name]
        try:
            return _load_offer(ctx, cmd_name)
        except UnknownName:
            return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command to call; if there is none, fail with a suggestion."""
        name = args[0]
        is_word = not ctx.resilient_parsing and not name.startswith("-")
        if is_word and self.get_command(ctx, name) is None:
            ctx.fail(f"No such command {name!r}.{self._suggest(ctx, name)}")
        return super().resolve_command(ctx, args)

    def _suggest(self, ctx: click.Context, name: str) -> str:
        try:
            plugins.get_host().offer("command", _spell(ctx, name))
        except UnknownName as error:
            if error.package:
                return f" To install it, run `pip install {error.package}`."
            return "\n".join([suggest_names(name, self.list_commands(ctx)), *_read_notes(error)])
        return ""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        rows = {
            name: command.get_short_help_str(_WHOLE)
            for name, command in self.commands.items()
            if not command.hidden
        }
        rows |= {name: text for name, (_, text) in self._lazy.items()}
        for name, offer in _find_offers(ctx).items():
            plugin = offer.plugin
            if name in rows:
                which = f"`flowstone {offer.name}` of {plugin.distribution} can't be called"
                click.echo(f"{which}: Flowstone itself has a command of that name.\n", err=True)
            else:
                rows[name] = plugin.collection.command_help[offer.name]
        with formatter.section("Commands"):
            formatter.write_dl(sorted(rows.items()))


def make_hidden_alias(command: click.Command, name: str) -> click.Command:
    """Return a command under another name that is hidden from help."""
    hidden = copy(command)
    hidden.name, hidden.hidden = name, True
    return hidden


def _load_offer(ctx: click.Context, name: str) -> click.Command:
    words = _spell(ctx, name)
    package = find_package_offering("command", words)
    # For a known command, load only its package: other plugins may be slow, or end the process.
    host = plugins.get_host_of(package) if package else plugins.get_host()
    return cast("click.Command", host.load("command", words))


def _find_offers(ctx: click.Context) -> dict[str, Offer]:
    """Return the commands that packages add to a group, by the last word of their names."""
    found = {}
    for offer in plugins.get_host().offers("command"):
        *words, name = offer.name.split()
        if words == _find_group(ctx):
            found[name] = offer
    return found


def _spell(ctx: click.Context, name: str) -> str:
    """Return the full name of a command, as in a `Collection`: ``plugin check``."""
    return " ".join([*_find_group(ctx), name])


def _find_group(ctx: click.Context) -> list[str]:
    """Return the words of a group's name; empty for the top level."""
    words = []
    while ctx.parent is not None:
        words.append(ctx.info_name or "")
        ctx = ctx.parent
    return words[::-1]


def _read_notes(error: BaseException) -> list[str]:
    return getattr(error, "__notes__", [])
