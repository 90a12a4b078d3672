"""Raise errors asynchronously in other threads."""

from __future__ import annotations

import ctypes
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from flowstone.ports.interrupts import interrupt

if TYPE_CHECKING:
    from collections.abc import Callable

#: Functions to call when an error of a type was raised where Python ignores errors.
_lost: dict[type[BaseException] | None, Callable[[], None]] = {}


def raise_in_thread(thread: int, error: type[BaseException]) -> None:
    """Make a thread raise an error when it next runs Python code.

    If the thread is blocked in a call that can be interrupted, the call is interrupted.
    """
    _set_error(thread, error)
    interrupt(thread)


def cancel_error_in_thread(thread: int) -> None:
    """Cancel the error that a thread is to raise, if it has not been raised yet."""
    _set_error(thread, None)
    clear_pending_error_flag()


def watch_for_loss(error: type[BaseException], call: Callable[[], None]) -> None:
    """Call a function when an error that is raised in a thread gets lost there.

    Python reports an error in ``__del__``, or in a callback of weakref or gc, and continues. This
    one is not reported. The function may be called at any point, so it must take no lock.
    """
    global _report
    _lost[error] = call
    if sys.unraisablehook is not _hear:
        _report = sys.unraisablehook
        sys.unraisablehook = _hear


def end_watch(error: type[BaseException]) -> None:
    """Stop calling the function."""
    _lost.pop(error, None)


def _hear(lost: sys.UnraisableHookArgs) -> None:
    call = _lost.get(lost.exc_type)
    if call is not None:
        call()
    elif getattr(_here, "is_reporting", False):  # another hook calls this one
        sys.__unraisablehook__(lost)
    else:
        _here.is_reporting = True
        try:
            _report(lost)
        finally:
            _here.is_reporting = False


_report = sys.unraisablehook
_here = threading.local()


def clear_pending_error_flag() -> None:
    """Clear the interpreter's flag that some thread has a pending asynchronous error.

    Setting an error sets the flag, and cancelling the error does not clear it. While it is set,
    Python 3.11 loops forever when a profiler, a debugger or coverage traces a call. A thread that
    still has a pending error raises it when its blocking call returns.
    """
    with suppress(_TakenBack):
        _set_error(threading.get_ident(), _TakenBack)
        while True:
            pass


class _TakenBack(BaseException):
    """Raised and caught at once."""


def _set_error(thread: int, error: type[BaseException] | None) -> None:
    value = ctypes.py_object(error) if error is not None else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), value)
