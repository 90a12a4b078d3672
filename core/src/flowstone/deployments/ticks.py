"""Ticks: create the runs of a deployment's schedules when they are due, each once."""

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


#: Maximum number of runs created, and of times processed, per schedule and poll. After a long
#: outage the next poll continues at once where this one has stopped.
MOST_RUNS = 100
MOST_TIMES = 10_000


class DueTimes(NamedTuple):
    """The due times of one schedule, or the first part of them.

    Attributes:
        runs: the times for which runs are created.
        skipped: the number of times that were missed, and are skipped.
        until: the last time that this covers; None if there is none.
        is_part: whether there are more times after `until`.
        upcoming: the next time; None if there is none.
    """

    runs: list[float]
    skipped: int
    until: float | None
    is_part: bool
    upcoming: float | None


def make_due_runs(deployment: Deployment, now: float) -> float | None:
    """Create the runs that are due, and return when the next ones are; None for never.

    If several processes do this concurrently, or stop halfway, each time still has one run: its id
    is derived from the deployment, the schedule and the time. After very many missed times, this
    processes a part of them, and returns that the next ones are due now.
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
    """Return the times due since a time, by the schedule's misfire policy."""
    runs: list[float] = []
    skipped, until = 0, None
    latest: float | None = None  # a missed time, to be run unless a later one is due
    for number, at in enumerate(schedule.iterate(since)):
        if at > now:
            upcoming: float | None = at
            break
        if len(runs) == MOST_RUNS or number == MOST_TIMES:
            return DueTimes(runs, skipped, until, True, at)
        if latest is not None:
            skipped += 1
            until, latest = latest, None
        if at >= now - schedule.grace_seconds or schedule.misfire == "all":
            runs.append(at)
        elif schedule.misfire == "latest":
            latest = at
            continue
        else:
            skipped += 1
        until = at
    else:
        upcoming = None
    if latest is not None:
        runs.append(latest)
        until = latest
    return DueTimes(runs, skipped, until, False, upcoming)


def create_due_run(
    deployment: Deployment, schedule: Schedule, due: float, reason: str | None = None
) -> Run:
    """Create the run of a schedule for a due time, unless there is one.

    Args:
        deployment: a saved one.
        schedule: one of its schedules.
        due: the time, in seconds since the epoch.
        reason: why it is created, if not only because of the schedule.
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
    """Return the new progress of a schedule, with its last skipped times."""
    after = dict(progress) if due.until is None else {**progress, "until": due.until}
    was_part = after.pop("is_part", False)
    skipped = due.skipped + (after.get("skipped", 0) if was_part else 0)
    if due.skipped:
        after |= {"skipped": skipped, "skipped_until": due.until}
    if due.is_part:
        return {**after, "is_part": True}
    if due.skipped or (was_part and skipped):
        get_logger("deployments").warning(
            "%s: schedule %r missed %d times up to %s, which are skipped (misfire=%r)",
            deployment.full_name,
            schedule.slug,
            skipped,
            format_utc(after["skipped_until"]),
            schedule.misfire,
        )
    return after


def _save_progress(full_name: str, progress: Json, version: int) -> None:
    """Save the progress of schedules; if another process has, it has created the same runs."""
    with suppress(StaleDocument, ObjectAlreadyExists):
        services().documents.put(PROGRESS, full_name, progress, expected=version)


def format_utc(at: float) -> str:
    """Return a time in UTC, for display."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"
