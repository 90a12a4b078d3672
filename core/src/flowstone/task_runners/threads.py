"""Submitted calls on threads of this process, or on event loops if they are async."""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine
from contextlib import contextmanager, suppress
from contextvars import Context, ContextVar, copy_context
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Iterator

    from flowstone.ports import RemoteCaller
    from flowstone.ports.threads import Threads


#: Maximum depth of calls that wait for each other and are nested on one thread.
DEEPEST = 8
#: Maximum number of event loops of a pool; each takes a thread and three open files.
MOST_LOOPS = 64

_here = threading.local()
#: The number of coroutines around this code that were submitted by each other.
_level: ContextVar[int] = ContextVar("flowstone.loop", default=0)


def is_worker() -> bool:
    """Return whether this thread belongs to a pool: waiting on it may keep others from running."""
    return getattr(_here, "pool", None) is not None


@contextmanager
def release_worker() -> Iterator[None]:
    """Let another thread of the pool work in this one's place while it waits."""
    pool: ThreadPool | None = getattr(_here, "pool", None)
    if pool is None:
        yield
        return
    # Several coroutines of one thread may wait.
    _here.waits = waits = getattr(_here, "waits", 0) + 1
    if waits == 1:
        pool.count_waiting(1)
    try:
        yield
    finally:
        _here.waits -= 1
        if not _here.waits:
            pool.count_waiting(-1)


def get_loop() -> AbstractEventLoop | None:
    """Return the event loop that a pool runs on this thread, if there is one."""
    return getattr(_here, "loop", None)


def has_next_loop() -> bool:
    """Return whether what is submitted here gets another event loop than this code's."""
    return _level.get() < MOST_LOOPS


def enter_loop(context: Context) -> None:
    """Mark what runs in a context as a part of the submitted coroutine that this code is in."""
    context.run(_level.set, _level.get())


def call_nested(call: Callable[[], object], threads: Threads) -> None:
    """Make a call that this thread waits for: here, or on its own thread if many are nested.

    A thousand calls that wait for each other must not become a stack of a thousand.
    """
    depth, pool = getattr(_here, "depth", 0), getattr(_here, "pool", None)
    if depth < DEEPEST:
        _here.depth = depth + 1
        try:
            call()
        finally:
            _here.depth = depth
        return

    def elsewhere() -> None:
        _here.pool = pool
        call()

    thread = threads.Thread(target=elsewhere, name="flowstone-nested", daemon=True)
    thread.start()
    thread.join()


class ThreadPool:
    """A `Runner` with threads that are started as needed, up to a maximum, and shared.

    Coroutines share an event loop. One that is submitted by another gets the next loop: the other
    may block its own until it has the result. If all threads wait, another one is added, as what
    they wait for may depend on something that has not started.

    They are daemons: a blocking call that can't be stopped must not keep the process alive. Code
    that needs a call to end waits for its future, not for its thread.
    """

    def __init__(self, max_workers: int, max_in_flight: int | None = None) -> None:
        self.max_in_flight = max_in_flight
        self.caller: RemoteCaller | None = None
        self._max_workers = max_workers
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0
        self._waiting = 0
        self._loops: dict[int, AbstractEventLoop] = {}
        self._tasks: set[Any] = set()

    def submit(self, call: Callable[[], None]) -> None:
        self._calls.put(call)
        if self._waiting >= self._threads or (
            self._idle <= self._calls.qsize() - 1 and self._threads < self._max_workers
        ):
            self._grow()

    def count_waiting(self, change: int) -> None:
        """Count one more or one less waiting thread."""
        with self._lock:
            self._waiting += change
        if self._waiting >= self._threads and not self._calls.empty():
            self._grow()

    def submit_async(self, call: Callable[[], Coroutine[object, object, None]]) -> None:
        level = min(_level.get() + 1, MOST_LOOPS)
        loop, context = self._open_loop(level), copy_context()
        context.run(_level.set, level)

        def start() -> None:
            task = loop.create_task(call())
            self._tasks.add(task)  # the event loop only has a weak reference
            task.add_done_callback(self._tasks.discard)

        loop.call_soon_threadsafe(start, context=context)

    def close(self) -> None:
        with self._lock:
            for _ in range(self._threads):
                self._calls.put(None)
            loops, self._loops = self._loops, {}
        for loop in loops.values():
            loop.call_soon_threadsafe(loop.stop)

    def _grow(self) -> None:
        with self._lock:
            stands_in = self._threads >= self._max_workers
            if stands_in and self._waiting < self._threads:
                return
            self._threads += 1
            name = f"flowstone-worker-{self._threads}"
        work = self._stand_in if stands_in else self._work
        threading.Thread(target=work, name=name, daemon=True).start()

    def _work(self) -> None:
        _here.pool = self
        while (call := self._take_call()) is not None:
            call()
            del call  # or an idle thread would keep the last call's arguments alive

    def _take_call(self) -> Callable[[], None] | None:
        """Return the next call, waited for as an idle thread; None where the pool is closed."""
        try:
            return self._calls.get_nowait()  # a busy pool's threads are never idle
        except Empty:
            with self._lock:
                self._idle += 1
            call = self._calls.get()
            with self._lock:
                self._idle -= 1
            return call

    def _stand_in(self) -> None:
        """Work until there is no more to do, or one of the waiting threads works again."""
        _here.pool = self
        while True:
            with suppress(Empty):
                call = self._calls.get_nowait()
                if call is None:
                    return
                call()
                del call
            with self._lock:
                self._threads -= 1  # before the check: a later submit starts another one
                if self._calls.empty() or self._waiting < self._threads:
                    return
                self._threads += 1

    def _open_loop(self, level: int) -> AbstractEventLoop:
        import asyncio  # takes 40 ms to import; only needed for async tasks

        with self._lock:
            loop = self._loops.get(level)
            if loop is None:
                loop = self._loops[level] = asyncio.new_event_loop()
                name = "flowstone-loop" if level == 1 else f"flowstone-loop-{level}"
                # A fresh context: the first submitter's must not be shared.
                threading.Thread(
                    target=Context().run, args=(_run_loop, loop), name=name, daemon=True
                ).start()
            return loop


def _run_loop(loop: AbstractEventLoop) -> None:
    _here.loop = loop
    try:
        loop.run_forever()
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
