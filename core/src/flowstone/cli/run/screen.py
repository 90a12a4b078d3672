"""A live tree of a run on a terminal, redrawn while it runs, with its log above."""

from __future__ import annotations

import sys
from contextlib import contextmanager, nullcontext, suppress
from threading import Event, RLock, Thread
from time import monotonic
from typing import TYPE_CHECKING, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from flowstone.cli.run.tree_live import LiveTree
from flowstone.cli.terminal import build_tree
from flowstone.context.current import services
from flowstone.engine import progress
from flowstone.observers import observing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flowstone.records import events
    from flowstone.records.runs import Run

#: Minimum seconds between redraws.
PAUSE = 0.1
#: Minimum pause between redraws, as a multiple of the time that drawing takes.
REST = 10


@contextmanager
def show(run: Run | None = None) -> Iterator[None]:
    """Show a live tree of the runs in the block; on a dumb terminal, show nothing.

    Args:
        run: a run that is executed again inside the block.
    """
    console = Console(file=sys.stderr if sys.stderr.isatty() else sys.stdout, highlight=False)
    if console.is_dumb_terminal:
        yield
        return
    screen = Screen(console, run)
    with progress.hide():
        try:
            screen.begin()
            with observing(screen):
                yield
        finally:
            screen.close()


@contextmanager
def show_alone() -> Iterator[None]:
    """Show a live tree of the runs in the block, unless other code draws on the terminal."""
    with progress.claim_terminal() as may_draw, show() if may_draw else nullcontext():
        yield


class Screen:
    """An `Observer` that draws the tree of runs, and above it the output printed in the meantime.

    It draws at a steady pace. A burst of output waits for the next redraw, as otherwise each line
    would redraw the tree.
    """

    def __init__(self, console: Console, run: Run | None = None) -> None:
        self._console = console
        self._tree = LiveTree(run, marks=console.encoding.lower().startswith("utf"))
        self._live = Live(
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._thread = Thread(target=self._watch, name="flowstone-tree", daemon=True)
        self._over = Event()
        self._lock = RLock()  # a signal handler may print, too
        self._above: list[Above] = []
        self._printed = ""
        self._next = 0.0

    def begin(self) -> None:
        """Start drawing; from now on, output to the terminal appears above the tree."""
        self._live.start()
        self._above = [Above(name, self) for name in ("stdout", "stderr") if _is_terminal(name)]
        self._thread.start()

    def observe(self, events: Sequence[events.Event]) -> None:
        self._tree.observe(events)

    def close(self) -> None:
        """Draw the final tree, and restore the terminal; can be called twice.

        The observer's thread calls it, too: before SIGTERM ends the process, no other code does.
        """
        with self._lock:
            if self._over.is_set():
                return
            self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        for above in self._above:
            above.leave()
        self.draw()
        with suppress(Exception):  # see above
            self._live.stop()
            self._console.print(self._build(None))

    def print(self, text: str) -> None:
        """Print whole lines above the tree, now or with the next redraw."""
        with self._lock:
            self._printed += text
        if monotonic() > self._next:
            self.draw()

    def draw(self) -> None:
        """Draw the current tree."""
        with suppress(Exception), self._lock:  # the terminal may close; the run continues
            began = monotonic()
            printed, self._printed = self._printed, ""
            self._live.update(self._build(self._console.height - 1))
            if printed:
                self._console.print(Text.from_ansi(printed.removesuffix("\n")), soft_wrap=True)
            else:
                self._live.refresh()
            now = monotonic()
            self._next = now + max(PAUSE, REST * (now - began))

    def _build(self, height: int | None) -> Group:
        branches = self._tree.build_branches(services().clock.time(), height)
        return Group(*(build_tree(branch, one_line=True) for branch in branches))

    def _watch(self) -> None:
        while not self._over.wait(max(PAUSE / 2, self._next - monotonic())):
            if monotonic() > self._next:
                self.draw()


class Above:
    """Replaces a stream of the terminal; its lines appear above the tree."""

    def __init__(self, name: str, screen: Screen) -> None:
        self._name, self._screen = name, screen
        self._stream: TextIO = getattr(sys, name)
        self._line = ""
        self._has_left = False
        setattr(sys, name, self)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        if self._has_left:
            return self._stream.write(text)
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
        self._stream.flush()

    def leave(self) -> None:
        """Restore the stream; later writes to this object, as by log handlers, are passed to it."""
        self.flush()
        self._has_left = True
        if getattr(sys, self._name) is self:
            setattr(sys, self._name, self._stream)


def _is_terminal(name: str) -> bool:
    stream: TextIO = getattr(sys, name)
    return stream.isatty()
