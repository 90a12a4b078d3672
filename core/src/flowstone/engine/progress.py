"""Progress bars for long operations such as waiting for futures; only shown on a terminal."""

from __future__ import annotations

import sys
from contextlib import contextmanager, suppress
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.progress import Progress

    from flowstone.ports import PendingRun

#: Waits shorter than this, in seconds, show nothing.
DELAY = 0.5
#: Seconds between two updates of the bar.
PAUSE = 0.1

#: Held by the one wait that shows its progress: two bars would overwrite each other.
_showing = Lock()


@contextmanager
def hide() -> Iterator[None]:
    """Show no progress inside the block: something else draws on the terminal."""
    was_free = _showing.acquire(blocking=False)
    try:
        yield
    finally:
        if was_free:
            _showing.release()


@contextmanager
def claim_terminal() -> Iterator[bool]:
    """Yield whether the enclosed code may draw: standard error is a terminal not yet in use."""
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    if not is_terminal or not _showing.acquire(blocking=False):
        yield False
        return
    try:
        yield True
    finally:
        _showing.release()


@contextmanager
def show(promises: Sequence[PendingRun]) -> Iterator[None]:
    """Show on standard error how many runs have ended, while the code inside waits for them."""
    if len(promises) < 2:
        yield
        return
    with claim_terminal() as may_draw:
        if not may_draw:
            yield
            return
        over = Event()
        thread = Thread(
            target=_watch, args=(promises, over), name="flowstone-progress", daemon=True
        )
        try:
            thread.start()
            yield
        finally:
            over.set()
            thread.join()


def _watch(promises: Sequence[PendingRun], over: Event) -> None:
    if over.wait(DELAY):
        return
    # The terminal may be closed; that must not affect the run.
    with suppress(OSError), make_bar() as bar:
        count = _Count(promises)
        count.update()
        task = bar.add_task("tasks", total=len(promises), completed=count.ended, amount="", bad="")
        while not over.wait(PAUSE):
            count.update()
            bad = f"{count.failed:,} failed" if count.failed else ""
            amount = f"{count.ended}/{len(promises)}"
            bar.update(task, completed=count.ended, amount=amount, bad=bad)
            bar.refresh()


class _Count:
    """Counts the runs that have ended, and failed; each is polled until it has ended."""

    def __init__(self, promises: Sequence[PendingRun]) -> None:
        self._waiting = list(promises)
        self.ended = 0
        self.failed = 0

    def update(self) -> None:
        ended = [promise for promise in self._waiting if promise.done()]
        if ended:
            self._waiting = [promise for promise in self._waiting if not promise.done()]
            self.ended += len(ended)
            self.failed += sum(not promise.final_state().is_completed() for promise in ended)


def make_bar() -> Progress:
    """Return a progress bar on standard error; its tasks need the fields `amount` and `bad`."""
    # Takes 60 ms to import, only after a long wait on a terminal.
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[amount]}", style="progress.download"),
        TextColumn("{task.fields[bad]}", style="red"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        auto_refresh=False,
        transient=True,
        # Lines printed in the meantime appear above the bar; redirected output is not changed.
        redirect_stdout=sys.stdout is not None and sys.stdout.isatty(),
    )
