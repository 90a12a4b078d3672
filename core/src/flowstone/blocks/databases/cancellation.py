"""Calls of a driver that can be stopped: by a signal, from another thread, or with a coroutine."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from contextvars import ContextVar, copy_context
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from flowstone.blocks.async_twins import make_twin, run_in_thread, run_stoppable
from flowstone.ports.interrupts import interruptible
from flowstone.ports.threads import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

S = TypeVar("S")
P = ParamSpec("P")
T = TypeVar("T")

#: Seconds between two requests to stop: the first one may come before the query has started.
AGAIN = 0.05
#: Seconds that a cancelled coroutine waits for its query to end in the database.
GRACE = 5.0


class Stopped(Exception):
    """The call was stopped before it began."""


class Call:
    """One call of a driver; `stop` asks it to end, and repeats that until it has ended."""

    def __init__(self, interrupt: Callable[[], None]) -> None:
        self.stopped = False
        self._interrupt = interrupt
        self._lock = threading.Lock()
        self._over = threading.Event()

    def stop(self) -> None:
        """Ask the call to end; return immediately."""
        if not self.stopped:
            self.stopped = True
            threading.Thread(target=self._insist, name="flowstone-stop", daemon=True).start()

    def _insist(self) -> None:
        while not self._over.is_set():
            with self._lock:  # so that no later call on the connection is stopped
                if not self._over.is_set():
                    with suppress(Exception):
                        self._interrupt()
            self._over.wait(AGAIN)

    def _end(self) -> None:
        with self._lock:
            self._over.set()

    def run(self, work: Callable[[], T]) -> T:
        """Make the call; the main thread, which must handle signals, uses another thread for it."""
        request = _request.get()
        if request is not None:
            request.follow(self)
        try:
            if threading.current_thread() is threading.main_thread():
                return self._aside(work)
            with interruptible(self.stop):
                return work()
        except BaseException:
            self._end()  # a stop signal may arrive in the lines below
            raise
        finally:
            self._end()

    def _aside(self, work: Callable[[], T]) -> T:
        ended = threading.Event()
        value: list[T] = []
        raised: list[BaseException] = []

        def make() -> None:
            try:
                value.append(work())
            except BaseException as error:  # noqa: BLE001 - it is raised where the call was made
                raised.append(error)
            ended.set()

        # The driver needs the calling run to record its queries.
        _helper().put(partial(copy_context().run, make))
        try:
            wait_for(ended, None)
        except BaseException:
            self.stop()
            if not ended.wait(GRACE):
                _forget_helper()  # the helper is still busy; the next call uses another
            raise
        if raised:
            raise raised.pop()
        return value[0]


#: The thread that makes the main thread's calls, by process id.
_helpers: dict[int, SimpleQueue[Callable[[], None]]] = {}


def _helper() -> SimpleQueue[Callable[[], None]]:
    queue = _helpers.get(os.getpid())
    if queue is None:
        queue = _helpers[os.getpid()] = SimpleQueue()
        threading.Thread(
            target=_make_all, args=(queue,), name="flowstone-driver", daemon=True
        ).start()
    return queue


def _forget_helper() -> None:
    _helpers.pop(os.getpid(), None)


def _make_all(queue: SimpleQueue[Callable[[], None]]) -> None:
    while True:
        queue.get()()


class _Request:
    """A coroutine's request to stop what it waits for, now or as soon as it starts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = False
        self._call: Call | None = None

    def follow(self, call: Call) -> None:
        with self._lock:
            if self._asked:
                raise Stopped
            self._call = call

    def stop(self) -> None:
        with self._lock:
            self._asked = True
            if self._call is not None:
                self._call.stop()


_request: ContextVar[_Request | None] = ContextVar("flowstone_stop_request", default=None)


async def in_thread(work: Callable[[], T]) -> T:
    """Do blocking work in a thread; if the coroutine is cancelled, stop the driver as well."""
    request = _Request()
    token = _request.set(request)
    try:
        return await run_stoppable(work, request.stop, grace_seconds=GRACE)
    finally:
        _request.reset(token)


def make_stoppable(
    method: Callable[Concatenate[S, P], T],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """Return the async version of a method; if it is cancelled, its query is stopped."""
    return make_twin(method, in_thread)


async def walk(batches: Iterator[list[T]]) -> AsyncIterator[T]:
    """Yield from batches that are fetched in threads, and close their iterator at the end."""
    try:
        while (batch := await in_thread(lambda: next(batches, None))) is not None:
            for item in batch:
                yield item
    finally:
        close = getattr(batches, "close", None)
        if close is not None:
            await run_in_thread(close)
