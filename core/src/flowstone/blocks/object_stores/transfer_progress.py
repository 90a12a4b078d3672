"""Progress of a transfer of many files: a bar on a terminal, and an artifact in a run."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext, suppress
from contextvars import copy_context
from threading import Event, Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING

from flowstone.context.progress import begin_run_progress
from flowstone.engine import progress
from flowstone.errors import FlowstoneError, StopSignal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flowstone.context.progress import RunProgress

#: Seconds between two updates of the artifact.
ARTIFACT_PAUSE = 1.0


class TransferTally:
    """Counts the files and bytes of a transfer; may be updated from several threads.

    Attributes:
        transferred: number of transferred files.
        unchanged: number of files that needed no transfer.
        bytes_transferred: total size of the transferred files.
        bytes_done: total size of the transferred and the unchanged files.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self.transferred = self.unchanged = 0
        self.bytes_transferred = self.bytes_done = 0

    def add_transferred(self, size: int) -> None:
        """Count a transferred file of `size` bytes."""
        with self._lock:
            self.transferred += 1
            self.bytes_transferred += size
            self.bytes_done += size

    def add_unchanged(self, size: int) -> None:
        """Count an unchanged file of `size` bytes."""
        with self._lock:
            self.unchanged += 1
            self.bytes_done += size

    @property
    def done(self) -> int:
        """Number of files that are transferred or unchanged."""
        return self.transferred + self.unchanged


@contextmanager
def show_progress(
    title: str,
    what: str,
    *,
    tally: TransferTally,
    measure: Callable[[], Iterator[int]],
    wanted: bool | None,
) -> Iterator[None]:
    """Show the progress of the enclosed transfer: a bar on a terminal, an artifact in a run.

    Args:
        title: the text beside the bar.
        what: source and destination, for the description of the artifact.
        tally: counts what the transfer has done.
        measure: a function that yields the size of each file to be transferred. It is called in
            another thread, and only if the transfer takes a while.
        wanted: False to show nothing, True for a bar from the start, None for a bar if the
            transfer takes a while.
    """
    artifact = None if wanted is False else begin_run_progress(f"{title}: {what}")
    terminal = nullcontext(False) if wanted is False else progress.claim_terminal()
    with terminal as may_draw:
        if artifact is None and not may_draw:
            yield
            return
        watcher = _Watcher(title, tally, measure, artifact, may_draw=may_draw)
        with watcher.watch(0.0 if wanted else progress.DELAY):
            yield
    if artifact is not None:
        artifact.record(100.0)


class _Watcher:
    """A thread that measures the work to do, and shows how much of it is done."""

    def __init__(
        self,
        title: str,
        tally: TransferTally,
        measure: Callable[[], Iterator[int]],
        artifact: RunProgress | None,
        *,
        may_draw: bool,
    ) -> None:
        self._title, self._tally, self._measure = title, tally, measure
        self._artifact, self._may_draw = artifact, may_draw
        self._stopped = Event()
        self._files = self._bytes = 0
        self._is_counted = False
        self._next_drawing = self._next_record = 0.0

    @contextmanager
    def watch(self, delay: float) -> Iterator[None]:
        """Show the progress of the enclosed code, after a delay in seconds."""
        args = (self._run, delay)
        thread = Thread(
            target=copy_context().run, args=args, name="flowstone-progress", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            thread.join()

    def _run(self, delay: float) -> None:
        if self._stopped.wait(delay):
            return
        # An error here, such as a closed terminal, must not stop the transfer; an error in
        # measuring that also concerns the transfer is raised by the transfer itself.
        with suppress(OSError, FlowstoneError, StopSignal), self._open_bar() as draw:
            for size in self._measure():
                self._files += 1
                self._bytes += size
                self._show(draw)
                if self._stopped.is_set():
                    return
            self._is_counted = True
            while not self._stopped.wait(progress.PAUSE):
                self._show(draw)

    @contextmanager
    def _open_bar(self) -> Iterator[Callable[[], None]]:
        """Yield a function that draws the bar, or one that does nothing without a terminal."""
        if not self._may_draw:
            yield lambda: None
            return
        with progress.make_bar() as bar:
            task = bar.add_task(self._title, total=None, amount="", bad="")

            def draw() -> None:
                total = 100.0 if self._is_counted else None
                done = self._compute_percent()
                bar.update(task, completed=done, total=total, amount=self._describe())
                bar.refresh()

            yield draw

    def _show(self, draw: Callable[[], None]) -> None:
        now = monotonic()
        if now >= self._next_drawing:
            self._next_drawing = now + progress.PAUSE
            draw()
        if self._artifact is not None and self._is_counted and now >= self._next_record:
            self._next_record = now + ARTIFACT_PAUSE
            self._artifact.record(round(self._compute_percent(), 1))

    def _compute_percent(self) -> float:
        done, total = self._tally.bytes_done, self._bytes
        if not total:
            done, total = self._tally.done, self._files
        return min(100.0, 100 * done / total) if total else 0.0

    def _describe(self) -> str:
        from rich.filesize import decimal  # imported with the bar only

        total = f"/{self._files:,}" if self._is_counted else ""
        return f"{self._tally.done:,}{total} files, {decimal(self._tally.bytes_done)}"
