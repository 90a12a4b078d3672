"""Job: the interface of work that runs elsewhere, as a process, a container, a cloud's job."""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from flowstone.blocks.base import Block
from flowstone.blocks.jobs.job_run import JobRun
from flowstone.blocks.jobs.provider import JobProvider, Report
from flowstone.blocks.validation import hide
from flowstone.context.current import services
from flowstone.errors import JobError
from flowstone.logging.run_logger import current_run, get_logger
from flowstone.records.events import LOG_WRITTEN, LogLine, make_log_event
from flowstone.secrets.renewal import retry_refused
from flowstone.secrets.walk import secret_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

T = TypeVar("T")

#: So many facts of a run are read at a time.
PAGE = 1000
LOGGER = "flowstone.jobs"


class Job(Block):
    """Work that runs elsewhere. `trigger` starts it, and gives the `JobRun` to wait for.

    A package writes `make_provider`, which returns the service as a `JobProvider`.
    """

    @abstractmethod
    def make_provider(self) -> JobProvider:
        """Return the service that the job runs on; each question to it asks for it anew.

        It connects to nothing and reads no secret: that is left to the provider's methods.
        """

    def trigger(self) -> JobRun:
        """Start it, and return at once.

        The handle is kept as a fact of the current run before anybody waits: see `triggered_in`.

        Raises:
            JobError: it can't be started.
        """
        service = _Service(self)
        handle = service.start()
        try:
            self._record(handle)
        except BaseException:
            service.cancel(handle)  # or it would go on, and nobody would know
            raise
        return JobRun(service, handle)

    async def atrigger(self) -> JobRun:
        """Do as `trigger`, and let other coroutines run meanwhile."""
        return await asyncio.to_thread(self.trigger)

    def run(self) -> Any:
        """Start it, wait for its end, and return what it gave.

        Raises:
            JobError: as `JobRun.wait` does.
        """
        return self.trigger().result()

    async def arun(self) -> Any:
        """Do as `run`, and let other coroutines run meanwhile."""
        return await (await self.atrigger()).aresult()

    def attach(self, handle: str) -> JobRun:
        """Return a job that was started before, by this process or by another one.

        Raises:
            JobLost: there is no such job.
        """
        service = _Service(self)
        service.report(handle)
        return JobRun(service, handle)

    def triggered_in(self, run_id: str) -> list[str]:
        """Return the handles of the jobs that a run has triggered by such a block, oldest first.

        Args:
            run_id: of a flow run or task run; what a flow run has called counts as its own. Its
                process may have been killed since.

        Raises:
            RunNotFound: there is no such run.
        """
        store = services().runs
        services().journal.flush()
        run = store.run(run_id)
        return [
            str(fields["handle"])
            for event_run, fields in _read_jobs(run.root_id)
            if fields.get("job") == self.block_type_slug()
            and fields.get("name") == self.name
            and (run.id in (run.root_id, event_run))
        ]

    def _record(self, handle: str) -> None:
        """Keep the handle as a line of the run's log, and have it written before we go on."""
        text = f"{self.make_provider().where} started as {handle}"
        run = current_run()
        if run is None:
            get_logger("jobs").info(text)
            return
        # A provider's handle may be more than a text, and that does not go to another process.
        fields = {"job": self.block_type_slug(), "name": self.name, "handle": str(handle)}
        current = services()
        # Not by the logger: a level that hides such lines must not lose the job.
        line = LogLine(logging.INFO, LOGGER, text, fields)
        current.journal.append(make_log_event(run, current.clock.time(), line))
        current.journal.flush()


class _Service(JobProvider):
    """A job's provider, asked again where a refused login may be better by now.

    It hides the job's secrets in what is reported and raised.
    """

    def __init__(self, job: Job) -> None:
        self._job, provider = job, job.make_provider()
        self.poll_seconds, self.grace_seconds = provider.poll_seconds, provider.grace_seconds
        self.streams = provider.streams

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
        raise masking  # outside the `except`: what it came from shows the secret

    def _mask(self, text: str) -> str:
        return hide(text, sorted(filter(None, secret_texts(self._job)), key=len, reverse=True))


def _read_jobs(root_id: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Yield what the lines of a tree of runs say of jobs, with the run that said it."""
    store, cursor = services().runs, 0
    while page := store.events(cursor, root_id=root_id, kinds=[LOG_WRITTEN], limit=PAGE):
        cursor = page[-1][0]
        for _, event in page:
            line = event.payload
            if isinstance(line, LogLine) and line.logger == LOGGER and line.fields:
                yield event.run_id, line.fields
