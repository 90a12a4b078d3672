"""The progress of a run as append-only log lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone_dbt.cloud.records import JsonObject
from flowstone_dbt.cloud.statuses import (
    DbtCloudJobRunStatus,
    has_step_ended,
    read_step_status,
    sort_steps,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


def list_progress(run: JsonObject) -> Iterator[str]:
    """Yield the changes of a run so far, oldest first.

    Args:
        run: as the API returns it, with its ``run_steps``.
    """
    name = f"run {run['id']}"
    yield f"{name} is queued: {run['href']}" if run.get("href") else f"{name} is queued"
    if run.get("dequeued_at"):
        yield f"{name} is starting"
    if run.get("started_at"):
        yield f"{name} is running"
    for step in sort_steps(run):
        status = read_step_status(step)
        if status == "queued":
            break
        yield f"step {step['index']}: {step['name']}"
        if not has_step_ended(step):
            break
        yield f"step {step['index']}: {status}"
    if DbtCloudJobRunStatus.is_terminal_status_code(run["status"]):
        yield f"{name}: {describe_status(run)}"


def describe_status(run: JsonObject) -> str:
    """Return the status of a run as text."""
    try:
        return DbtCloudJobRunStatus(run["status"]).name.lower()
    except ValueError:
        return f"status {run['status']}"
