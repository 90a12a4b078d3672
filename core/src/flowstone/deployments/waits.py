"""The reasons why runs of deployments and background tasks are waiting."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, NamedTuple

from flowstone.calls.kept_calls import find_calls
from flowstone.context.current import services
from flowstone.deployments.documents import find_deployments
from flowstone.deployments.presence import (
    find_claimed,
    find_served,
    find_served_tasks,
    find_worked_pools,
)
from flowstone.deployments.run_options import apply_options, find_options
from flowstone.infrastructure.work_pools import find_work_pools
from flowstone.records.runs import RunQuery, is_waiting

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from flowstone.calls.kept_calls import KeptCall
    from flowstone.records.codec import Json
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
        "upstream",
        "call_lost",
        "starting",
    ]

#: Kinds of reasons that last until a user does something.
BLOCKED = frozenset(
    {
        "deployment_deleted",
        "not_served",
        "pool_deleted",
        "queue_deleted",
        "pool_paused",
        "queue_paused",
        "no_worker",
        "call_lost",
    }
)


class WaitReason(NamedTuple):
    """The reason why a run is not being executed.

    Attributes:
        kind: for programs: ``not_due``, ``no_worker`` …
        message: for people.
    """

    kind: WaitKind
    message: str


class _Known(NamedTuple):
    """The known deployments and pools by name, and the processes that are online."""

    deployments: dict[str, Deployment]
    pools: dict[str, WorkPool]
    served: set[str]
    worked: set[str]
    options: dict[str, Json]


def find_wait_reasons(runs: Iterable[Run], now: float) -> dict[str, WaitReason]:
    """Return why runs are waiting, by their ids; runs that are not waiting are omitted."""
    waiting = [run for run in runs if is_waiting(run)]
    claimed = find_claimed(run.id for run in waiting)
    found = {run.id: WaitReason("starting", "its job is about to start") for run in waiting}
    left = [run for run in waiting if run.id not in claimed]
    found |= _explain_runs_of_deployments([run for run in left if run.deployment], now)
    found |= _explain_background_runs([run for run in left if run.kind == "task"])
    return found


def _explain_background_runs(runs: Sequence[Run]) -> dict[str, WaitReason]:
    if not runs:
        return {}
    calls, served = find_calls([run.id for run in runs]), find_served_tasks()
    upstream = {run_id for call in calls.values() for run_id in call.upstream}
    pending = {
        run.id: run.name
        for run in services().runs.runs(RunQuery(ids=tuple(upstream)))
        if not run.state.is_final()
    }
    return {run.id: _explain_call(run, calls.get(run.id), served, pending) for run in runs}


def _explain_call(
    run: Run, call: KeptCall | None, served: set[str], pending: Mapping[str, str]
) -> WaitReason:
    if call is None:
        return WaitReason("call_lost", "its call is lost: cancel it, and send it again")
    if call.key not in served:
        told = f"no process serves {call.key!r}: start one that calls the task's serve()"
        return WaitReason("not_served", told)
    names = [pending[run_id] for run_id in call.upstream if run_id in pending]
    if names:
        return WaitReason("upstream", f"it waits for {', '.join(names[:5])}")
    if run.state.name == "AwaitingConcurrencySlot":
        return WaitReason("limit_full", run.state.message or "")
    return WaitReason("starting", "it is about to be started")


def _explain_runs_of_deployments(runs: Sequence[Run], now: float) -> dict[str, WaitReason]:
    if not runs:
        return {}
    deployments = find_deployments({run.deployment or "" for run in runs})
    known = _Known(
        {each.full_name: each for each in deployments},
        {each.name: each for each in find_work_pools()},
        find_served(),
        find_worked_pools(),
        _find_all_options(deployments, runs),
    )
    return {run.id: _explain(run, now, known) for run in runs}


def _find_all_options(deployments: Iterable[Deployment], runs: Iterable[Run]) -> dict[str, Json]:
    pools = {each.work_pool_name for each in deployments if each.work_pool_name is not None}
    ids = [run.id for run in runs]
    return {run_id: each for pool in pools for run_id, each in find_options(pool, ids).items()}


def _explain(run: Run, now: float, known: _Known) -> WaitReason:
    name = run.deployment or ""
    deployment = known.deployments.get(name)
    if deployment is None:
        return WaitReason("deployment_deleted", f"its deployment {name!r} has been deleted")
    if run.scheduled_time is not None and run.scheduled_time > now:
        at = datetime.fromtimestamp(run.scheduled_time, UTC)
        return WaitReason("not_due", f"it is due at {at:%Y-%m-%d %H:%M:%S} UTC")
    deployment = apply_options(deployment, known.options.get(run.id))
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
    """Return why a pool does not take runs of a deployment; None if it does."""
    pool = known.pools.get(name)
    if pool is None:
        told = f"its work pool {name!r} has been deleted: `flowstone pool create {name}`"
        return WaitReason("pool_deleted", told)
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
