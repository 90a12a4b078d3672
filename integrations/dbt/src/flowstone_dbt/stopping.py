"""Work that its caller can stop: threads of cancelled coroutines, and sleeps."""

from __future__ import annotations

import threading
from contextvars import ContextVar
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

from flowstone.blocks.async_twins import run_stoppable

if TYPE_CHECKING:
    from collections.abc import Callable

R = TypeVar("R")

#: Maximum wait in seconds: a run in a thread is stopped when its code next runs.
SLICE = 0.2
#: Set to stop the work in this context.
stopping: ContextVar[threading.Event | None] = ContextVar("flowstone_dbt_stopping", default=None)


class DbtStopped(BaseException):
    """The command was stopped by its caller."""


def check_stop() -> None:
    """Return, unless the caller has stopped the work.

    Raises:
        DbtStopped: the caller has stopped the work.
    """
    stop = stopping.get()
    if stop is not None and stop.is_set():
        raise DbtStopped


def pause_for(seconds: float) -> None:
    """Sleep, but notice when the run is cancelled or stopped.

    Raises:
        DbtStopped: the caller has stopped the work.
    """
    end, pause = monotonic() + seconds, threading.Event()
    while (left := end - monotonic()) > 0:
        check_stop()
        pause.wait(min(left, SLICE))


async def run_in_thread(work: Callable[[], R]) -> R:
    """Do work that runs dbt in a thread; if the coroutine is cancelled, dbt is stopped first."""
    stop = threading.Event()
    token = stopping.set(stop)
    try:
        return await run_stoppable(work, stop.set)
    finally:
        stopping.reset(token)
