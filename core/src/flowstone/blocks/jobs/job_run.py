"""JobRun: one run of a job, to wait for, to ask and to end."""

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

#: No wait is longer, in seconds: a run in a thread is cancelled when its code next runs.
SLICE = 0.2
#: The first wait, in seconds; each is half as long again as the one before.
FIRST = 0.01


class JobRun:
    """One run of a job. Leaving a `with` block of it before its end cancels it.

    Where the code that waits is itself stopped (its run is cancelled or times out, the process is
    asked to end), the job is cancelled, too.

    Subclasses that define `wait_for_completion` and `fetch_result` need no provider.

    Attributes:
        handle: what the service knows it by; `Job.attach` takes it, in another process too.
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
        """Ask where it is.

        Raises:
            JobLost: there is no such job any longer.
        """
        return self._poll().status

    def logs(self) -> list[str]:
        """Return the lines that it has written, as far as the service still has them."""
        return self._provider.read_logs(self.handle, 0)

    def wait(self, timeout_seconds: float | None = None) -> None:
        """Wait for its end; its lines go to the log of the current run meanwhile.

        Args:
            timeout_seconds: how long to wait; None for as long as the job's block says, or else
                for as long as it takes.

        Raises:
            JobFailed: it ended badly.
            JobCancelled: it was cancelled.
            JobTimeout: it has not ended in that time; it goes on.
            JobLost: nobody can tell any longer how it ended.
            Unreachable: the service has not answered for too long; the job goes on.
        """
        patience = self._make_patience(timeout_seconds)
        try:
            while (report := self._look()) is None or not report.status.ended:
                self._sleep(patience)
        except Exception:
            raise
        except BaseException:  # whoever waits is being stopped
            self.cancel()
            raise
        self._judge(report)

    wait_for_completion = wait

    async def await_for_completion(self, timeout_seconds: float | None = None) -> None:
        """Do as `wait`, and let other coroutines run meanwhile."""
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
        """Wait for its end, and return what it gave.

        Raises:
            JobError: as `wait` does.
        """
        self.wait(timeout_seconds)
        return self._provider.read_result(self.handle)

    fetch_result = result

    async def aresult(self, timeout_seconds: float | None = None) -> Any:
        """Do as `result`, and let other coroutines run meanwhile."""
        await self.await_for_completion(timeout_seconds)
        return await run_in_thread(self._provider.read_result, self.handle)

    afetch_result = aresult

    def cancel(self) -> None:
        """End it, if it has not ended, and return when it has.

        Raises:
            JobTimeout: it has not ended in the time that it is given for that.
        """
        if self._poll().status.ended:
            return
        self._provider.cancel(self.handle)
        patience = _Patience(self._provider.grace_seconds, self._provider.poll_seconds)
        with suppress(JobLost):  # it is gone, and was not ours to ask
            while not self._poll().status.ended:
                self._sleep(patience)

    async def acancel(self) -> None:
        """Do as `cancel`, and let other coroutines run meanwhile."""
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
        """Ask where it is; None while the service can't be reached, but may be again."""
        try:
            report = self._poll()
        except Unreachable as error:
            now = monotonic()
            if self._lost is None:
                self._lost = now
            if now - self._lost >= self._provider.outage_seconds:
                raise
            get_job_logger().warning("%s It is asked again.", error)
            return None
        self._lost = None
        return report

    def _poll(self) -> Report:
        """Ask where it is, and log what it has written since; after its end, all of it."""
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
            remedy = "Trigger it again, where it is still wanted." + self._point()
            raise JobCancelled(where, "the job was cancelled", remedy, self.handle)
        if report.status is JobStatus.FAILED:
            problem = report.problem or "the job failed"
            remedy = self._point().strip() or "Look at what it wrote."
            raise JobFailed(where, problem, remedy, self.handle)

    def _point(self) -> str:
        """Return where to look at it, as the end of a message; "" where there is no such page."""
        return f" Look at {self._url}" if self._url else ""

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
            remedy = "It goes on: wait longer, or call `cancel`." + self._point()
            raise JobTimeout(self._provider.where, problem, remedy, self.handle)
        return pause


def get_job_logger() -> RunLogger | logging.Logger:
    """Return the logger of the current run; outside of one, that of all jobs.

    A provider that streams needs it before it makes a thread: threads know of no run.
    """
    return find_logger("jobs")


class _Patience:
    """How long to wait until the next look: short at first, and the last one is after the end."""

    def __init__(self, seconds: float | None, longest: float) -> None:
        self.seconds = seconds or 0.0
        self._end = None if seconds is None else monotonic() + seconds
        self._longest, self._pause = longest, FIRST
        self._is_last = False

    def next(self) -> float | None:
        """Return the seconds to wait; None where there are none left, and the last look was."""
        if self._is_last:
            return None
        self._pause = min(self._pause * 1.5, self._longest)
        if self._end is None:
            return self._pause
        left = max(self._end - monotonic(), 0.0)
        self._is_last = left <= self._pause
        return min(left, self._pause)
