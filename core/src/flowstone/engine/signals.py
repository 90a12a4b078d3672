"""SIGTERM while a run is driven on the main thread: the run is ended honestly, then the process."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

from flowstone.context import current
from flowstone.engine.policy import is_cancellation
from flowstone.errors import StopSignal, SuspendSignal, TerminationSignal

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Task
    from collections.abc import Iterator


#: Stops a run, from any thread.
Stop = Callable[[type[StopSignal]], None]

#: Seconds after which a loop that has not reacted to a cancel counts as blocked.
HEARING = 0.25

#: Seconds between two looks for a signal on an event loop that has nothing to do.
TICK = 0.25


@contextmanager
def sigterm_as_signal(is_inside: Callable[[], bool] = lambda: True) -> Iterator[Stop]:
    """Turn SIGTERM into a `TerminationSignal`; after the run is recorded, let it end the process.

    Yields what stops the run with a signal of ours, from any thread. On the main thread that comes
    as a signal too, as a signal breaks into blocking calls; elsewhere it is raised when Python code
    next runs.

    Only where nobody else handles the signal, and only on the main thread, where Python
    delivers it.

    Args:
        is_inside: asked on the main thread when it is to be cancelled there; False where the code
            that runs is not the run's, but that of who iterates over it.
    """
    if not _is_ours():
        yield partial(_stop_thread, threading.get_ident())
        return
    _requests.clear()
    _terminated.clear()
    signal.signal(signal.SIGTERM, _terminate)
    try:
        yield partial(_stop_main, threading.get_ident(), is_inside)
    except TerminationSignal:
        _end_process()
        raise
    finally:
        _leave(_terminate)


@contextmanager
def sigterm_on_loop() -> Iterator[Stop]:
    """Do the same on an event loop: cancel the run's task; `translate_cancellation` says why.

    The loop's own code must not be interrupted: an error raised there would end the loop, or be
    swallowed. Of several runs beside each other, all are ended, and the last one the process.
    """
    import asyncio  # 40 ms of start-up; here it is running already

    task = asyncio.current_task()
    assert task is not None

    interrupter = LoopInterrupter(task)

    def stop(error: type[StopSignal]) -> None:
        if error is SuspendSignal:
            _suspended.add(task)
        interrupter.cancel(error)

    if not (_tasks or _is_ours()):
        try:
            yield stop
        finally:
            _suspended.discard(task)
        return
    if not _tasks:
        signal.signal(signal.SIGTERM, _cancel)
        _tick(task.get_loop())
    _tasks.add(task)
    interrupter.is_possible = True
    try:
        yield stop
    finally:
        interrupter.close()
        _tasks.discard(task)
        _suspended.discard(task)
        if not _tasks:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            if _received:
                _end_process()


class LoopInterrupter:
    """Cancels a run's task on the main thread's loop; where code blocks that, breaks into it.

    A coroutine that waits by a blocking call, as for a future's `result()`, keeps its loop from
    hearing of anything.
    """

    def __init__(self, task: Task[object]) -> None:
        self._task = task
        self._is_heard = self._is_over = False
        self._lock = threading.Lock()
        #: Whether SIGTERM is ours.
        self.is_possible = False

    def cancel(self, error: type[StopSignal]) -> None:
        """Cancel the task, from any thread; raise the error where the loop does not hear of it."""
        self._task.get_loop().call_soon_threadsafe(self._hear)
        if self.is_possible and error is not SuspendSignal and hasattr(signal, "pthread_kill"):
            timer = threading.Timer(HEARING, self._break_in, (error,))
            timer.daemon = True
            timer.start()

    def close(self) -> None:
        """Break into nothing from here on."""
        self._is_over = True
        with self._lock:  # who is about to does so now, and it is not heeded
            pass

    def _hear(self) -> None:
        if not self._is_heard:
            self._is_heard = True
            self._task.cancel()

    def _break_in(self, error: type[StopSignal]) -> None:
        with self._lock:
            if not (self._is_heard or self._is_over):
                _requests.append((error, self._is_blocked))
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)

    def _is_blocked(self) -> bool:
        """Tell, on the main thread, whether there is code to break into."""
        import asyncio  # 40 ms of start-up; here it is running already

        running = asyncio.current_task(self._task.get_loop())
        if self._is_heard or self._is_over or running is None:
            return False
        # In another task's code the error ends that one, and this one is cancelled when it can be.
        self._is_heard = running is self._task
        return True


def _tick(loop: AbstractEventLoop) -> None:
    """Wake the loop now and then, while runs are on it.

    A signal that comes just before the loop begins to wait is only heard when it wakes again:
    Ctrl-C would be deaf until something else happens.
    """
    if not loop.is_closed():
        loop.call_later(TICK, lambda: _tick(loop) if _tasks else None)


def translate_cancellation(error: BaseException) -> BaseException:
    """Return what an error means: a coroutine that SIGTERM has cancelled was terminated."""
    if not (_received or _suspended) or not is_cancellation(error):
        return error
    import asyncio  # 40 ms of start-up; here it is running already

    if not _received and asyncio.current_task() not in _suspended:
        return error
    return _received[0] if _received else SuspendSignal()


#: The tasks of the root runs on the main thread's event loop, while SIGTERM is ours.
_tasks: set[Task[object]] = set()
#: Those of them that were asked to suspend their run; it comes as a cancellation.
_suspended: set[Task[object]] = set()
#: What the run on the main thread was asked to stop with, and whether its code runs there. It comes
#: there as a signal of our own.
_requests: list[tuple[type[StopSignal], Callable[[], bool]]] = []
#: The SIGTERM that has come to the sync run on the main thread.
_terminated: list[TerminationSignal] = []
#: A handler of ours that a run left behind which ended on another thread.
_left: set[Callable[..., None]] = set()
#: The SIGTERM that has come to them.
_received: list[TerminationSignal] = []


def translate_close(error: BaseException) -> BaseException:
    """Return what it means that a run's values are wanted no more: after SIGTERM, that."""
    told = _terminated or _received
    return told[0] if told and isinstance(error, GeneratorExit) else error


