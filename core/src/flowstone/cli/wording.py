"""Times, durations and states, as a person reads them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from flowstone.cli.views import Cell
from flowstone.states import (
    CANCELLED,
    CANCELLING,
    COMPLETED,
    CRASHED,
    FAILED,
    PAUSED,
    PENDING,
    RUNNING,
    SCHEDULED,
)

if TYPE_CHECKING:
    from flowstone.runs import Run
    from flowstone.states import State, StateType

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_LONG_AGO = 14 * _DAY

STYLES: dict[StateType, str] = {
    SCHEDULED: "dim",
    PENDING: "dim",
    RUNNING: "cyan",
    COMPLETED: "green",
    FAILED: "red",
    CANCELLED: "yellow",
    CRASHED: "bold red",
    PAUSED: "yellow",
    CANCELLING: "yellow",
}

#: So much of the end of an id is unique but for a chance of one in millions.
SHORT = 12


def short_id(run: Run) -> str:
    """Return the end of the id: its beginning is the time, which runs share."""
    return run.id[-SHORT:]


def state_cell(state: State) -> Cell:
    return Cell(state.name, STYLES[state.type])


def reason_cell(state: State) -> Cell | None:
    """Return why a run did not complete."""
    if state.message is None or state.type is COMPLETED:
        return None
    return Cell(state.message, STYLES[state.type])


def iso(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat()


def exact(at: float) -> str:
    """Return the local time, to the second."""
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def ago(at: float, now: float) -> str:
    """Return how long ago that was; the day, where it was long ago."""
    seconds = max(0.0, now - at)
    if seconds < 1:
        return "just now"
    if seconds > _LONG_AGO:
        return exact(at)[:10]
    for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "m")):
        if seconds >= size:
            return f"{seconds // size:.0f}{unit} ago"
    return f"{seconds:.0f}s ago"


def lasted(seconds: float | None) -> str:
    """Return a duration with two or three digits that matter; a dash for none."""
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
    """Return how long a run ran, or has been running, in seconds.

    None where it has not begun, or where nobody saw its end: its process was found dead, and
    when it was found says nothing about when it died.
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


def counted(number: int, noun: str) -> str:
    """Return ``1 run``, ``2 runs``, ``10,000 runs``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
