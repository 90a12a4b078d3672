"""EndedJobs: how jobs ended, for services that do not keep ended jobs."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowstone.blocks.jobs.provider import Report

#: How many are remembered; those that ended first are forgotten first.
MOST = 256


@dataclass(frozen=True, slots=True)
class EndedJob:
    """How a job ended, and the lines that it wrote."""

    report: Report
    lines: tuple[str, ...] = ()


class EndedJobs:
    """Jobs that this process has seen end, by handle; thread-safe.

    A provider that deletes a job after its end adds it here first, so that this process can still
    ask about it. For other processes, such a job is lost.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most, self._lock = most, Lock()
        self._found: OrderedDict[str, EndedJob] = OrderedDict()

    def add(self, handle: str, report: Report, lines: Sequence[str] = ()) -> None:
        """Remember a job, unless it is remembered already."""
        with self._lock:
            self._found.setdefault(handle, EndedJob(report, tuple(lines)))
            while len(self._found) > self._most:
                self._found.popitem(last=False)

    def find(self, handle: str) -> EndedJob | None:
        """Return how a job ended; None if this process has not seen it end."""
        with self._lock:
            return self._found.get(handle)
