"""Work that its caller can stop: threads of coroutines that are cancelled, and their sleeps."""

from __future__ import annotations

import threading
from contextvars import ContextVar
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

from flowstone.blocks.async_twins import run_stoppable

if TYPE_CHECKING:
    from collections.abc import Callable

R = TypeVar("R")

#: The longest wait, in seconds: a run in a thread is stopped when its code next runs.
SLICE = 0.2
#: Set by who wants what runs in this context stopped.
stopping: ContextVar[threading.Event | None] = ContextVar("flowstone_dbt_stopping", default=None)


class DbtStopped(BaseException):
    """The command was stopped by its caller."""


def check_stop() -> None:
    """Return, unless the caller wants the work stopped.

    Raises:
        DbtStopped: the caller does.
    """
    stop = stopping.get()
    if stop is not None and stop.is_set():
        raise DbtStopped


def pause_for(seconds: float) -> None:
    """Sleep, and let a run that is cancelled or stopped notice it.

    Raises:
        DbtStopped: the caller wants the work stopped.
    """
    end, pause = monotonic() + seconds, threading.Event()
    while (left := end - monotonic()) > 0:
        check_stop()
        pause.wait(min(left, SLICE))


async def run_in_thread(work: Callable[[], R]) -> R:
    """Do work that runs dbt in a thread; if the coroutine is cancelled, dbt is ended first."""
    stop = threading.Event()
    token = stopping.set(stop)
    try:
        return await run_stoppable(work, stop.set)
    finally:
        stopping.reset(token)
