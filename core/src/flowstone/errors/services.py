"""Errors of notifiers and jobs."""

from __future__ import annotations

from flowstone.errors.base import FlowstoneError


class NotificationFailed(FlowstoneError, OSError):
    """A notification was refused, or it is unknown whether it arrived."""

    def __init__(self, where: str, problem: str, remedy: str, status: int | None = None) -> None:
        self.where, self.problem, self.remedy, self.status = where, problem, remedy, status
        super().__init__(f"{where}: {problem}. {remedy}")


class NotificationUnsent(NotificationFailed, ConnectionError):
    """A notification certainly did not arrive, and may be sent again after `after` seconds."""

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
    """The service refused the credentials or the secret URL."""


class NotificationInvalid(NotificationFailed, ValueError):
    """The notification or its destination is not valid."""


class JobError(FlowstoneError):
    """A job could not be started, followed or cancelled; `handle` is set if it was started."""

    def __init__(self, where: str, problem: str, remedy: str, handle: str | None = None) -> None:
        self.where, self.problem, self.remedy, self.handle = where, problem, remedy, handle
        super().__init__(f"{where}: {problem}. {remedy}")


class JobFailed(JobError, RuntimeError):
    """A job failed."""


class JobCancelled(JobError):
    """A job was cancelled."""


class JobTimeout(JobError, TimeoutError):
    """A job did not end before the timeout of the wait; it is still running."""


class JobLost(JobError, LookupError):
    """There is no such job, or it is no longer known how it ended."""
