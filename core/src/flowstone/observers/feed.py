"""A feed: one observer, its queue of events, and the thread that delivers them."""

from __future__ import annotations

import logging
import os
from collections import deque
from contextlib import suppress
from threading import Condition, RLock, Thread
from typing import TYPE_CHECKING
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flowstone.ports import Observer
    from flowstone.records.events import Event

#: Maximum number of queued events; further ones are dropped, counted, and reported.
LIMIT = 50_000
#: Maximum number of events delivered at a time.
BATCH = 1000
#: Number of delivered events that are remembered: after an error, the journal repeats a batch.
RECENT = 10_000

logger = logging.getLogger("flowstone.observers")


class Feed:
    """Notifies one observer from one thread, in order, once per event; never blocks the caller.

    The same thread creates the observer with the first event.
    """

    def __init__(
        self, name: str, package: str, make: Callable[[], Observer], limit: int = LIMIT
    ) -> None:
        self.name, self.package, self._make, self._limit = name, package, make, limit
        self.reset()
        _all.add(self)

    def reset(self) -> None:
        """Start again, as in a forked process."""
        self._queue: deque[Event] = deque()
        # Entered itself, not through the condition: a thread that is stopped by an asynchronous
        # error releases a lock, but not one that Python code is just acquiring.
        self._lock = RLock()
        self._changed = Condition(self._lock)
        self._thread: Thread | None = None
        self._observer: Observer | None = None
        self._recent: dict[str, None] = {}
        self._missed = 0
        self._errors = 0
        self._busy = False
        self._closing = False

    def __str__(self) -> str:
        return f"observer {self.name!r} of {self.package}"

    def start(self) -> None:
        """Start the thread, unless there is one, or there are no events."""
        with self._lock:
            if self._thread is None:
                thread = Thread(target=self._loop, name=f"flowstone-{self.name}", daemon=True)
                # While the interpreter exits, no thread can start; closing then does the work.
                with suppress(RuntimeError):
                    thread.start()
                    self._thread = thread

    def tell(self, events: Sequence[Event]) -> None:
        """Queue events; if the queue is full, count those that are dropped."""
        with self._lock:
            room = max(0, self._limit - len(self._queue))
            self._queue.extend(events[:room])
            self._missed += max(0, len(events) - room)
            self.start()
            self._changed.notify_all()

    def flush(self, seconds: float) -> bool:
        """Wait until all are delivered, or the timeout has expired; return whether they are."""
        with self._lock:
            return self._changed.wait_for(lambda: not self._queue and not self._busy, seconds)

    def finish(self) -> None:
        """Request the end: after the queued events, the observer is closed."""
        with self._lock:
            self._closing = True
            self._changed.notify_all()

    def close(self, seconds: float) -> None:
        """Finish, and wait for that, up to a timeout."""
        self.finish()
        if self._thread is None:
            if self._queue:
                self._loop()
            return
        self._thread.join(seconds)
        if self._thread.is_alive():
            left = len(self._queue)
            logger.warning(
                "%s did not finish in time: %d facts, and those that it holds, are left. "
                "Make it faster, or check its destination.",
                self, left,
            )  # fmt: skip

    # ------------------------------------------------------------ the thread

    def _loop(self) -> None:
        while True:
            with self._lock:
                self._busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._queue or self._closing)
                self._busy = True
            while batch := self._take():
                self._hand_over(batch)
            self._confess()
            if self._closing and not self._queue:
                break
        self._close()
        with self._lock:
            self._busy = False
            self._changed.notify_all()

    def _take(self) -> list[Event]:
        """Take the next events from the queue, without those that were delivered already."""
        batch: list[Event] = []
        while self._queue and len(batch) < BATCH:
            event = self._queue.popleft()
            if event.id not in self._recent:
                self._recent[event.id] = None
                batch.append(event)
        for _ in range(len(self._recent) - RECENT):
            del self._recent[next(iter(self._recent))]
        return batch

    def _hand_over(self, batch: list[Event]) -> None:
        # Whatever an observer raises, including SystemExit, has no other effect.
        try:
            if self._observer is None:
                self._observer = self._make()
            self._observer.observe(batch)
        except BaseException as error:  # noqa: BLE001
            self._fail(error)

    def _close(self) -> None:
        if self._observer is None and self._errors:
            return
        try:
            observer = self._observer or self._make()
            observer.close()
        except BaseException as error:  # noqa: BLE001
            self._fail(error)
        if self._errors > 1:
            logger.warning("%s has raised %d times in all.", self, self._errors)

    def _fail(self, error: BaseException) -> None:
        """Log the first error; count the following ones."""
        self._errors += 1
        if self._errors == 1:
            logger.error(
                "%s raised %s: %s. The run continues; later errors of this observer are counted.",
                self, type(error).__name__, error, exc_info=error,
            )  # fmt: skip

    def _confess(self) -> None:
        with self._lock:
            missed, self._missed = self._missed, 0
        if missed:
            logger.warning(
                "%s missed %d facts: it is slower than the run, and %d were waiting already. "
                "`flowstone run show` has them all.",
                self, missed, self._limit,
            )  # fmt: skip


_all: WeakSet[Feed] = WeakSet()


def _after_fork() -> None:
    # The queued events are the parent's, and its thread does not exist here; the observer is
    # created again.
    for feed in list(_all):
        feed.reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
