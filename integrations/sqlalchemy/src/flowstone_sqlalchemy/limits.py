"""Limits that a server keeps for us, for the case that nobody of us is left to stop a statement."""

from __future__ import annotations

import math

#: Seconds by which the server waits longer than the task that waits for it.
MARGIN = 5
#: A connection that was idle for so many seconds is asked whether it still works.
IDLE = 30.0
#: That a limit is not known, as it may have been taken back with a transaction.
UNKNOWN = math.nan


def find_limit(seconds_left: float | None) -> int | None:
    """Return the seconds that the server may take for a statement; None for as long as it wants."""
    return None if seconds_left is None else math.ceil(seconds_left) + MARGIN


def needs_change(now: float | None, wanted: float | None) -> bool:
    """Tell whether the server's limit is too short, or more than twice as long as it has to be."""
    if now is None or wanted is None:
        return now is not wanted
    return not wanted <= now <= 2 * wanted
