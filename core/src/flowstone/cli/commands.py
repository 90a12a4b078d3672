"""A group of commands: loads what it names when that is called, says near names, ends cleanly."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import click

from flowstone.errors import FlowstoneError, PluginError, nearest
from flowstone.plugins import catalog
from flowstone.plugins.known import find_package_offering

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowstone.plugins import Offer


class Commands(click.Group):
    """Commands that are here, lazy ones, and those that packages offer for this group.

    Lazy ones are ``{name: ("module:attribute", short help)}``. What is here comes first: packages
    are looked for only where a name is not known, and for the list.
    """

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
        return sorted({*super().list_commands(ctx), *self._lazy, *_offered(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self._lazy:
            module, _, attribute = self._lazy[cmd_name][0].partition(":")
            return cast("click.Command", getattr(import_module(module), attribute))
        found = super().get_command(ctx, cmd_name)
        if found is None and cmd_name in _offered(ctx):
            return cast("click.Command", catalog.load("command", _words(ctx, cmd_name)))
        if found is None and not cmd_name.startswith("-"):
            ctx.fail(f"No such command {cmd_name!r}.{self._remedy(ctx, cmd_name)}")
        return found

    def _remedy(self, ctx: click.Context, name: str) -> str:
        if package := find_package_offering("command", _words(ctx, name)):
            return f" `pip install {package}` brings it."
        return nearest(name, self.list_commands(ctx))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the lazy ones by the help that is here, and load what packages offer for its own."""
        offered = _offered(ctx)
        if not self._lazy and not offered:
            super().format_commands(ctx, formatter)
            return
        # The frame of the list takes six columns.
        width = formatter.width - 6 - max(map(len, self.list_commands(ctx)))
        here = {name: found.get_short_help_str(width) for name, found in self.commands.items()}
        lazy = {name: text for name, (_, text) in self._lazy.items()}
        brought = {name: _summary(offer, width) for name, offer in offered.items()}
        with formatter.section("Commands"):
            formatter.write_dl(sorted({**brought, **here, **lazy}.items()))


def _summary(offer: Offer, width: int) -> str:
    try:
        command = cast("click.Command", catalog.load("command", offer.name))
    except PluginError:
        return f"Broken; `flowstone plugin show {offer.plugin.name}` says more."
    return command.get_short_help_str(width)


def _words(ctx: click.Context, name: str) -> str:
    """Return a command's words, as a package offers it: ``plugin check``."""
    return " ".join([*_group(ctx), name])


def _group(ctx: click.Context) -> list[str]:
    names = []
    while ctx.parent is not None:
        names.append(ctx.info_name or "")
        ctx = ctx.parent
    return names[::-1]


def _offered(ctx: click.Context) -> dict[str, Offer]:
    """Return the commands that packages offer for a group, by their last word."""
    group = _group(ctx)
    found = {}
    for offer in catalog.offers("command"):
        *words, name = offer.name.split()
        if words == group:
            found[name] = offer
    return found