def _is_ours() -> bool:
    main = threading.current_thread() is threading.main_thread()
    return main and signal.getsignal(signal.SIGTERM) in {signal.SIG_DFL, *_left}


def _leave(handler: Callable[..., None]) -> None:
    """Give the signal back, which only the main thread can; elsewhere, leave it to be taken."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _left.clear()
    else:
        _left.add(handler)


def _end_process() -> None:
    with suppress(Exception):  # nothing else is called at such an end, `atexit` neither
        current.services().observers.close()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)


def _stop_main(thread: int, is_inside: Callable[[], bool], error: type[StopSignal]) -> None:
    if hasattr(signal, "pthread_kill"):
        _requests.append((error, is_inside))
        signal.pthread_kill(thread, signal.SIGTERM)
    else:
        _stop_thread(thread, error)


def _stop_thread(thread: int, error: type[StopSignal]) -> None:
    # ctypes: 5 ms of start-up that only a run that is cancelled pays.
    from flowstone.engine.thread_errors import raise_in_thread

    raise_in_thread(thread, error)


def _terminate(number: int, _: object) -> None:
    if _requests:
        error, is_inside = _requests.pop()
        _requests.clear()
        if is_inside():
            raise error
        return
    if _left:
        _end_process()
    _terminated.append(TerminationSignal(signal.Signals(number).name))
    raise _terminated[-1]


def _cancel(number: int, _: object) -> None:
    import asyncio  # 40 ms of start-up; here it is running already

    if _requests:
        error, is_blocked = _requests.pop()
        _requests.clear()
        if is_blocked():
            raise error
        return
    _received.append(TerminationSignal(signal.Signals(number).name))
    for task in _tasks:
        loop = task.get_loop()
        if asyncio.current_task(loop) is task:
            raise _received[0]  # its own code is running; it may be blocking the loop
        loop.call_soon_threadsafe(task.cancel)  # wakes the loop, too


def _forget_parent() -> None:
    """In a forked child: the runs are the parent's, and so is what SIGTERM means."""
    if signal.getsignal(signal.SIGTERM) in {_terminate, _cancel}:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _tasks.clear()
    _suspended.clear()
    _received.clear()
    _requests.clear()
    _terminated.clear()
    _left.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parent)
