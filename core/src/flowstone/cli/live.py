"""A live tree on a terminal: what a run calls, drawn anew while it runs, with its log above."""

from __future__ import annotations

import sys
from contextlib import contextmanager, suppress
from threading import Event, RLock, Thread
from time import monotonic
from typing import TYPE_CHECKING, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from flowstone import progress
from flowstone.ambient import services
from flowstone.cli.livetree import LiveTree
from flowstone.cli.terminal import tree
from flowstone.observers import observing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowstone.cli.views import Branch

#: Between two drawings are so many seconds at the least.
PAUSE = 0.1


@contextmanager
def shown() -> Iterator[None]:
    """Show what runs inside the block, and at its end how it ended; on a dumb terminal nothing."""
    stream = sys.stderr if sys.stderr.isatty() else sys.stdout
    console = Console(file=stream, highlight=False)
    if console.is_dumb_terminal:
        yield
        return
    live_tree = LiveTree(marks=console.encoding.lower().startswith("utf"))
    try:
        with progress.quiet(), Screen(console, live_tree).shown(), observing(live_tree):
            yield
    finally:
        with suppress(OSError):  # the terminal has gone away
            console.print(_drawn(live_tree.branches(services().clock.time())))


class Screen:
    """Draws a tree at a steady pace, and above it what is printed meanwhile.

    What is printed in a burst waits for the next drawing: each line would draw the tree anew.
    """

    def __init__(self, console: Console, live_tree: LiveTree) -> None:
        self._console, self._tree = console, live_tree
        self._live = Live(
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._over = Event()
        self._lock = RLock()  # a signal handler may print, too
        self._printed = ""
        self._drawn_at = 0.0

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Draw while the code inside runs, and leave nothing but what was printed."""
        thread = Thread(target=self._watch, name="flowstone-tree", daemon=True)
        out, err = sys.stdout, sys.stderr
        # What is piped away stays untouched.
        sys.stdout, sys.stderr = (Above(f, self) if f.isatty() else f for f in (out, err))
        try:
            with self._live:
                thread.start()
                try:
                    yield
                finally:
                    self._over.set()
                    thread.join()
                    self.draw()
        finally:
            sys.stdout, sys.stderr = out, err

    def print(self, text: str) -> None:
        """Print whole lines above the tree: now, or with the next drawing."""
        with self._lock:
            self._printed += text
        if monotonic() - self._drawn_at > PAUSE:
            self.draw()

    def draw(self) -> None:
        """Draw the tree as it is now."""
        with suppress(OSError), self._lock:  # the terminal may go away under us
            printed, self._printed = self._printed, ""
            branches = self._tree.branches(services().clock.time(), self._console.height - 1)
            self._live.update(_drawn(branches))
            if printed:
                self._console.print(Text.from_ansi(printed.removesuffix("\n")), soft_wrap=True)
            else:
                self._live.refresh()
            self._drawn_at = monotonic()

    def _watch(self) -> None:
        while not self._over.wait(PAUSE):
            self.draw()


class Above:
    """Stands for a stream on the terminal; its lines go above the tree."""

    def __init__(self, stream: TextIO, screen: Screen) -> None:
        self._stream, self._screen = stream, screen
        self._line = ""

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        lines, newline, rest = (self._line + text).rpartition("\n")
        self._line = rest
        if newline:
            self._screen.print(lines + newline)
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        self.write("".join(lines))

    def flush(self) -> None:
        if self._line:  # a question, as `input` asks
            self.write("\n")


def _drawn(branches: list[Branch]) -> Group:
    return Group(*(tree(branch, one_line=True) for branch in branches))
