"""Why runs of deployments wait."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, NamedTuple

from flowstone.deployments.documents import find_deployments
from flowstone.deployments.presence import find_servers
from flowstone.flow_runs.executions import is_waiting

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowstone.records.runs import Run

    WaitKind = Literal["not_due", "deployment_deleted", "not_served", "limit_full", "starting"]


class WaitReason(NamedTuple):
    """Why a run is not being executed.

    Attributes:
        kind: for programs: ``not_due``, ``deployment_deleted``, ``not_served``, ``limit_full`` or
            ``starting``.
        message: for a person.
    """

    kind: WaitKind
    message: str


def find_wait_reasons(runs: Iterable[Run], now: float) -> dict[str, WaitReason]:
    """Return why runs wait, by their ids; those that don't are left out."""
    waiting = [run for run in runs if run.deployment is not None and is_waiting(run)]
    if not waiting:
        return {}
    known = {each.full_name for each in find_deployments({run.deployment or "" for run in waiting})}
    served = {slot.owner for slot in find_servers()}
    return {run.id: _explain(run, now, known, served) for run in waiting}


def _explain(run: Run, now: float, known: set[str], served: set[str]) -> WaitReason:
    name = run.deployment or ""
    if name not in known:
        return WaitReason("deployment_deleted", f"its deployment {name!r} has been deleted")
    if run.scheduled_time is not None and run.scheduled_time > now:
        at = datetime.fromtimestamp(run.scheduled_time, UTC)
        return WaitReason("not_due", f"it is due at {at:%Y-%m-%d %H:%M:%S} UTC")
    if name not in served:
        told = f"no process serves {name!r}: start one, or use `flowstone run execute`"
        return WaitReason("not_served", told)
    if run.state.name == "AwaitingConcurrencySlot":
        return WaitReason("limit_full", run.state.message or "")
    return WaitReason("starting", "its process is about to start")
