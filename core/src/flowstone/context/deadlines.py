"""The remaining time of the current code: the timeouts of the runs that it is in."""

from __future__ import annotations

import math
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_deadline: ContextVar[float] = ContextVar("flowstone.deadline", default=math.inf)


@contextmanager
def limit_to(seconds: float) -> Iterator[None]:
    """Set a timeout for what runs in this block; an earlier outer one takes precedence."""
    token = _deadline.set(min(_deadline.get(), monotonic() + seconds))
    try:
        yield
    finally:
        _deadline.reset(token)


def seconds_left() -> float | None:
    """Return the seconds until the first timeout of the current run or one that called it.

    A service that can limit its own work, like a database with a statement timeout, uses this, so
    that nothing keeps running there after the run.

    Returns:
        The seconds, 0.0 after the timeout; None if no timeout is set.
    """
    deadline = _deadline.get()
    return None if deadline == math.inf else max(0.0, deadline - monotonic())
