"""Blocking calls from coroutines, made in threads so that they don't block the event loop."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar, TypeVarTuple
from weakref import WeakKeyDictionary

from flowstone.context import current
from flowstone.errors import CancelSignal
from flowstone.ports.threads import call_on_loop

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future, TimerHandle
    from collections.abc import Callable
    from contextvars import Context

    from flowstone.ports.threads import Signal, Threads

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

#: The maximum number of threads for blocking calls; further calls wait for one of them.
MOST_THREADS = 64
#: Seconds after which an idle thread ends.
IDLE_SECONDS = 10.0
#: Seconds after the cancellation of its coroutine until a blocking call is interrupted.
PATIENCE = 0.7


async def call_blocking(fn: Callable[[*Ts], T], *args: *Ts, patience: float | None = None) -> T:
    """Call a function that may block in a thread; context variables that it sets are set here.

    A cancellation is raised only after the call has ended, so that nothing is left half done.

    Args:
        fn: the function.
        *args: its arguments.
        patience: as for `finish_blocking`.

    Raises:
        CancelledError: the coroutine was cancelled in the meantime; the function was called.
        BaseException: the function's exception.
    """
    late: list[BaseException] = []
    try:
        value = await finish_blocking(partial(fn, *args), late, patience=patience)
    except BaseException as error:
        if late:
            raise late[0] from error
        raise
    if late:
        raise late[0]
    return value


async def finish_blocking(
    work: Callable[[], T], late: list[BaseException], *, patience: float | None = None
) -> T:
    """Make a blocking call in a thread, and return its value even if the coroutine is cancelled.

    Args:
        work: the function; it runs in the context of the coroutine, and may change it.
        late: collects cancellations in the meantime, for the caller to raise later.
        patience: seconds after the first cancellation until the call is interrupted, by a
            `CancelSignal` in its thread. None to wait without a limit.
    """
    import asyncio  # 40 ms to import; a loop is running, so it is imported already

    loop = asyncio.get_running_loop()
    call = _BlockingCall(work, loop)
    threads = current.services().threads if current.has_services() else threading
    _find_pool(threads).start(call.run, threads)
    while not call.has_ended:
        call.waiter = loop.create_future()
        try:
            await call.waiter
        except asyncio.CancelledError as cancellation:
            if not late and patience is not None:
                call.alarm = loop.call_later(patience, call.interrupt)
            late.append(cancellation)
    return call.finish()


class _BlockingCall(Generic[T]):
    """One call, shared by its thread and the loop that waits for it."""

    def __init__(self, work: Callable[[], T], loop: AbstractEventLoop) -> None:
        self.waiter: Future[None] | None = None
        self.alarm: TimerHandle | None = None
        self.has_ended = False
        self._work, self._loop, self._context = work, loop, copy_context()
        self._values: list[T] = []
        self._error: BaseException | None = None
        self._lock = threading.Lock()
        self._thread: int | None = None
        self._is_interrupted = False

    # ------------------------------------------------------------ in the thread

    def run(self) -> None:
        self._thread = threading.get_ident()
        try:
            try:
                self._values.append(self._context.run(self._work))
            finally:
                self._leave()
        except BaseException as error:  # noqa: BLE001 - it is raised where the call is awaited
            self._error = error
        call_on_loop(self._loop, self._end)

    def _leave(self) -> None:
        """Stop accepting interrupts: a late one must not be raised in another call."""
        with self._lock:
            self._thread = None
        if self._is_interrupted:
            # ctypes takes 5 ms to import, which only an interrupted call needs.
            from flowstone.engine.thread_errors import cancel_error_in_thread

            cancel_error_in_thread(threading.get_ident())

    # ------------------------------------------------------------ on the loop

    def interrupt(self) -> None:
        # ctypes: see above.
        from flowstone.engine.thread_errors import raise_in_thread

        with self._lock:
            if self._thread is not None:
                self._is_interrupted = True
                raise_in_thread(self._thread, InterruptedCall)

    def _end(self) -> None:
        self.has_ended = True
        if self.alarm is not None:
            self.alarm.cancel()
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    def finish(self) -> T:
        """Return its value or raise its error; copy its context variables."""
        _apply_context(self._context)
        if self._error is not None:
            try:
                raise self._error
            finally:
                self._error = None  # its traceback refers to this frame
        return self._values.pop()


class InterruptedCall(CancelSignal):
    """Raised in the thread of a blocking call that takes too long after its run was cancelled."""

    def __init__(self) -> None:
        super().__init__("its run was cancelled")


def _apply_context(context: Context) -> None:
    """Set the variables that were changed in a copy of the current context."""
    for variable, value in context.items():
        if variable.get(_UNSET) is not value:
            variable.set(value)


_UNSET = object()


class CallThreads:
    """A pool of threads for blocking calls, which are started when needed.

    They are daemon threads, so a call that never returns does not prevent the exit.
    """

    def __init__(self) -> None:
        self._count = 0
        self._idle: list[_CallThread] = []
        self._queue: deque[Callable[[], None]] = deque()
        self._lock = threading.Lock()  # held for a few instructions

    def start(self, call: Callable[[], None], threads: Threads) -> None:
        """Make a call in a thread; `threads` starts new ones. At exit, it may be made here."""
        with self._lock:
            if self._idle:
                worker = self._idle.pop()
                worker.call = call
                worker.wake.set()
                return
            # A hook may wait for its own loop, which must not wait for the hook's thread.
            if self._count >= MOST_THREADS and not hasattr(_here, "worker"):
                self._queue.append(call)
                return
            # An exiting program may not start a thread, from Python 3.12 on.
            is_exiting = not threading.main_thread().is_alive()
            self._count += not is_exiting
        if is_exiting:
            call()
            return
        worker = _CallThread(self, threads.Event(), call)
        name = "flowstone-blocking"
        threads.Thread(target=worker.live, name=name, daemon=True).start()

    def wait_for_call(self, worker: _CallThread) -> Callable[[], None] | None:
        """Return the next call for a thread; None if the thread should end."""
        with self._lock:
            if self._queue:
                return self._queue.popleft()
            worker.wake.clear()
            self._idle.append(worker)
        worker.wake.wait(IDLE_SECONDS)
        with self._lock:
            if worker in self._idle:
                self._idle.remove(worker)
                self._count -= 1
                return None
        call, worker.call = worker.call, None
        return call


class _CallThread:
    """One of the threads."""

    def __init__(self, pool: CallThreads, wake: Signal, call: Callable[[], None]) -> None:
        self._pool, self.wake = pool, wake
        self.call: Callable[[], None] | None = call

    def live(self) -> None:
        _here.worker = self
        call, self.call = self.call, None
        while call is not None:
            call()
            del call  # an idle thread must not keep its last call's values alive
            call = self._pool.wait_for_call(self)


_here = threading.local()
#: Pools by what starts their threads; a simulation has one for each of its processes.
_pools: WeakKeyDictionary[Threads, CallThreads] = WeakKeyDictionary()


def _find_pool(threads: Threads) -> CallThreads:
    found = _pools.get(threads)
    return _pools.setdefault(threads, CallThreads()) if found is None else found


def is_on_loop() -> bool:
    """Return whether this code runs on an event loop."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pools.clear)  # their threads don't exist in the child
