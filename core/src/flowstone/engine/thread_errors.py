"""Raise errors asynchronously in other threads."""

from __future__ import annotations

import ctypes
import threading
from contextlib import suppress

from flowstone.ports.interrupts import interrupt


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
