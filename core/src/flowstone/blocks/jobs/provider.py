"""JobProvider: what a package writes behind a job, and what it reports."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class JobStatus(StrEnum):
    """Where a job is."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether it will not change any more."""
        return self not in {JobStatus.PENDING, JobStatus.RUNNING}


@dataclass(frozen=True, slots=True)
class Report:
    """What is known of a job.

    Attributes:
        status: where it is.
        problem: of one that failed, what went wrong: an exit code, the last lines.
        url: where people look at it, for messages; "" where there is no such page.
    """

    status: JobStatus
    problem: str = ""
    url: str = ""

    def __setstate__(self, state: Sequence[object]) -> None:
        """Read a pickle, also of before there were all fields."""
        for place, field in enumerate(fields(self)):
            value = state[place] if place < len(state) else field.default
            object.__setattr__(self, field.name, value)


class JobProvider(ABC):
    """The service that a `Job` runs on; each method asks it once, and does not wait.

    What is common to all comes from the job and its `JobRun`: waiting, logging, cancelling with the
    run that waits. They also hide the block's secrets in errors.

    Attributes:
        poll_seconds: the longest time between two reports.
        grace_seconds: how long a job may take to end when it is cancelled.
        timeout_seconds: how long to wait where nobody says how long; None for as long as it takes.
        outage_seconds: how long the service may be `Unreachable` before who waits gives up.
        streams: whether this writes the job's lines to the run's log itself, as they come; else
            that is done with what `read_logs` returns, at each report.
    """

    poll_seconds: float = 5.0
    grace_seconds: float = 60.0
    timeout_seconds: float | None = None
    outage_seconds: float = 0.0
    streams: bool = False

    @property
    @abstractmethod
    def where(self) -> str:
        """What runs where, for messages; no secret may be in it."""

    @abstractmethod
    def start(self) -> str:
        """Start the job, and return at once the handle that the service knows it by.

        Another process must find the job by the handle alone.

        Raises:
            JobError: it can't be started.
            CredentialsError: the login was refused; where its secrets are kept elsewhere, they are
                read again, and it is tried once more.
        """

    @abstractmethod
    def report(self, handle: str) -> Report:
        """Return where a job is.

        Raises:
            JobLost: there is no such job.
        """

    @abstractmethod
    def cancel(self, handle: str) -> None:
        """Ask the service to end a job; one that has ended is no error."""

    def kill(self, handle: str) -> None:
        """End a job at once, without time to clean up; by default `cancel` it."""
        self.cancel(handle)

    def read_logs(self, handle: str, seen: int) -> list[str]:  # noqa: ARG002
        """Return the lines that a job has written, after so many that were seen before."""
        return []

    def read_result(self, handle: str) -> object:  # noqa: ARG002
        """Return what a job that has completed gave; None where it gives nothing."""
        return None
