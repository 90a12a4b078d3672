"""Deployments in the form that the command line shows."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING

from flowstone.cli.run.records import describe_code
from flowstone.cli.wording import format_iso
from flowstone.deployments.presence import find_servers, find_workers
from flowstone.records.schedules import encode_schedule

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from flowstone.records.deployments import Deployment
    from flowstone.records.schedules import Schedule

#: Maximum number of due times and runs to show for a deployment.
SHOWN = 5


def count_servers(found: Iterable[Deployment]) -> dict[str, int]:
    """Return the number of processes that serve each deployment, by full name."""
    served = Counter(slot.owner for slot in find_servers())
    workers = Counter(each.pool for each in find_workers())
    return {
        each.full_name: served[each.full_name]
        if each.work_pool_name is None
        else workers[each.work_pool_name]
        for each in found
    }


def find_next(found: Deployment, now: float) -> list[float]:
    """Return the next times at which it is due; empty if it is paused."""
    if found.is_paused:
        return []
    times = [at for each in found.active_schedules for at in islice(each.iterate(now), SHOWN)]
    return sorted(times)[:SHOWN]


def explain_pause(found: Deployment) -> str:
    """Return why a paused deployment is paused."""
    if found.paused_by_operator:
        return "paused by an operator"
    return "paused in its code" if found.paused else "paused until a process serves it"


def describe_deployment(
    found: Deployment, now: float, served: Mapping[str, int]
) -> dict[str, object]:
    """Return a deployment as JSON values."""
    return {
        "name": found.full_name,
        "id": found.id,
        "flow": found.flow_name,
        "entrypoint": found.entrypoint,
        "code": describe_code(found.code),
        "requirements": None if found.environment is None else str(found.environment),
        "description": found.description,
        "version": found.version,
        "tags": list(found.tags),
        "parameters": dict(found.parameters),
        "schedules": [describe_schedule(found, each) for each in found.schedules],
        "added_schedules": [describe_schedule(found, each) for each in found.added_schedules],
        "paused": found.is_paused,
        "paused_because": explain_pause(found) if found.is_paused else None,
        "next": [format_iso(at) for at in find_next(found, now)],
        "work_pool": found.work_pool_name,
        "work_queue": found.work_queue_name,
        "job_variables": dict(found.job_variables),
        "concurrency_limit": found.concurrency_limit,
        "collision_strategy": found.collision_strategy,
        "served_by": served.get(found.full_name, 0),
    }


def describe_schedule(found: Deployment, schedule: Schedule) -> dict[str, object]:
    """Return a schedule of a deployment as JSON values, including whether it is active."""
    return {
        **encode_schedule(schedule),
        "active": found.is_active(schedule),
        "paused_because": explain_schedule_pause(found, schedule),
        "rule": str(schedule),
    }


def explain_schedule_pause(found: Deployment, schedule: Schedule) -> str | None:
    """Return why a single schedule creates no runs; None if it is active."""
    if found.is_active(schedule):
        return None
    return "not active in its code" if not schedule.active else "paused by an operator"
