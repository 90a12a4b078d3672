"""Errors put into threads, which raise them when they next run Python code."""

from __future__ import annotations

import ctypes
import threading
from contextlib import suppress

from flowstone.ports.interrupts import interrupt


def raise_in_thread(thread: int, error: type[BaseException]) -> None:
    """Make a thread raise an error when it next runs Python code.

    What the thread waits for is ended where it can be, so that this is soon.
    """
    _set_error(thread, error)
    interrupt(thread)


def take_error_back(thread: int) -> None:
    """Make a thread not raise the error that it was to raise, if it has not come up yet."""
    _set_error(thread, None)
    stop_looking_for_errors()


def stop_looking_for_errors() -> None:
    """Make the interpreter not look for errors that threads are to raise.

    Once one was put into a thread, it looks for it in all of them until it has come up, and Python
    3.11 does nothing else where a profiler, a debugger or coverage traces a call. A thread that
    is still to raise one does so when its blocking call ends.
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
