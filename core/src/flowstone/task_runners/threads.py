"""Submitted calls on threads of this process; coroutines on one event loop beside them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine
from contextvars import Context
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from flowstone.ports import RemoteCaller
    from flowstone.ports.threads import Threads


#: So many calls that wait for each other are made inside each other on one thread.
DEEPEST = 8

_here = threading.local()


def is_worker() -> bool:
    """Tell whether this thread is a pool's: one that waits here may keep others from running."""
    return getattr(_here, "works", False)


def call_nested(call: Callable[[], object], threads: Threads) -> None:
    """Make a call that this thread waits for: here, or on its own thread where many are nested.

    A thousand calls that wait for each other must not become a stack of a thousand.
    """
    depth, works = getattr(_here, "depth", 0), is_worker()
    if depth < DEEPEST:
        _here.depth = depth + 1
        try:
            call()
        finally:
            _here.depth = depth
        return

    def elsewhere() -> None:
        _here.works = works
        call()

    thread = threads.Thread(target=elsewhere, name="flowstone-nested", daemon=True)
    thread.start()
    thread.join()


class ThreadPool:
    """A `Runner`: threads are started as they are needed, up to a number, and shared.

    They are daemons: a blocking call that can't be stopped must not keep the process from
    ending. Whoever needs a call to end waits for its future, not for its thread.
    """

    def __init__(self, max_workers: int, max_in_flight: int | None = None) -> None:
        self.max_in_flight = max_in_flight
        self.caller: RemoteCaller | None = None
        self._max_workers = max_workers
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0
        self._loop: AbstractEventLoop | None = None
        self._tasks: set[Any] = set()

    def submit(self, call: Callable[[], None]) -> None:
        self._calls.put(call)
        if self._idle <= self._calls.qsize() - 1 and self._threads < self._max_workers:
            self._grow()

    def submit_async(self, call: Callable[[], Coroutine[object, object, None]]) -> None:
        loop = self._event_loop()

        def start() -> None:
            task = loop.create_task(call())
            self._tasks.add(task)  # the loop itself keeps only a weak reference
            task.add_done_callback(self._tasks.discard)

        loop.call_soon_threadsafe(start)

    def close(self) -> None:
        with self._lock:
            for _ in range(self._threads):
                self._calls.put(None)
            loop, self._loop = self._loop, None
        if loop is not None:
            loop.call_soon_threadsafe(loop.stop)

    def _grow(self) -> None:
        with self._lock:
            if self._threads >= self._max_workers:
                return
            self._threads += 1
            name = f"flowstone-worker-{self._threads}"
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def _work(self) -> None:
        _here.works = True
        while True:
            with self._lock:
                self._idle += 1
            call = self._calls.get()
            with self._lock:
                self._idle -= 1
            if call is None:
                return
            call()
            del call  # or an idle thread would keep the last call's arguments alive

    def _event_loop(self) -> AbstractEventLoop:
        import asyncio  # 40 ms of start-up that flows without async tasks save

        with self._lock:
            if self._loop is None:
                loop = self._loop = asyncio.new_event_loop()
                target = _run_loop
                name = "flowstone-loop"
                # A fresh context: the first submitter's must not be everybody's.
                threading.Thread(
                    target=Context().run, args=(target, loop), name=name, daemon=True
                ).start()
            return self._loop


def _run_loop(loop: AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
