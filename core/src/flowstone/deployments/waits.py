"""Why runs of deployments wait."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, NamedTuple

from flowstone.deployments.documents import find_deployments
from flowstone.deployments.presence import find_claimed, find_served, find_worked_pools
from flowstone.flow_runs.executions import is_waiting
from flowstone.infrastructure.work_pools import find_work_pools

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowstone.records.deployments import Deployment
    from flowstone.records.runs import Run
    from flowstone.records.work_pools import WorkPool

    WaitKind = Literal[
        "not_due",
        "deployment_deleted",
        "not_served",
        "pool_deleted",
        "queue_deleted",
        "pool_paused",
        "queue_paused",
        "no_worker",
        "limit_full",
        "starting",
    ]

#: Kinds of reasons that last until somebody does something.
BLOCKED = frozenset(
    {
        "deployment_deleted",
        "not_served",
        "pool_deleted",
        "queue_deleted",
        "pool_paused",
        "queue_paused",
        "no_worker",
    }
)


class WaitReason(NamedTuple):
    """Why a run is not being executed.

    Attributes:
        kind: for programs: ``not_due``, ``no_worker`` …
        message: for a person.
    """

    kind: WaitKind
    message: str


class _Known(NamedTuple):
    """What is there: deployments and pools by name, who executes runs, and which are claimed."""

    deployments: dict[str, Deployment]
    pools: dict[str, WorkPool]
    served: set[str]
    worked: set[str]
    claimed: set[str]


def find_wait_reasons(runs: Iterable[Run], now: float) -> dict[str, WaitReason]:
    """Return why runs wait, by their ids; those that don't are left out."""
    waiting = [run for run in runs if run.deployment is not None and is_waiting(run)]
    if not waiting:
        return {}
    deployments = find_deployments({run.deployment or "" for run in waiting})
    known = _Known(
        {each.full_name: each for each in deployments},
        {each.name: each for each in find_work_pools()},
        find_served(),
        find_worked_pools(),
        find_claimed(run.id for run in waiting),
    )
    return {run.id: _explain(run, now, known) for run in waiting}


def _explain(run: Run, now: float, known: _Known) -> WaitReason:
    name = run.deployment or ""
    deployment = known.deployments.get(name)
    if deployment is None:
        return WaitReason("deployment_deleted", f"its deployment {name!r} has been deleted")
    if run.id in known.claimed:
        return WaitReason("starting", "its job is about to start")
    if run.scheduled_time is not None and run.scheduled_time > now:
        at = datetime.fromtimestamp(run.scheduled_time, UTC)
        return WaitReason("not_due", f"it is due at {at:%Y-%m-%d %H:%M:%S} UTC")
    if deployment.work_pool_name is not None:
        blocked = _explain_pool(deployment, deployment.work_pool_name, known)
        if blocked is not None:
            return blocked
    elif name not in known.served:
        told = f"no process serves {name!r}: start one, or use `flowstone run execute`"
        return WaitReason("not_served", told)
    if run.state.name == "AwaitingConcurrencySlot":
        return WaitReason("limit_full", run.state.message or "")
    return WaitReason("starting", "a job is about to be started for it")


def _explain_pool(deployment: Deployment, name: str, known: _Known) -> WaitReason | None:
    """Return what in its pool keeps runs of a deployment from being taken; None for nothing."""
    pool = known.pools.get(name)
    if pool is None:
        return WaitReason("pool_deleted", f"its work pool {name!r} has been deleted")
    queue = pool.find_queue(deployment.work_queue_name)
    if queue is None:
        told = f"the work pool {name!r} has no queue {deployment.work_queue_name!r} any more"
        return WaitReason("queue_deleted", told)
    if pool.paused:
        told = f"its work pool is paused: `flowstone pool resume {name}`"
        return WaitReason("pool_paused", told)
    if queue.paused:
        told = f"its queue is paused: `flowstone pool queue resume {name} {queue.name}`"
        return WaitReason("queue_paused", told)
    if name not in known.worked:
        told = f"no worker is online in its pool: `flowstone worker start --pool {name}`"
        return WaitReason("no_worker", told)
    return None
