"""Jobs that execute runs: each is claimed, started in an infrastructure, and watched to its end."""

from __future__ import annotations

import logging
import shlex
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from flowstone.blocks.jobs.provider import JobStatus, Report
from flowstone.context.current import services
from flowstone.deployments.presence import find_claimed
from flowstone.errors import (
    Conflict,
    FlowstoneError,
    JobLost,
    ObjectNotFound,
    RunNotFound,
)
from flowstone.infrastructure.base import RunJob
from flowstone.logging.run_logger import RunLogger, get_logger
from flowstone.ports.paging import iterate_documents
from flowstone.records.events import make_change_event
from flowstone.records.limits import CLAIM, LOCK, Limit, SlotDemand
from flowstone.records.runs import RunQuery, is_waiting
from flowstone.records.states import CANCELLING, CRASHED, Crashed

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowstone.blocks.jobs.provider import JobProvider
    from flowstone.infrastructure.base import Infrastructure, JobVariables
    from flowstone.ports.slots import TimedSlotRequest
    from flowstone.records.runs import Run
    from flowstone.records.states import State

#: With a pool's name, the kind of the documents that name the jobs its workers have started, by the
#: ids of the runs.
_JOBS = "run-job:"
#: Seconds until a job that was told to stop is killed.
PATIENCE = 10.0

_logger = get_logger("deployments")


class Placement(NamedTuple):
    """How a run is executed.

    Attributes:
        infrastructure: starts its job.
        variables: the variables of the job.
        limits: the names of the limits under which it takes a slot each.
    """

    infrastructure: Infrastructure
    variables: JobVariables
    limits: tuple[str, ...] = ()


@dataclass(slots=True)
class _Job:
    """A started job.

    It has its handle, its slots, the user's own command, whether its service is unreachable,
    and when, by the monotonic clock, it is killed because its run does not end.
    """

    provider: JobProvider
    handle: str
    request: TimedSlotRequest
    command: str | None = None
    is_silent: bool = False
    kill_at: float | None = None


