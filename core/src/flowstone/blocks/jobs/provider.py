"""JobProvider: the class that a package implements for a job, and its reports."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class JobStatus(StrEnum):
    """The status of a job."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether it is final."""
        return self not in {JobStatus.PENDING, JobStatus.RUNNING}


@dataclass(frozen=True, slots=True)
class Report:
    """The state of a job.

    Attributes:
        status: its status.
        problem: for a failed job, what went wrong: an exit code, the last lines.
        url: the URL of the job's page, for messages; "" if there is none.
    """

    status: JobStatus
    problem: str = ""
    url: str = ""

    def __setstate__(self, state: Sequence[object]) -> None:
        """Restore a pickle, including older ones with fewer fields."""
        for place, field in enumerate(fields(self)):
            value = state[place] if place < len(state) else field.default
            object.__setattr__(self, field.name, value)


class JobProvider(ABC):
    """The service that a `Job` runs on; each method makes one request, and does not wait.

    The job and its `JobRun` do what all providers need: waiting, logging, and cancelling with the
    run that waits. They also mask the block's secrets in errors.

    Attributes:
        poll_seconds: the maximum number of seconds between two reports.
        grace_seconds: the number of seconds in which a cancelled job must end.
        timeout_seconds: the default timeout of waiting; None for no timeout.
        outage_seconds: how long the service may be `Unreachable` before waiting fails.
        streams: whether the provider itself writes the job's output to the run's log as it comes;
            otherwise the result of `read_logs` is logged with each report.
    """

    poll_seconds: float = 5.0
    grace_seconds: float = 60.0
    timeout_seconds: float | None = None
    outage_seconds: float = 0.0
    streams: bool = False

    @property
    @abstractmethod
    def where(self) -> str:
        """The job and where it runs, for messages; must not contain secrets."""

    @abstractmethod
    def start(self) -> str:
        """Start the job, and immediately return the handle, the service's id of the job.

        Another process must be able to find the job by the handle alone.

        Raises:
            JobError: it can't be started.
            CredentialsError: the credentials were refused. If their secrets are references, they
                are read again, and the call is retried once.
        """

    @abstractmethod
    def report(self, handle: str) -> Report:
        """Return the state of a job.

        Raises:
            JobLost: there is no such job.
        """

    @abstractmethod
    def cancel(self, handle: str) -> None:
        """Ask the service to cancel a job; ignore one that has ended."""

    def kill(self, handle: str) -> None:
        """Kill a job immediately, without time to clean up; by default, `cancel` it."""
        self.cancel(handle)

    def read_logs(self, handle: str, seen: int) -> list[str]:  # noqa: ARG002
        """Return the lines of a job's output after the first `seen`."""
        return []

    def read_result(self, handle: str) -> object:  # noqa: ARG002
        """Return the result of a completed job; None if it has none."""
        return None
