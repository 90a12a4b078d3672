"""Handles SIGTERM while a run is driven on the main thread: ends the run, then the process."""

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

#: Seconds after which a loop that has not reacted to a cancel is treated as blocked.
HEARING = 0.25

#: Seconds between two checks for a signal on an idle event loop.
TICK = 0.25


@contextmanager
def sigterm_as_signal(is_inside: Callable[[], bool] = lambda: True) -> Iterator[Stop]:
    """Turn SIGTERM into a `TerminationSignal`, which ends the process after the run is recorded.

    Yields a function that stops the run from any thread. On the main thread, it sends a signal,
    which interrupts blocking calls; on other threads, it raises an error when Python code next
    runs.

    SIGTERM is handled only on the main thread, where Python delivers it, and only if the program
    has no other handler.

    Args:
        is_inside: called on the main thread before a cancel; returns False if the consumer's code
            is running, and not the run's.
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
    """Async version of `sigterm_as_signal`: cancel the run's task; see `translate_cancellation`.

    The loop's own code must not be interrupted: an error raised there would end the loop, or be
    swallowed. All concurrent runs are ended, and the last one ends the process.
    """
    import asyncio  # 40 ms to import; a loop is running, so it is imported already

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
    """Cancels a run's task on the main thread's loop, and interrupts code that blocks the loop.

    A coroutine that makes a blocking call, such as a future's `result()`, blocks its loop, which
    can't react to anything.
    """

    def __init__(self, task: Task[object]) -> None:
        self._task = task
        self._is_heard = self._is_over = False
        self._lock = threading.Lock()
        #: Whether our handler of SIGTERM is installed.
        self.is_possible = False

    def cancel(self, error: type[StopSignal]) -> None:
        """Cancel the task, from any thread; raise the error if the loop is blocked."""
        self._task.get_loop().call_soon_threadsafe(self._hear)
        if self.is_possible and error is not SuspendSignal and hasattr(signal, "pthread_kill"):
            timer = threading.Timer(HEARING, self._break_in, (error,))
            timer.daemon = True
            timer.start()

    def close(self) -> None:
        """Stop interrupting."""
        self._is_over = True
        with self._lock:  # an interrupt in progress finishes first, and is ignored
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
        """Return, on the main thread, whether there is code to interrupt."""
        import asyncio  # 40 ms to import; a loop is running, so it is imported already

        running = asyncio.current_task(self._task.get_loop())
        if self._is_heard or self._is_over or running is None:
            return False
        # In another task's code, the error would end that task; this one is cancelled later.
        self._is_heard = running is self._task
        return True


def _tick(loop: AbstractEventLoop) -> None:
    """Wake the loop regularly, while runs are on it.

    A signal that arrives just before the loop begins to wait is only handled when it wakes again:
    Ctrl-C would have no effect until something else happens.
    """
    if not loop.is_closed():
        loop.call_later(TICK, lambda: _tick(loop) if _tasks else None)


def translate_cancellation(error: BaseException) -> BaseException:
    """Return the `TerminationSignal` for a cancellation by SIGTERM; other errors unchanged."""
    if not (_received or _suspended) or not is_cancellation(error):
        return error
    import asyncio  # 40 ms to import; a loop is running, so it is imported already

    if not _received and asyncio.current_task() not in _suspended:
        return error
    return _received[0] if _received else SuspendSignal()


#: The tasks of the root runs on the main thread's event loop, while SIGTERM is ours.
_tasks: set[Task[object]] = set()
#: Those of them that were requested to suspend their run, by a cancellation.
_suspended: set[Task[object]] = set()
#: The error that the run on the main thread must stop with, and whether its code runs there. It is
#: delivered by our own signal.
_requests: list[tuple[type[StopSignal], Callable[[], bool]]] = []
#: The SIGTERM that the sync run on the main thread has received.
_terminated: list[TerminationSignal] = []
#: Our handler, left behind by a run that ended on another thread.
_left: set[Callable[..., None]] = set()
#: The SIGTERM that they have received.
_received: list[TerminationSignal] = []


def translate_close(error: BaseException) -> BaseException:
    """Return the error for a generator that is closed: after SIGTERM, a `TerminationSignal`."""
    told = _terminated or _received
    return told[0] if told and isinstance(error, GeneratorExit) else error


def _is_ours() -> bool:
    main = threading.current_thread() is threading.main_thread()
    return main and signal.getsignal(signal.SIGTERM) in {signal.SIG_DFL, *_left}


def _leave(handler: Callable[..., None]) -> None:
    """Restore the signal handler; as only the main thread can, others leave it for replacement."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _left.clear()
    else:
        _left.add(handler)


def _end_process() -> None:
    with suppress(Exception):  # nothing else is called at such an exit, not even `atexit`
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
    # ctypes takes 5 ms to import, which only a cancelled run needs.
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
    import asyncio  # 40 ms to import; a loop is running, so it is imported already

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
    """Reset in a forked child: the runs and the handling of SIGTERM belong to the parent."""
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