class RunExecutor:
    """Executes scheduled runs, each as a job.

    A claim is a lock in the store, taken together with the slots of all limits, so that only one of
    several executors starts a run. It is released when the job has ended, or when this process
    dies.

    Args:
        pool: the work pool of the runs: if a worker dies, other workers of the pool watch its jobs.
            None if there is no pool.
    """

    def __init__(self, pool: str | None = None) -> None:
        self._pool = pool
        self._jobs: dict[str, _Job] = {}
        self._ends_runs = False
        self._kill_at: float | None = None

    @property
    def running(self) -> list[str]:
        """The ids of the runs that have a job here."""
        return list(self._jobs)

    def start(self, run: Run, placement: Placement) -> Limit | None:
        """Claim a run and start its job.

        Returns:
            The limit that has no free slots; None if the job was started, another process has
            claimed the run, or it can't be started, which is recorded in the run.
        """
        request = self._request(run, placement.limits)
        refused = request.take()
        if refused is not None:
            limit = request.refused_by
            request.give_back()
            return None if limit is None or limit.name.startswith(LOCK) else limit
        try:
            if is_waiting(services().runs.run(run.id)):
                self._start(run, placement, request)
        except RunNotFound:
            pass
        finally:
            if run.id not in self._jobs:
                request.give_back()
        return None

    def adopt(self, place: Callable[[Run], Placement | None]) -> None:
        """Take over the jobs of dead workers, which take slots under their limits again.

        Args:
            place: returns how a run is executed; None if that is no longer known.
        """
        started = {
            each.name: str(each.body["handle"])
            for each in iterate_documents(services().documents, self._kind)
            if each.name not in self._jobs
        }
        claimed = find_claimed(started)
        for run_id, handle in started.items():
            if run_id not in claimed:
                self._adopt(run_id, handle, place)

    def collect(self) -> None:
        """Process jobs that have ended; a run that its job has not started has crashed.

        A run that ignores a request to end is killed together with its job, some seconds later.
        """
        self._kill_cancelled()
        reports = {run_id: self._report(run_id, job) for run_id, job in self._jobs.items()}
        ended = {run_id: each for run_id, each in reports.items() if each and each.status.ended}
        if ended:
            for run in services().runs.reap():  # a killed process leaves its run behind
                if run.id in ended:
                    log_end(run)
        for run_id, report in ended.items():
            job = self._jobs.pop(run_id)
            self._tell_end(run_id, report, job.command)
            self._forget(run_id)
            job.request.give_back()

    def end_jobs(self) -> None:
        """Stop all jobs: ask them to end, and kill the rest some seconds later."""
        self._ends_runs = True
        now = services().clock.monotonic()
        if self._kill_at is None:
            self._kill_at = now + PATIENCE
            for job in self._jobs.values():
                _end(job, job.provider.cancel)
        elif now >= self._kill_at:
            for job in self._jobs.values():
                _end(job, job.provider.kill)

    def _kill_cancelled(self) -> None:
        """Kill the jobs of runs that have ignored a request to end for some seconds."""
        if not self._jobs:
            return
        query = RunQuery(ids=tuple(self._jobs), states=(CANCELLING.value,))
        now = services().clock.monotonic()
        for run in services().runs.runs(query):
            job = self._jobs[run.id]
            if job.kill_at is None:
                job.kill_at = now + PATIENCE
            elif now >= job.kill_at:
                job.kill_at = now + PATIENCE
                _logger.warning(
                    "%s has not ended within %g s after it was cancelled: its job is killed",
                    run.name,
                    PATIENCE,
                )
                _end(job, job.provider.kill)

    def _report(self, run_id: str, job: _Job) -> Report | None:
        """Return the state of a job; None while its service is unreachable."""
        try:
            report = job.provider.report(job.handle)
        except JobLost as error:
            return Report(JobStatus.FAILED, str(error))
        except FlowstoneError as error:
            if not job.is_silent:
                _logger.warning("the job of run %s can't be polled: %s", run_id, error)
            job.is_silent = True
            return None
        job.is_silent = False
        return report

    @property
    def _kind(self) -> str:
        return f"{_JOBS}{self._pool}"

    @staticmethod
    def _request(run: Run, limits: tuple[str, ...]) -> TimedSlotRequest:
        demand = SlotDemand((f"{CLAIM}{run.id}", *limits), 1, run.name, run.id)
        return services().slot_queue.make_request(demand)

    def _start(self, run: Run, placement: Placement, request: TimedSlotRequest) -> None:
        infrastructure, variables = placement.infrastructure, placement.variables
        problem = infrastructure.find_problem(variables)
        if problem is not None:
            record_crash(run, problem)
            return
        provider = infrastructure.make_provider(_make_job(run, variables))
        try:
            handle = provider.start()
        except FlowstoneError as error:
            record_crash(run, f"its job could not be started: {error}")
            return
        self._jobs[run.id] = _Job(provider, handle, request, variables.command)
        if self._pool is not None:
            services().documents.put(self._kind, run.id, {"handle": handle})

    def _adopt(self, run_id: str, handle: str, place: Callable[[Run], Placement | None]) -> None:
        try:
            run = services().runs.run(run_id)
        except RunNotFound:
            self._forget(run_id)
            return
        placement = place(run)
        if placement is None:
            self._forget(run_id)
            return
        request = self._request(run, placement.limits)
        if request.take() is not None:
            request.give_back()
            return
        _logger.info("taking over %s, whose worker has died", run.name)
        provider = placement.infrastructure.attach(placement.variables)
        self._jobs[run_id] = _Job(provider, handle, request, placement.variables.command)

    def _tell_end(self, run_id: str, report: Report, command: str | None) -> None:
        try:
            run = services().runs.run(run_id)
        except RunNotFound:
            return
        if is_waiting(run) and not self._ends_runs:
            record_crash(run, _explain_early_end(report, command))

    def _forget(self, run_id: str) -> None:
        if self._pool is not None:
            with suppress(ObjectNotFound):
                services().documents.delete(self._kind, run_id)


def record_state(run: Run, state: State) -> bool:
    """Record a new state of a scheduled run; return whether it is still scheduled."""
    try:
        services().runs.record(make_change_event(run, state, run.attempt))
    except Conflict:
        return False  # it has changed in the meantime
    return True


def record_crash(run: Run, problem: str) -> None:
    """Record and log that a scheduled run has crashed, as it has no process."""
    if record_state(run, Crashed(problem)):
        log_end(services().runs.run(run.id))


def log_end(run: Run) -> None:
    """Log the end of a run whose own process could not log it."""
    level = logging.ERROR if run.state.type is CRASHED else logging.WARNING
    RunLogger(run).log(level, "ended %s: %s", run.state.name, run.state.message)


def _explain_early_end(report: Report, command: str | None) -> str:
    """Explain that a job has ended without executing its run."""
    if command is None:
        return f"{report.problem or 'its job ended'} before it began"
    ended = report.problem or "its job ended without an error"
    told = f"{ended} and did not execute the run"
    return f"{told}. Check the job variable command, which is {command!r}."


def _end(job: _Job, how: Callable[[str], None]) -> None:
    """Ask a job to end; if its service is unreachable, it is asked again later."""
    try:
        how(job.handle)
    except FlowstoneError as error:
        _logger.warning("the job %s can't be ended: %s", job.handle, error)


def _make_job(run: Run, variables: JobVariables) -> RunJob:
    command = None
    if variables.command is not None:
        command = (*shlex.split(variables.command), run.id)
    labels = {
        "flowstone/flow": run.unit,
        "flowstone/run": run.id,
        "flowstone/deployment": run.deployment or "",
        **variables.labels,
    }
    return RunJob(run.id, variables.name or run.name, command, variables.env, labels, variables)
