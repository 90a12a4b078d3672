"""Runs as JSON values, for `--json`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowstone.cli.wording import format_iso
from flowstone.records.durations import duration
from flowstone.records.states import SCHEDULED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowstone.deployments.waits import WaitReason
    from flowstone.records.runs import CodeVersion, Run

    #: The reasons why runs wait, by their ids.
    Waits = Mapping[str, WaitReason]

Json = dict[str, Any]


def find_waits(runs: Sequence[Run], now: float) -> Waits:
    """Return why runs of deployments and background tasks wait, by their ids."""
    if not any(run.lease is None and run.state.type is SCHEDULED for run in runs):
        return {}
    # Takes 10 ms, which only a list with such runs needs.
    from flowstone.deployments.waits import find_wait_reasons

    return find_wait_reasons(runs, now)


def describe_run(
    run: Run, now: float, root: Run | None = None, *, waits: Waits | None = None
) -> Json:
    """Return a run as JSON values, with times as ISO 8601 in UTC, and durations in seconds.

    Args:
        run: the run.
        now: the current time, in seconds since the epoch.
        root: the root of its tree; None if it is the root.
        waits: the reasons why runs wait.
    """
    wait = (waits or {}).get(run.id)
    return {
        "id": run.id,
        "kind": run.kind,
        "name": run.name,
        "unit": run.unit,
        "state": {
            "type": run.state.type.value,
            "name": run.state.name,
            "message": run.state.message,
            "at": format_iso(run.state.at),
        },
        "created": format_iso(run.created),
        "started": format_iso(run.started),
        "ended": format_iso(run.ended),
        "duration_seconds": duration(run, now, root),
        "attempts": run.attempt,
        "tags": list(run.tags),
        "version": run.unit_version,
        "root_id": run.root_id,
        "parent_id": run.parent_id,
        "deployment": run.deployment,
        "code": describe_code(None if run.recipe is None else run.recipe.code),
        "scheduled_time": format_iso(run.scheduled_time),
        "waits": None if wait is None else {"kind": wait.kind, "message": wait.message},
    }


def describe_code(code: CodeVersion | None) -> Json | None:
    """Return a version of the code as JSON values; None if the code is not pinned."""
    return None if code is None else {"source": code.source, "snapshot": code.snapshot}


def describe_tally(counts: Mapping[str, int]) -> Json:
    """Return the number of task runs in each state, and in total."""
    states = {state.lower(): count for state, count in sorted(counts.items())}
    return {"total": sum(counts.values()), **states}
