"""Output of views: with rich on a terminal, as plain lines to a pipe, or as JSON."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from flowstone.cli import pipe
from flowstone.cli.views import make_printable
from flowstone.records.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowstone.cli.views import View

    Option = Callable[[Callable[..., Any]], Callable[..., Any]]

json_option: Option = click.option(
    "--json", "as_json", is_flag=True, help="Print the output as a JSON document."
)
import_option: Option = click.option(
    "--module",
    "-m",
    multiple=True,
    metavar="MODULE",
    is_eager=True,
    expose_value=False,
    callback=lambda ctx, _, places: _import_all(ctx, places),
    help="Import a module or file that defines your own blocks. Can be repeated.",
)
limit_option: Option = click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    default=20,
    show_default=True,
    help="Maximum number to list.",
)


def _import_all(ctx: click.Context, places: tuple[str, ...]) -> None:
    if places and not ctx.resilient_parsing:
        # Takes 10 ms, which only commands with such an option need.
        from flowstone.plugins.modules import import_code

        for place in places:
            import_code(place, f"--module {place}")


def show(*views: View) -> None:
    """Show views, one below the other, separated by blank lines."""
    if is_terminal():
        # Takes 60 ms, which a pipe doesn't need.
        from flowstone.cli import terminal

        terminal.show(views)
    else:
        click.echo("\n\n".join("\n".join(pipe.format_lines(view)) for view in views))


def emit(document: object) -> None:
    """Print a JSON document as ASCII, which every terminal and pipe supports."""
    click.echo(json.dumps(document, indent=2))


def say(text: str) -> None:
    """Print a line of the command's result."""
    click.echo(make_printable(text))


def warn(text: str) -> None:
    """Print a line to standard error; secrets in it are masked."""
    click.echo(make_printable(redact(text)), err=True)


def show_traceback(text: str) -> None:
    """Show a traceback on standard error; secrets in it are masked."""
    if sys.stderr.isatty():
        # Takes 60 ms, which a pipe doesn't need.
        from flowstone.cli import terminal

        terminal.show_traceback(redact(text))
    else:
        warn(text)


def is_terminal() -> bool:
    """Return whether standard output is a terminal."""
    return sys.stdout.isatty()
