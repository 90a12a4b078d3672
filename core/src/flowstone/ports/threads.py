"""The port of threads and synchronization, which a simulation can replace."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, TypeVarTuple

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

T = TypeVar("T")
#: Seconds between two checks for a signal, on the main thread.
TICK = 0.25
Ts = TypeVarTuple("Ts")


def call_back(callback: Callable[[T], object], what: T) -> None:
    """Call a callback; log an error, so that other callbacks are still called."""
    try:
        callback(what)
    except Exception:
        import logging  # takes 8 ms to import, in the first run of a flow

        logging.getLogger("flowstone.futures").exception("a callback of %r raised", what)


def call_on_loop(loop: AbstractEventLoop, call: Callable[[*Ts], object], *args: *Ts) -> None:
    """Make a call on an event loop from any thread; do nothing if it is closed."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(call, *args)


def wait_for(flag: Signal, timeout: float | None) -> None:
    """Wait for a flag; on the main thread, handle a signal that comes just before the wait begins.

    Python handles it only when the wait is over, so a Ctrl-C would be delayed by a long one.
    """
    if threading.current_thread() is not threading.main_thread():
        flag.wait(timeout)
        return
    end = None if timeout is None else monotonic() + timeout
    while not flag.wait(TICK if end is None else max(0.0, min(TICK, end - monotonic()))):
        if end is not None and monotonic() >= end:
            return


class Signal(Protocol):
    """A flag that threads wait for; `threading.Event` is one."""

    def set(self) -> None:
        """Wake all waiting threads."""

    def clear(self) -> None:
        """Make threads wait again until it is set."""

    def wait(self, timeout: float | None = None) -> bool:
        """Block until it is set, or the timeout has expired; return whether it is set."""


class WaitCondition(AbstractContextManager[Any], Protocol):
    """A condition; `threading.Condition` is one. It must be held while it is used."""

    def notify(self) -> None:
        """Wake one waiting thread."""

    def wait(self, timeout: float | None = None) -> bool:
        """Release it until it is notified, or the timeout has expired."""


class Thread(Protocol):
    """A thread; `threading.Thread` is one."""

    def start(self) -> None:
        """Start it."""

    def is_alive(self) -> bool:
        """Return whether it is running."""

    def join(self, timeout: float | None = None) -> None:
        """Block until it has ended, or the timeout has expired."""


class Threads(Protocol):
    """Threads and synchronization; the module `threading` is one."""

    def Thread(self, *, target: Callable[[], None], name: str, daemon: bool) -> Thread:  # noqa: N802
        """Return a thread that will call `target`."""

    def RLock(self) -> AbstractContextManager[object]:  # noqa: N802
        """Return a reentrant lock."""

    def Condition(self) -> WaitCondition:  # noqa: N802
        """Return a condition."""

    def Event(self) -> Signal:  # noqa: N802
        """Return a flag that threads can wait for."""
