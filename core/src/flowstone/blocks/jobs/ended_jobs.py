"""EndedJobs: how jobs ended, for services that delete ended jobs."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowstone.blocks.jobs.provider import Report

#: Maximum number of remembered jobs; the oldest are dropped first.
MOST = 256


@dataclass(frozen=True, slots=True)
class EndedJob:
    """How a job ended, and the lines of its output."""

    report: Report
    lines: tuple[str, ...] = ()


class EndedJobs:
    """Jobs that this process has seen end, by handle; thread-safe.

    A provider that deletes a job after its end adds it here first, so that this process can still
    read its status. For other processes, such a job is lost.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most, self._lock = most, Lock()
        self._found: OrderedDict[str, EndedJob] = OrderedDict()

    def add(self, handle: str, report: Report, lines: Sequence[str] = ()) -> None:
        """Remember a job, unless it is remembered already.

        Args:
            handle: the job's handle.
            report: its final report.
            lines: the lines of its output.
        """
        with self._lock:
            self._found.setdefault(handle, EndedJob(report, tuple(lines)))
            while len(self._found) > self._most:
                self._found.popitem(last=False)

    def find(self, handle: str) -> EndedJob | None:
        """Return how a job ended; None if this process has not seen it end."""
        with self._lock:
            return self._found.get(handle)
