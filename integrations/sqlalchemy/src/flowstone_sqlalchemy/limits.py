"""Limits enforced by a server, in case no process is left to stop a statement."""

from __future__ import annotations

import math

#: Seconds by which the server's limit exceeds that of the waiting task.
MARGIN = 5
#: Seconds after which an idle connection is tested before it is used.
IDLE = 30.0
#: The limit is unknown, because a rollback may have reset it.
UNKNOWN = math.nan


def find_limit(seconds_left: float | None) -> int | None:
    """Return the seconds that the server allows a statement; None for no limit."""
    return None if seconds_left is None else math.ceil(seconds_left) + MARGIN


def needs_change(now: float | None, wanted: float | None) -> bool:
    """Return whether the server's limit is too short, or more than twice as long as needed."""
    if now is None or wanted is None:
        return now is not wanted
    return not wanted <= now <= 2 * wanted
