"""Job: the interface of work that runs elsewhere: in a process, a container, a cloud service."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from flowstone.blocks.async_twins import run_in_thread
from flowstone.blocks.base import Block
from flowstone.blocks.external_work import cancel_left_behind, find_logger, name_block
from flowstone.blocks.jobs.job_run import JobRun
from flowstone.blocks.jobs.provider import JobProvider, Report
from flowstone.blocks.validation import hide
from flowstone.context.current import current_run, services
from flowstone.context.external_work import read_handles, record_external_start
from flowstone.errors import JobError, JobLost
from flowstone.secrets.renewal import retry_refused
from flowstone.secrets.walk import secret_texts

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowstone.records.events import ExternalHandle

T = TypeVar("T")


class Job(Block):
    """Work that runs elsewhere. `trigger` starts it, and returns the `JobRun` to wait for.

    A package implements `make_provider`, which returns a `JobProvider`.
    """

    _replaceable: ClassVar[tuple[str, ...]] = ("trigger",)

    if not TYPE_CHECKING:

        def __class_getitem__(cls, _: object) -> type[Job]:
            """Return the class, so that `Job[int]` can be used as a base class or type hint."""
            return cls

    @abstractmethod
    def make_provider(self) -> JobProvider:
        """Return the provider for the service; called again for each operation.

        It must not connect or read secrets: the provider's methods do that.
        """

    def trigger(self) -> JobRun:
        """Start it, and return immediately.

        The handle is saved in the current run before anything waits: see `triggered_in`.

        Raises:
            JobError: it can't be started.
        """
        cancel_left_behind(self.name_in_handles(), self.cancel_external, "jobs")
        service = _Service(self)
        handle = service.start()
        try:
            work = self._record(handle)
        except BaseException:
            service.cancel(handle)  # otherwise it would run on, unrecorded
            raise
        return self.make_run(service, handle, work)

    async def atrigger(self) -> JobRun:
        """Async version of `trigger`."""
        return await run_in_thread(self.trigger)

    def run(self) -> Any:
        """Start it, wait for its end, and return its result.

        Raises:
            JobError: as for `JobRun.wait`.
        """
        return self.trigger().result()

    async def arun(self) -> Any:
        """Async version of `run`."""
        return await (await self.atrigger()).aresult()

    def attach(self, handle: str) -> JobRun:
        """Return a job that was started before, by this or another process.

        Raises:
            JobLost: there is no such job.
        """
        service = _Service(self)
        service.report(handle)
        return self.make_run(service, handle, self._find_recorded(handle))

    def make_run(
        self, provider: JobProvider, handle: str, external: ExternalHandle | None = None
    ) -> JobRun:
        """Return the run of a started job; override it to return a subclass of `JobRun`.

        Args:
            provider: the provider of the job.
            handle: the service's id of the job.
            external: the handle as recorded; None if another process started it.
        """
        return JobRun(provider, handle, external)

    def name_in_handles(self) -> str:
        """Return the block that can cancel this work, as ``type/name``; only ``type`` if unsaved.

        Override it if another block can cancel it as well, such as saved credentials.
        """
        return name_block(self)

    def triggered_in(self, run_id: str) -> list[str]:
        """Return the handles of the jobs that a run has triggered with such a block, oldest first.

        Args:
            run_id: the id of a flow run or task run; the runs that it has called are included. Its
                process may have been killed since.

        Raises:
            RunNotFound: there is no such run.
        """
        services().journal.flush()
        run, block = services().runs.run(run_id), self.name_in_handles()
        return [
            work.handle.id
            for work, _ in read_handles(run.root_id)
            if work.handle.block == block and run.id in (run.root_id, work.run_id)
        ]

    def cancel_external(self, handle: ExternalHandle) -> None:
        """Cancel a job by its handle; `flowstone run cleanup` calls it.

        A job that no longer exists counts as ended.

        Raises:
            JobError: it can't be cancelled.
        """
        with suppress(JobLost):
            self.make_run(_Service(self), handle.id).cancel()

    def _find_recorded(self, handle: str) -> ExternalHandle | None:
        """Return the handle that the current run, or another one of its tree, has recorded."""
        if (run := current_run()) is None:
            return None
        services().journal.flush()
        block = self.name_in_handles()
        return next(
            (
                work.handle
                for work, has_ended in read_handles(run.root_id)
                if not has_ended and (work.handle.block, work.handle.id) == (block, str(handle))
            ),
            None,
        )

    def _record(self, handle: str) -> ExternalHandle:
        """Record the handle, and wait until it is written."""
        find_logger("jobs").info("%s started as %s", self.make_provider().where, handle)
        # A provider's handle may be a subclass of str, which is not sent to other processes.
        return record_external_start("job", self.name_in_handles(), str(handle))


class _Service(JobProvider):
    """A job's provider, called again if refused credentials may have changed.

    It masks the job's secrets in reports and errors.
    """

    def __init__(self, job: Job) -> None:
        self._job, provider = job, job.make_provider()
        self.poll_seconds, self.grace_seconds = provider.poll_seconds, provider.grace_seconds
        self.timeout_seconds, self.streams = provider.timeout_seconds, provider.streams
        self.outage_seconds = provider.outage_seconds

    @property
    def where(self) -> str:
        return self._job.make_provider().where

    def start(self) -> str:
        return self._ask(lambda provider: provider.start())

    def report(self, handle: str) -> Report:
        report = self._ask(lambda provider: provider.report(handle))
        return replace(report, problem=self._mask(report.problem))

    def cancel(self, handle: str) -> None:
        self._ask(lambda provider: provider.cancel(handle))

    def read_logs(self, handle: str, seen: int) -> list[str]:
        return self._ask(lambda provider: provider.read_logs(handle, seen))

    def read_result(self, handle: str) -> object:
        return self._ask(lambda provider: provider.read_result(handle))

    def _ask(self, question: Callable[[JobProvider], T]) -> T:
        try:
            return retry_refused(self._job, lambda: question(self._job.make_provider()))
        except JobError as error:
            masked = self._mask(error.problem)
            if masked == error.problem:
                raise
            masking = type(error)(error.where, masked, error.remedy, error.handle)
        raise masking  # outside of the `except`: the original error contains the secret

    def _mask(self, text: str) -> str:
        return hide(text, sorted(filter(None, secret_texts(self._job)), key=len, reverse=True))
