"""Threads, and how they wait for each other, as a port: a simulation fills it in its own way."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, TypeVarTuple

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

T = TypeVar("T")
#: Seconds between two looks for a signal, on the main thread.
TICK = 0.25
Ts = TypeVarTuple("Ts")


def call_back(callback: Callable[[T], object], what: T) -> None:
    """Call back; an error of it is logged, and keeps nobody else from being called."""
    try:
        callback(what)
    except Exception:
        import logging  # 8 ms to import, which the first run of a flow pays

        logging.getLogger("flowstone.futures").exception("a callback of %r raised", what)


def call_on_loop(loop: AbstractEventLoop, call: Callable[[*Ts], object], *args: *Ts) -> None:
    """Make a call on a loop from any thread; on one that is closed nobody waits any more."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(call, *args)


def wait_for(flag: Signal, timeout: float | None) -> None:
    """Wait for a flag; on the main thread, hear a signal that comes just before the wait begins.

    Python tells of such a one only when the wait is over: a Ctrl-C would be lost in a long one.
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
        """Wake all that wait."""

    def clear(self) -> None:
        """Make who waits from here on wait until it is set again."""

    def wait(self, timeout: float | None = None) -> bool:
        """Block until it is set, or the time is over; tell whether it is set."""


class WaitCondition(AbstractContextManager[Any], Protocol):
    """What one thread wakes another with; `threading.Condition` is one. Held while it is used."""

    def notify(self) -> None:
        """Wake one that waits."""

    def wait(self, timeout: float | None = None) -> bool:
        """Let go of it until somebody notifies, or the time is over."""


class Thread(Protocol):
    """A thread; `threading.Thread` is one."""

    def start(self) -> None:
        """Let it run."""

    def is_alive(self) -> bool:
        """Tell whether it runs."""

    def join(self, timeout: float | None = None) -> None:
        """Block until it has ended, or the time is over."""


class Threads(Protocol):
    """Threads, and how they wait for each other; the module `threading` is one."""

    def Thread(self, *, target: Callable[[], None], name: str, daemon: bool) -> Thread:  # noqa: N802
        """Return a thread that will call `target`."""

    def RLock(self) -> AbstractContextManager[object]:  # noqa: N802
        """Return a lock that its holder can take again."""

    def Condition(self) -> WaitCondition:  # noqa: N802
        """Return what one thread wakes another with."""

    def Event(self) -> Signal:  # noqa: N802
        """Return a flag that threads wait for."""
