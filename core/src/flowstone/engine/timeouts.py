"""Timeouts of blocking calls: a signal on the main thread, an injected error in other threads."""

from __future__ import annotations

import _weakrefset
import gc
import math
import os
import signal
import threading
import weakref
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, Any

from flowstone.context.deadlines import limit_to
from flowstone.engine.thread_errors import (
    cancel_error_in_thread,
    end_watch,
    raise_in_thread,
    watch_for_loss,
)
from flowstone.errors import RunTimeout

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType

#: Interrupts the main thread. SIGALRM is not used, since libraries set alarms.
_SIGNAL: int = signal.SIGRTMIN + 7 if hasattr(signal, "SIGRTMIN") else getattr(signal, "SIGURG", 0)
#: Code that is still running this many seconds after its limit is in a blocking call.
_LATE = 0.5
#: Seconds before a call that was in a finalizer is interrupted again.
_SOON = 0.01
#: The modules with the callbacks of weak dictionaries and sets.
_CALLBACKS = frozenset({weakref.__file__, _weakrefset.__file__})


class _Expired(BaseException):
    """Raised in the middle of the call; not an `Exception`, so that no `except` swallows it."""


def call_within(
    fn: Callable[..., object],
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
    seconds: float,
    name: str,
) -> object:
    """Call `fn` with a time limit.

    Raises:
        RunTimeout: it took longer. If the call could not be interrupted (a blocking call in a
            thread), the message says so, and the error is raised when the call has ended.
    """
    main = threading.current_thread() is threading.main_thread()
    limit: Any = _Interrupt if main and _SIGNAL else _Injection
    began = monotonic()
    expired = limit(seconds)
    try:
        with expired, limit_to(seconds):
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


class _Interrupt:
    """A signal to the main thread after the timeout, whose handler raises there."""

    def __init__(self, seconds: float) -> None:
        self.error = _Expired()
        self._seconds = seconds

    def __enter__(self) -> None:
        if signal.getsignal(_SIGNAL) is not _raise_expired:
            signal.signal(_SIGNAL, _raise_expired)
        _limits.append(self)
        self.end = monotonic() + self._seconds
        _watch.wake_at(self.end)

    def __exit__(self, *_: object) -> None:
        self.end = math.inf
        _limits.remove(self)


#: The limits of the active calls on the main thread, outermost first.
_limits: list[_Interrupt] = []


def _raise_expired(_number: int, frame: FrameType | None) -> None:
    """End the outermost call that has exceeded its limit; a late signal has no effect."""
    now = monotonic()
    for limit in _limits:
        if limit.end <= now:
            if _is_in_finalizer(frame):
                limit.end = now + _SOON
                _watch.wake_at(limit.end)
                return
            limit.end = math.inf  # once
            raise limit.error


def _is_in_finalizer(frame: FrameType | None) -> bool:
    """Return whether Python would ignore an error: in ``__del__``, a callback of weakref or gc."""
    callbacks = [getattr(callback, "__code__", None) for callback in gc.callbacks]
    while frame is not None:
        code = frame.f_code
        if code.co_name == "__del__" or code.co_filename in _CALLBACKS or code in callbacks:
            return True
        frame = frame.f_back
    return False


class _Watch:
    """A thread that interrupts the main thread when one of its limits is exceeded.

    It takes no lock: the main thread may be interrupted while it holds it, and never release it.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._until = math.inf

    def wake_at(self, end: float) -> None:
        """Check the limits at that time."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="flowstone-limits", daemon=True)
            self._thread.start()
        if end < self._until:
            self._calls.put(None)

    def _run(self) -> None:
        main = threading.main_thread().ident or 0
        while True:
            self._until = math.inf  # so that a limit added from here on wakes it
            now = monotonic()
            ends = [limit.end for limit in list(_limits)]
            if any(end <= now for end in ends):
                signal.pthread_kill(main, _SIGNAL)
            self._until = min((end for end in ends if end > now), default=math.inf)
            with suppress(Empty):
                self._calls.get(timeout=None if self._until == math.inf else self._until - now)


_watch = _Watch()


def _restart_watch() -> None:
    global _watch
    _watch = _Watch()
    for limit in _limits:
        limit.end = math.inf


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_restart_watch)  # its thread doesn't exist in a forked child


class _Injection:
    """An error injected into the thread; it is raised when the thread next runs Python code."""

    def __init__(self, seconds: float) -> None:
        self.error = type("_Expired", (_Expired,), {})
        self._thread = threading.get_ident()
        self._lock = threading.Lock()
        self._over = False
        self._fired = False
        self._lost: SimpleQueue[bool] = SimpleQueue()  # False: the call is over
        self._timer = threading.Thread(
            target=self._run, args=(seconds,), name="flowstone-limit", daemon=True
        )

    def __enter__(self) -> None:
        watch_for_loss(self.error, partial(self._lost.put, True))
        self._timer.start()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._lock:
            self._over = True
        self._lost.put(False)
        end_watch(self.error)
        if self._fired and (kind is None or not issubclass(kind, self.error)):
            # It has not been raised yet, and must not be raised later.
            cancel_error_in_thread(self._thread)

    def _run(self, seconds: float) -> None:
        """Inject the error after the timeout, and again whenever it was lost."""
        pause: float | None = seconds
        while True:
            try:
                if not self._lost.get(timeout=pause):
                    return
                pause = _SOON
            except Empty:
                self._fire()
                pause = None

    def _fire(self) -> None:
        with self._lock:
            if not self._over:
                self._fired = True
                raise_in_thread(self._thread, self.error)
