"""Backfills: the runs that a deployment's schedules would have created in a past window."""

from __future__ import annotations

from collections import Counter
from heapq import merge
from itertools import islice, takewhile
from typing import TYPE_CHECKING, NamedTuple

from flowstone.context.current import services
from flowstone.deployments.creation import TickKey, check_parameters, derive_run_id
from flowstone.deployments.documents import load_deployment
from flowstone.deployments.schedule_pauses import find_schedule
from flowstone.deployments.ticks import create_due_run, format_utc
from flowstone.errors import ConfigurationError
from flowstone.records.runs import RunQuery

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from flowstone.records.deployments import Deployment
    from flowstone.records.runs import Run
    from flowstone.records.schedules import Schedule

#: Default maximum of runs in progress at a time.
LIMIT = 10
#: Number of times looked up in the store at once.
_PAGE = 200


class BackfillPlan(NamedTuple):
    """What a backfill would do.

    Attributes:
        times: the number of scheduled times in the window.
        existing: the number of them that have a run already.
        first: the first of them, in seconds since the epoch; None if there is none.
        last: the last of them.
    """

    times: int
    existing: int
    first: float | None
    last: float | None


class BackfillResult(NamedTuple):
    """The result of a backfill.

    Attributes:
        created: the number of runs that it has created.
        existing: the number of times that had a run already.
        states: the number of runs by the name of their final state.
    """

    created: int
    existing: int
    states: Mapping[str, int]


class _Due(NamedTuple):
    """A scheduled time, and its run if there is one."""

    at: float
    schedule: Schedule
    run: Run | None


class Backfill:
    """Creates the runs of a window step by step.

    The run of a scheduled time always has the same id, so it is created only once, by a backfill or
    otherwise, and repeating an interrupted backfill resumes it.

    Args:
        name: the deployment: ``flow/name``, or its own name if that is unique.
        start: the start of the window, inclusive, in seconds since the epoch.
        end: the end of the window, exclusive.
        slug: the slug of the only schedule to use; None for all that are active.
        limit: the maximum number of runs in progress at a time.

    Raises:
        ObjectNotFound: there is no such deployment or schedule; the message lists similar names.
        ConfigurationError: the window or the limit is not valid, or there is no active schedule.
        ParameterTypeError: the parameters of its runs are not valid.
    """

    def __init__(
        self, name: str, start: float, end: float, *, slug: str | None = None, limit: int = LIMIT
    ) -> None:
        self.deployment = load_deployment(name)
        _check(self.deployment, start, end, limit)
        self._start, self._end, self._limit = start, end, limit
        self._schedules = _choose_schedules(self.deployment, slug)
        self._times = self._iterate_due()
        self._in_flight: set[str] = set()
        self._created = self._existing = 0
        self._states: Counter[str] = Counter()

    def plan(self) -> BackfillPlan:
        """Return what the whole backfill would do, without doing it."""
        times = existing = 0
        first = last = None
        for due in self._iterate_due():
            first = due.at if first is None else first
            last = due.at
            times += 1
            existing += due.run is not None
        return BackfillPlan(times, existing, first, last)

    @property
    def result(self) -> BackfillResult:
        """What it has done by now."""
        return BackfillResult(self._created, self._existing, dict(self._states))

    def step(self) -> bool:
        """Count the runs that have ended, and create new ones up to the limit.

        Returns:
            Whether there is more to do.

        Raises:
            ObjectNotFound: the deployment has been deleted.
        """
        load_deployment(self.deployment.full_name)
        self._collect()
        while len(self._in_flight) < self._limit:
            due = next(self._times, None)
            if due is None:
                break
            if due.run is None:
                self._created += 1
                run = create_due_run(self.deployment, due.schedule, due.at, "requested by backfill")
                self._in_flight.add(run.id)
            else:
                self._existing += 1
                self._count(due.run)
        return bool(self._in_flight)

    def _collect(self) -> None:
        """Count the runs that have ended."""
        if not self._in_flight:
            return
        services().runs.reap()  # a killed process leaves its run behind
        waited = self._in_flight
        self._in_flight = set()
        for run in services().runs.runs(RunQuery(ids=tuple(sorted(waited)))):
            self._count(run)

    def _count(self, run: Run) -> None:
        if run.state.is_final():
            self._states[run.state.name] += 1
        else:
            self._in_flight.add(run.id)

    def _iterate_due(self) -> Iterator[_Due]:
        """Yield the scheduled times in order, each with its run."""
        times = merge(
            *(
                ((at, number) for at in self._iterate_times(schedule))
                for number, schedule in enumerate(self._schedules)
            )
        )
        while page := list(islice(times, _PAGE)):
            dues = [_Due(at, self._schedules[number], None) for at, number in page]
            ids = [
                derive_run_id(self.deployment, TickKey(due.schedule.slug or "", due.at))
                for due in dues
            ]
            found = {run.id: run for run in services().runs.runs(RunQuery(ids=tuple(ids)))}
            for due, run_id in zip(dues, ids, strict=True):
                yield due._replace(run=found.get(run_id))

    def _iterate_times(self, schedule: Schedule) -> Iterator[float]:
        times = schedule.iterate(self._start - 1.0)
        return (at for at in takewhile(lambda at: at < self._end, times) if at >= self._start)


