"""Durations of runs, as numbers and for display."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.records.states import CRASHED

if TYPE_CHECKING:
    from flowstone.records.runs import Run

_MINUTE = 60


def format_duration(seconds: float | None) -> str:
    """Return a duration with two or three significant digits; a dash for None."""
    if seconds is None:
        return "-"
    if seconds < 0.001:
        return "<1ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 59.95:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), _MINUTE)
    if minutes < 60:
        return f"{minutes}m {rest:02d}s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours}h {minutes:02d}m"
    days, hours = divmod(hours, 24)
    return f"{days}d {hours:02d}h"


def duration(run: Run, now: float, root: Run | None = None) -> float | None:
    """Return the duration of a run until its end or until now, in seconds.

    None if it has not started, or if its end is unknown: its process was found dead, and when it
    was found says nothing about when it died.
    """
    if run.started is None:
        return None
    if run.ended is None:
        return max(0.0, now - run.started)
    lost = root if root is not None else run
    if lost.is_root and lost.state.type is CRASHED and lost.lease is None:
        died_with_it = run.state.type is CRASHED and run.ended == lost.ended
        if run.id == lost.id or died_with_it:
            return None
    return max(0.0, run.ended - run.started)
