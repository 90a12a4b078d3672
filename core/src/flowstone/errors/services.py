"""Errors of what Flowstone asks others to do: to notify somebody, to run a job."""

from __future__ import annotations

from flowstone.errors.base import FlowstoneError


class NotificationFailed(FlowstoneError, OSError):
    """A notification was refused, or nobody knows whether it arrived."""

    def __init__(self, where: str, problem: str, remedy: str, status: int | None = None) -> None:
        self.where, self.problem, self.remedy, self.status = where, problem, remedy, status
        super().__init__(f"{where}: {problem}. {remedy}")


class NotificationUnsent(NotificationFailed, ConnectionError):
    """A notification did certainly not arrive, and may be sent again, `after` so many seconds."""

    def __init__(
        self,
        where: str,
        problem: str,
        remedy: str,
        status: int | None = None,
        after: float | None = None,
    ) -> None:
        self.after = after
        super().__init__(where, problem, remedy, status)


class NotificationDenied(NotificationFailed, PermissionError):
    """The service does not know this login, or this secret URL, any longer."""


class NotificationInvalid(NotificationFailed, ValueError):
    """What was to be sent, or where to, is no such thing."""


class JobError(FlowstoneError):
    """A job could not be started, followed or ended; `handle` names it, where it was started."""

    def __init__(self, where: str, problem: str, remedy: str, handle: str | None = None) -> None:
        self.where, self.problem, self.remedy, self.handle = where, problem, remedy, handle
        super().__init__(f"{where}: {problem}. {remedy}")


class JobFailed(JobError, RuntimeError):
    """A job ended badly."""


class JobCancelled(JobError):
    """A job was cancelled."""


class JobTimeout(JobError, TimeoutError):
    """A job did not end in the time that was given to wait for it; it goes on."""


class JobLost(JobError, LookupError):
    """There is no such job, or nobody can tell any longer how it ended."""
