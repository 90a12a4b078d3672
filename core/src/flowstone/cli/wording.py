"""Times, durations and states in readable form."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from flowstone.cli.views import Cell
from flowstone.records.durations import format_duration
from flowstone.records.states import (
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
    from flowstone.records.runs import Run
    from flowstone.records.states import State, StateType

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

#: Characters at the end of an id that are shown: they collide with a chance of one in millions.
SHORT = 12


def shorten_id(run: Run) -> str:
    """Return the end of the id: it begins with the time, which runs share."""
    return run.id[-SHORT:]


def make_state_cell(state: State) -> Cell:
    return Cell(state.name, STYLES[state.type])


def make_reason_cell(state: State) -> Cell | None:
    """Return why a run did not complete, or is waiting."""
    if state.message is None or state.type is COMPLETED:
        return None
    if state.type is RUNNING and state.name != "Suspending":
        return None  # its message is about the cache lookup
    return Cell(state.message, STYLES[state.type])


def format_iso(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat()


def format_time(at: float) -> str:
    """Return the local time, to the second."""
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def format_ago(at: float, now: float) -> str:
    """Return how long ago a time was; for times long ago, the date."""
    seconds = max(0.0, now - at)
    if seconds < 1:
        return "just now"
    if seconds > _LONG_AGO:
        return format_time(at)[:10]
    for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "m")):
        if seconds >= size:
            return f"{seconds // size:.0f}{unit} ago"
    return f"{seconds:.0f}s ago"


def format_count(number: int, noun: str) -> str:
    """Return ``1 run``, ``2 runs``, ``10,000 runs``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def format_measure(value: float, unit: str) -> str:
    """Format a measure: ``1.2 MB``, ``12.3 s``, ``4,096``."""
    if unit == "seconds":
        return format_duration(value)
    if unit == "bytes":
        power = min(int(math.log10(abs(value)) // 3), 4) if abs(value) >= 1 else 0
        digits = 1 if power else 0
        return f"{value / 1000**power:,.{digits}f} {('B', 'kB', 'MB', 'GB', 'TB')[power]}"
    return f"{value:,.0f}" if value == int(value) else f"{value:,.6g}"


def format_process(holder: str) -> str:
    """Return ``pid 42 on host`` if the holder of a slot has that form, otherwise the holder."""
    host, _, rest = holder.partition("/")
    return f"pid {rest.partition('/')[0]} on {host}" if rest else holder