def backfill_deployment(
    name: str,
    start: datetime,
    end: datetime | None = None,
    *,
    schedule: str | None = None,
    limit: int = LIMIT,
    poll_interval: float = 0.5,
) -> BackfillResult:
    """Create the runs that a deployment would have had in a past window, and wait for them to end.

    Times that have a run already are skipped: nothing is executed twice, and repeating an
    interrupted backfill resumes it. A process that serves the deployment executes the runs.

    Args:
        name: the deployment: ``flow/name``, or its own name if that is unique.
        start: the start of the window, inclusive. Without a time zone it is a local time.
        end: the end of the window, exclusive; None for now.
        schedule: the slug of the only schedule to use; None for all active ones.
        limit: the maximum number of runs in progress at a time.
        poll_interval: seconds between two polls.

    Returns:
        The number of runs created, and their final states. A failure is not raised.

    Raises:
        ObjectNotFound: there is no such deployment or schedule, or it was deleted while waiting.
        ConfigurationError: the window or the limit is not valid, or there is no active schedule.
        ParameterTypeError: the parameters of its runs are not valid; no run was created.
    """
    clock = services().clock
    until = clock.time() if end is None else end.timestamp()
    backfill = Backfill(name, start.timestamp(), until, slug=schedule, limit=limit)
    while backfill.step():
        clock.sleep(poll_interval)
    return backfill.result


def _check(deployment: Deployment, start: float, end: float, limit: int) -> None:
    owner = f"backfill of {deployment.full_name!r}"
    if start >= end:
        problem = f"it would end at {format_utc(end)}, and begin at {format_utc(start)}"
        raise ConfigurationError(owner, problem, "Use an end after the start.")
    if end > services().clock.time():
        problem = f"{format_utc(end)} is in the future"
        raise ConfigurationError(owner, problem, "Use a past time: schedules create later runs.")
    if limit < 1:
        raise ConfigurationError(owner, f"limit={limit} lets no run start", "Use 1 or more.")


def _choose_schedules(deployment: Deployment, slug: str | None) -> Sequence[Schedule]:
    """Return the selected schedules, after checking their parameters."""
    chosen = deployment.active_schedules if slug is None else (find_schedule(deployment, slug),)
    if not chosen:
        problem = "the deployment has no active schedule"
        remedy = "Name one that is paused by schedule=…, or create one."
        raise ConfigurationError(f"backfill of {deployment.full_name!r}", problem, remedy)
    for schedule in chosen:
        given = {**deployment.parameters, **(schedule.parameters or {})}
        check_parameters(deployment, given, is_complete=True)
    return chosen
