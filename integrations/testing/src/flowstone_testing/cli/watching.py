"""The progress of a check on a terminal: one line that is erased when the check is done."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

from flowstone.cli.views import make_printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flowstone_testing.cli.stages import Reading


@contextmanager
def watch_progress() -> Iterator[Callable[[str, Reading], object]]:
    """Yield a function that draws the line on standard error if that is a terminal."""
    if not sys.stderr.isatty():
        yield _draw_nothing
        return
    # Takes 60 ms, which a pipe must not pay.
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(stderr=True, highlight=False)
    if console.is_dumb_terminal:
        yield _draw_nothing
        return
    began = monotonic()
    with Live(console=console, auto_refresh=False, transient=True) as live:

        def draw(stage: str, reading: Reading) -> None:
            line = Text(no_wrap=True, overflow="ellipsis")
            line.append(f"{monotonic() - began:.0f} s  ", "dim").append(f"{stage}  ", "bold")
            if reading.tests:
                line.append(f"{min(reading.results, reading.tests)} of {reading.tests}  ", "cyan")
            live.update(line.append(make_printable(_shorten(reading.doing)), "dim"), refresh=True)

        yield draw


def _shorten(doing: str) -> str:
    """Return the name of a test without its file, which all of them share."""
    file, _, test = doing.partition("::")
    return test if file.endswith(".py") else doing


def _draw_nothing(stage: str, reading: Reading) -> None:
    """Draw nothing."""
