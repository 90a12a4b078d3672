"""Backfills: the runs that the schedules of a deployment would have had in a past window."""

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

#: How many runs are in flight at a time, where nobody says.
LIMIT = 10
#: So many times are looked up in the store at once.
_PAGE = 200


class BackfillPlan(NamedTuple):
    """What a backfill would do.

    Attributes:
        times: the number of times that are due in the window.
        existing: the number of them that have a run already.
        first: the first of them, in seconds since the epoch; None where there is none.
        last: the last of them.
    """

    times: int
    existing: int
    first: float | None
    last: float | None


class BackfillResult(NamedTuple):
    """What a backfill has done.

    Attributes:
        created: the number of runs that it has created.
        existing: the number of times that had a run already.
        states: the number of runs by the name of the state in which they ended.
    """

    created: int
    existing: int
    states: Mapping[str, int]


class _Due(NamedTuple):
    """A time of a schedule, and its run if there is one."""

    at: float
    schedule: Schedule
    run: Run | None


class Backfill:
    """Creates the runs of a window step by step.

    The run of a time has the id that a tick gives it, so a time has one run whoever creates it,
    and the same backfill goes on where one was interrupted.

    Args:
        name: the deployment: ``flow/name``, or its own name where that is enough.
        start: the first time that may be due, in seconds since the epoch.
        end: the first one that may not.
        slug: of the one schedule; None for all that are active.
        limit: the number of runs that are in flight at a time.

    Raises:
        ObjectNotFound: there is no such deployment or schedule; names near ones.
        ConfigurationError: the window or the limit can't be used, or it has no active schedule.
        ParameterTypeError: the parameters of its runs do not fit.
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
        """Return what it would do from the beginning, and do nothing."""
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
        """Count the runs that have ended, and create as many as there is room for.

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
                run = create_due_run(self.deployment, due.schedule, due.at, "asked for by backfill")
                self._in_flight.add(run.id)
            else:
                self._existing += 1
                self._count(due.run)
        return bool(self._in_flight)

    def _collect(self) -> None:
        """Take note of runs that have ended."""
        if not self._in_flight:
            return
        services().runs.reap()  # whoever was killed left a run behind
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
        """Yield what is due, in the order of time, each with its run."""
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
    """Create the runs that a deployment would have had in a past window, and wait for their ends.

    Times that have a run already are left alone: nothing is executed twice, and the same backfill
    goes on where one was interrupted. A process that serves the deployment executes the runs.

    Args:
        name: the deployment: ``flow/name``, or its own name where that is enough.
        start: the first time that may be due. Without a time zone it is a local time.
        end: the first one that may not; None for now.
        schedule: the slug of the one schedule whose times are meant; None for all active ones.
        limit: the number of runs that are in flight at a time.
        poll_interval: seconds between two looks.

    Returns:
        How many runs it has created, and how they have ended. A failure is not raised.

    Raises:
        ObjectNotFound: there is no such deployment or schedule, or it was deleted meanwhile.
        ConfigurationError: the window or the limit can't be used, or it has no active schedule.
        ParameterTypeError: the parameters of its runs do not fit; no run was created.
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
    """Return the schedules that are meant, after their parameters were checked."""
    chosen = deployment.active_schedules if slug is None else (find_schedule(deployment, slug),)
    if not chosen:
        problem = "the deployment has no active schedule"
        remedy = "Name one that is paused by schedule=…, or create one."
        raise ConfigurationError(f"backfill of {deployment.full_name!r}", problem, remedy)
    for schedule in chosen:
        given = {**deployment.parameters, **(schedule.parameters or {})}
        check_parameters(deployment, given, is_complete=True)
    return chosen
