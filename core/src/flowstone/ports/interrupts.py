"""Interrupt a thread that waits in foreign code."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_stops: dict[int, list[Callable[[], None]]] = {}


class interruptible:  # noqa: N801 - used as `with interruptible(stop):`
    """While this thread is in the block, `interrupt` calls `stop`; blocks may be nested.

    An error that is raised in another thread only surfaces when that thread runs Python code again.
    Code that waits in a driver or in C uses this to be woken. `stop` must return immediately.
    """

    __slots__ = ("_stop", "_thread")

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop, self._thread = stop, threading.get_ident()

    def __enter__(self) -> None:
        _stops.setdefault(self._thread, []).append(self._stop)

    def __exit__(self, *_: object) -> None:
        stops = _stops[self._thread]
        stops.remove(self._stop)
        if not stops:
            del _stops[self._thread]


def interrupt(thread: int) -> None:
    """Wake a thread that waits, if it is in an `interruptible` block."""
    for stop in reversed(_stops.get(thread, [])[:]):
        stop()
