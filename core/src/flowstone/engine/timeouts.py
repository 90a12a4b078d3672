"""Timeouts of blocking calls: an alarm on the main thread, an error put into any other."""

from __future__ import annotations

import ctypes
import signal
import threading
from time import monotonic
from typing import TYPE_CHECKING, Any

from flowstone.errors import RunTimeout
from flowstone.ports.interrupts import interrupt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Code that is not stopped so many seconds after its limit was in a call that blocks.
_LATE = 0.5


class _Expired(BaseException):
    """Raised in the middle of the call; not an `Exception`, so that no `except` swallows it."""


def call_within(
    fn: Callable[..., object],
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
    seconds: float,
    name: str,
) -> object:
    """Call `fn`, and give up after so many seconds.

    Raises:
        RunTimeout: it took longer. Where the call could not be interrupted (a blocking call in a
            thread), that is said, and the error comes when the call has ended.
    """
    main = threading.current_thread() is threading.main_thread()
    limit: Any = _Alarm if main and hasattr(signal, "setitimer") else _Injection
    began = monotonic()
    expired = limit(seconds)
    try:
        with expired:
            value = fn(*args, **kwargs)
    except _Expired as error:
        if error is not expired.error and type(error) is not expired.error:
            raise  # an outer call's limit
        took = monotonic() - began
        raise RunTimeout(name, seconds, _explain(took) if took - seconds > _LATE else "") from None
    if (took := monotonic() - began) > seconds:
        raise RunTimeout(name, seconds, _explain(took))
    return value


def _explain(took: float) -> str:
    return f"A blocking call could not be interrupted; it ended after {took:.1f} s."


class _Alarm:
    """SIGALRM, nested: an inner limit that is later than the outer one leaves the outer's alarm."""

    def __init__(self, seconds: float) -> None:
        self.error = _Expired()
        self._seconds = seconds

    def __enter__(self) -> None:
        self._began = monotonic()
        self._outer, _ = signal.getitimer(signal.ITIMER_REAL)
        self._armed = not 0 < self._outer <= self._seconds
        if self._armed:
            self._handler = signal.signal(signal.SIGALRM, self._fire)
            signal.setitimer(signal.ITIMER_REAL, self._seconds)

    def __exit__(self, *_: object) -> None:
        if not self._armed:
            return
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._handler)
        if self._outer:
            left = self._outer - (monotonic() - self._began)
            signal.setitimer(signal.ITIMER_REAL, max(left, 1e-6))

    def _fire(self, *_: object) -> None:
        raise self.error


class _Injection:
    """An error put into the thread; it comes up when the thread next runs Python code."""

    def __init__(self, seconds: float) -> None:
        self.error = type("_Expired", (_Expired,), {})
        self._thread = threading.get_ident()
        self._lock = threading.Lock()
        self._over = False
        self._fired = False
        self._timer = threading.Timer(seconds, self._fire)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._lock:
            self._over = True
        self._timer.cancel()
        if self._fired and (kind is None or not issubclass(kind, self.error)):
            # It has not come up yet, and must not come up later.
            raise_in_thread(self._thread, None)

    def _fire(self) -> None:
        with self._lock:
            if not self._over:
                self._fired = True
                raise_in_thread(self._thread, self.error)


def raise_in_thread(thread: int, error: type[BaseException] | None) -> None:
    """Make a thread raise an error when it next runs Python code; None takes a pending one back.

    What the thread waits for is ended where it can be, so that this is soon.
    """
    value = ctypes.py_object(error) if error is not None else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), value)
    if error is not None:
        interrupt(thread)
