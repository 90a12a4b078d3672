"""Job: the interface of work that runs elsewhere, as a process, a container, a cloud's job."""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from flowstone.blocks.base import Block
from flowstone.blocks.jobs.job_run import JobRun, JobStatus, Report
from flowstone.blocks.validation import hide
from flowstone.context.current import services
from flowstone.logging.run_logger import RunLogger, current_run, get_logger
from flowstone.records.events import LOG_WRITTEN, Line, written
from flowstone.secrets.walk import secret_texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Job", "JobRun", "JobStatus", "Report"]

#: So many facts of a run are read at a time.
PAGE = 1000
LOGGER = "flowstone.jobs"


class Job(Block):
    """Work that runs elsewhere. `trigger` starts it, and gives the `JobRun` to wait for.

    A provider writes `_where`, `_trigger`, `_look` and `_cancel`, and `_lines` and `_result` where
    the service has such; each asks the service once.
    """

    _tried_again: ClassVar[tuple[str, ...]] = ("_trigger", "_look", "_cancel", "_lines", "_result")
    #: The longest time between two looks, in seconds.
    _poll_seconds: ClassVar[float] = 5.0
    #: How long a job may take to end when it is cancelled, in seconds.
    _grace_seconds: ClassVar[float] = 60.0

    @abstractmethod
    def _where(self) -> str:
        """Return what runs where, for messages; no secret may be in it."""

    @abstractmethod
    def _trigger(self) -> str:
        """Start it, and return at once what the service knows it by.

        Raises:
            JobError: it can't be started.
            CredentialsError: the login was refused; where its secrets are kept elsewhere, they are
                read again, and it is tried once more.
        """

    @abstractmethod
    def _look(self, handle: str) -> Report:
        """Ask where a job is.

        Raises:
            JobLost: there is no such job.
        """

    @abstractmethod
    def _cancel(self, handle: str) -> None:
        """Ask the service to end a job; one that has ended is no error."""

    def _lines(self, handle: str, seen: int) -> list[str]:  # noqa: ARG002
        """Return the lines that a job has written, after so many that were seen before."""
        return []

    def _result(self, handle: str) -> Any:  # noqa: ARG002
        """Return what a job that has completed gave; None where it gives nothing."""
        return None

    def trigger(self) -> JobRun:
        """Start it, and return at once.

        The handle is kept as a fact of the current run before anybody waits: see `triggered_in`.

        Raises:
            JobError: it can't be started.
        """
        handle = self._trigger()
        try:
            self._record(handle)
        except BaseException:
            self._cancel(handle)  # or it would go on, and nobody would know
            raise
        return JobRun(self, handle)

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
        self._look(handle)
        return JobRun(self, handle)

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
            for event_run, fields in _told(run.root_id)
            if fields.get("job") == self.block_type_slug()
            and fields.get("name") == self.name
            and (run.id in (run.root_id, event_run))
        ]

    def _record(self, handle: str) -> None:
        """Keep the handle as a line of the run's log, and have it written before we go on."""
        text = f"{self._where()} started as {handle}"
        run = current_run()
        if run is None:
            get_logger("jobs").info(text)
            return
        # A provider's handle may be more than a text, and that does not go to another process.
        fields = {"job": self.block_type_slug(), "name": self.name, "handle": str(handle)}
        current = services()
        # Not by the logger: a level that hides such lines must not lose the job.
        line = Line(logging.INFO, LOGGER, text, fields)
        current.journal.append(written(run, current.clock.time(), line))
        current.journal.flush()

    def _say(self, lines: list[str]) -> None:
        logger = self._logger()
        for line in lines:
            logger.info("%s", line)

    def _logger(self) -> RunLogger | logging.Logger:
        run = current_run()
        return get_logger("jobs") if run is None else RunLogger(run)

    def _hide(self, text: str) -> str:
        return hide(text, sorted(filter(None, secret_texts(self)), key=len, reverse=True))


def _told(root_id: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Yield what the lines of a tree of runs say of jobs, with the run that said it."""
    store, cursor = services().runs, 0
    while page := store.events(cursor, root_id=root_id, kinds=[LOG_WRITTEN], limit=PAGE):
        cursor = page[-1][0]
        for _, event in page:
            line = event.payload
            if isinstance(line, Line) and line.logger == LOGGER and line.fields:
                yield event.run_id, line.fields
