"""JobRun: one run of a job: wait for it, query its status, cancel it."""

from __future__ import annotations

from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, Self

from flowstone.blocks.async_twins import run_in_thread
from flowstone.blocks.external_work import find_logger
from flowstone.blocks.jobs.no_provider import NoProvider
from flowstone.blocks.jobs.provider import JobStatus
from flowstone.context.current import services
from flowstone.context.external_work import record_external_end
from flowstone.errors import JobCancelled, JobFailed, JobLost, JobTimeout, Unreachable

if TYPE_CHECKING:
    import logging

    from flowstone.blocks.jobs.provider import JobProvider, Report
    from flowstone.logging.run_logger import RunLogger
    from flowstone.records.events import ExternalHandle

#: Maximum wait in seconds: a run in a thread is only cancelled when its code next runs.
SLICE = 0.2
#: The first wait in seconds; each one is 1.5 times as long as the one before.
FIRST = 0.01


class JobRun:
    """One run of a job. Leaving its `with` block before the job has ended cancels the job.

    If the code that waits is itself stopped (its run is cancelled or times out, or the process is
    terminated), the job is cancelled as well.

    Subclasses that define `wait_for_completion` and `fetch_result` need no provider.

    Attributes:
        handle: the service's id of the job; `Job.attach` accepts it, in other processes too.
    """

    if not TYPE_CHECKING:

        def __class_getitem__(cls, _: object) -> type[JobRun]:
            """Return the class, so that `JobRun[int]` can be used as a base class or type hint."""
            return cls

    def __init__(
        self,
        provider: JobProvider | None = None,
        handle: str = "",
        external: ExternalHandle | None = None,
    ) -> None:
        self._provider = provider or NoProvider(type(self).__name__)
        self.handle, self._external = handle, external
        self._seen = 0
        self._last: Report | None = None
        self._url = ""
        self._lost: float | None = None

    def status(self) -> JobStatus:
        """Return the current status of the job.

        Raises:
            JobLost: the job no longer exists.
        """
        return self._poll().status

    def logs(self) -> list[str]:
        """Return the lines of its output that the service still has."""
        return self._provider.read_logs(self.handle, 0)

    def wait(self, timeout_seconds: float | None = None) -> None:
        """Wait for its end; its output is written to the log of the current run.

        Args:
            timeout_seconds: seconds to wait; None for the timeout of the job's block, or without a
                timeout if that has none.

        Raises:
            JobFailed: it failed.
            JobCancelled: it was cancelled.
            JobTimeout: it did not end in that time; it is still running.
            JobLost: it is no longer known how it ended.
            Unreachable: the service has been unreachable for too long; the job is still running.
        """
        patience = self._make_patience(timeout_seconds)
        try:
            while (report := self._look()) is None or not report.status.ended:
                self._sleep(patience)
        except Exception:
            raise
        except BaseException:  # the code that waits is being stopped
            self.cancel()
            raise
        self._judge(report)

    wait_for_completion = wait

    async def await_for_completion(self, timeout_seconds: float | None = None) -> None:
        """Async version of `wait`."""
        patience = self._make_patience(timeout_seconds)
        try:
            while (report := await run_in_thread(self._look)) is None or not report.status.ended:
                await services().clock.asleep(self._pause(patience))
        except Exception:
            raise
        except BaseException:
            await run_in_thread(self.cancel)
            raise
        self._judge(report)

    def result(self, timeout_seconds: float | None = None) -> Any:
        """Wait for its end, and return its result.

        Raises:
            JobError: as for `wait`.
        """
        self.wait(timeout_seconds)
        return self._provider.read_result(self.handle)

    fetch_result = result

    async def aresult(self, timeout_seconds: float | None = None) -> Any:
        """Async version of `result`."""
        await self.await_for_completion(timeout_seconds)
        return await run_in_thread(self._provider.read_result, self.handle)

    afetch_result = aresult

    def cancel(self) -> None:
        """Cancel it unless it has ended, and return when it has ended.

        Raises:
            JobTimeout: it did not end within the grace period.
        """
        if self._poll().status.ended:
            return
        self._provider.cancel(self.handle)
        patience = _Patience(self._provider.grace_seconds, self._provider.poll_seconds)
        with suppress(JobLost):  # it no longer exists, and its result is not needed
            while not self._poll().status.ended:
                self._sleep(patience)

    async def acancel(self) -> None:
        """Async version of `cancel`."""
        await run_in_thread(self.cancel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.acancel()

    def _look(self) -> Report | None:
        """Return the status; None while the service is temporarily unreachable."""
        try:
            report = self._poll()
        except Unreachable as error:
            now = monotonic()
            if self._lost is None:
                self._lost = now
            if now - self._lost >= self._provider.outage_seconds:
                raise
            get_job_logger().warning("%s Polling again.", error)
            return None
        self._lost = None
        return report

    def _poll(self) -> Report:
        """Return the status, and log the new output; after the end, all the rest of it."""
        if self._last is not None:
            return self._last
        report = self._provider.report(self.handle)
        self._url = report.url or self._url
        if not self._provider.streams:
            self._log(self._provider.read_logs(self.handle, self._seen))
        if report.status.ended:
            self._last = report
            if self._external is not None:
                record_external_end(self._external)
        return report

    def _log(self, lines: list[str]) -> None:
        self._seen += len(lines)
        logger = get_job_logger()
        for line in lines:
            logger.info("%s", line)

    def _judge(self, report: Report) -> None:
        where = self._provider.where
        if report.status is JobStatus.CANCELLED:
            remedy = "Trigger it again if it is still needed." + self._point()
            raise JobCancelled(where, "the job was cancelled", remedy, self.handle)
        if report.status is JobStatus.FAILED:
            problem = report.problem or "the job failed"
            remedy = self._point().strip() or "Check its output."
            raise JobFailed(where, problem, remedy, self.handle)

    def _point(self) -> str:
        """Return the URL of the job, as the end of a message; "" if there is none."""
        return f" See {self._url}" if self._url else ""

    def _sleep(self, patience: _Patience) -> None:
        left = self._pause(patience)
        while left > 0:
            services().clock.sleep(min(left, SLICE))
            left -= SLICE

    def _make_patience(self, seconds: float | None) -> _Patience:
        limit = self._provider.timeout_seconds if seconds is None else seconds
        return _Patience(limit, self._provider.poll_seconds)

    def _pause(self, patience: _Patience) -> float:
        pause = patience.next()
        if pause is None:
            problem = f"job {self.handle!r} has not ended within {patience.seconds:g} s"
            remedy = "It is still running: wait longer, or call `cancel`." + self._point()
            raise JobTimeout(self._provider.where, problem, remedy, self.handle)
        return pause


def get_job_logger() -> RunLogger | logging.Logger:
    """Return the logger of the current run; outside of a run, the logger of all jobs.

    A provider that streams must call it before it starts a thread: threads have no current run.
    """
    return find_logger("jobs")


class _Patience:
    """The intervals between polls: short at first; the last poll is at the timeout."""

    def __init__(self, seconds: float | None, longest: float) -> None:
        self.seconds = seconds or 0.0
        self._end = None if seconds is None else monotonic() + seconds
        self._longest, self._pause = longest, FIRST
        self._is_last = False

    def next(self) -> float | None:
        """Return the seconds to wait; None after the timeout and the last poll."""
        if self._is_last:
            return None
        self._pause = min(self._pause * 1.5, self._longest)
        if self._end is None:
            return self._pause
        left = max(self._end - monotonic(), 0.0)
        self._is_last = left <= self._pause
        return min(left, self._pause)
