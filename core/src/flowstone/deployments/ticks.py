"""Ticks: the runs of a deployment are made when its schedules are due, each once."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from flowstone.context.current import services
from flowstone.deployments.creation import TickKey, create_run
from flowstone.deployments.documents import PROGRESS
from flowstone.errors import ObjectAlreadyExists, StaleDocument
from flowstone.logging.run_logger import get_logger
from flowstone.records.schedules import compute_jitter, fingerprint_times

if TYPE_CHECKING:
    from flowstone.records.codec import Json
    from flowstone.records.deployments import Deployment
    from flowstone.records.runs import Run
    from flowstone.records.schedules import Schedule


class DueTimes(NamedTuple):
    """What is due of one schedule.

    Attributes:
        runs: the times for which runs are made.
        skipped: the number of times that were missed, and for which none is made.
        last: the last time that was due; None where none was.
        upcoming: the next time; None where there is none.
    """

    runs: list[float]
    skipped: int
    last: float | None
    upcoming: float | None


def make_due_runs(deployment: Deployment, now: float) -> float | None:
    """Make the runs that are due, and return when the next ones are; None for never.

    However many processes do this at a time, or end in the middle, a time has one run: its id is
    made of the deployment, the schedule and the time.
    """
    document = services().documents.find(PROGRESS, names=[deployment.full_name])
    before: Json = dict(document[0].body) if document else {}
    after: Json = {}
    upcoming = []
    for schedule in deployment.active_schedules:
        key = f"{schedule.slug}@{fingerprint_times(schedule)[:12]}"
        progress = before.get(key, {"until": now})
        due = find_due_times(schedule, progress["until"], now)
        for at in due.runs:
            create_due_run(deployment, schedule, at)
        after[key] = _advance(deployment, schedule, progress, due)
        if due.upcoming is not None:
            upcoming.append(due.upcoming)
    if after != before:
        _save_progress(deployment.full_name, after, document[0].version if document else 0)
    return min(upcoming, default=None)


def find_due_times(schedule: Schedule, since: float, now: float) -> DueTimes:
    """Return what is due after a time, by the misfire policy of the schedule."""
    on_time: list[float] = []
    missed: list[float] = []
    count, last, upcoming = 0, None, None
    for at in schedule.iterate(since):
        if at > now:
            upcoming = at
            break
        last = at
        if at >= now - schedule.grace_seconds:
            on_time.append(at)
            continue
        count += 1
        if schedule.misfire == "all":
            missed.append(at)
        elif schedule.misfire == "latest":
            missed = [at]
    if schedule.misfire == "latest" and on_time:
        missed = []
    return DueTimes([*missed, *on_time], count - len(missed), last, upcoming)


def create_due_run(
    deployment: Deployment, schedule: Schedule, due: float, reason: str | None = None
) -> Run:
    """Create the run of a schedule for a time at which it is due, unless there is one.

    Args:
        deployment: a saved one.
        schedule: one of its schedules.
        due: the time, in seconds since the epoch.
        reason: why it is created, where that is not the schedule alone.
    """
    slug = schedule.slug or ""
    told = f"due at {format_utc(due)} by the schedule {slug!r}"
    return create_run(
        deployment,
        {**deployment.parameters, **(schedule.parameters or {})},
        scheduled_time=due + compute_jitter(schedule, deployment.id, due),
        message=told if reason is None else f"{told}, {reason}",
        key=TickKey(slug, due),
    )


def _advance(deployment: Deployment, schedule: Schedule, progress: Json, due: DueTimes) -> Json:
    """Return up to when a schedule has made its runs, and what it has skipped last."""
    after = progress if due.last is None else {**progress, "until": due.last}
    if not due.skipped:
        return after
    get_logger("deployments").warning(
        "%s: schedule %r missed %d times up to %s, which are skipped (misfire=%r)",
        deployment.full_name,
        schedule.slug,
        due.skipped,
        format_utc(due.last or 0.0),
        schedule.misfire,
    )
    return {**after, "skipped": due.skipped, "skipped_until": due.last}


def _save_progress(full_name: str, progress: Json, version: int) -> None:
    """Keep how far schedules are; where somebody else has done so, they have made the same runs."""
    with suppress(StaleDocument, ObjectAlreadyExists):
        services().documents.put(PROGRESS, full_name, progress, expected=version)


def format_utc(at: float) -> str:
    """Return a time as a person reads it, in UTC."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"
