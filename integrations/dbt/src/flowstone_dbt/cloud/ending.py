"""Cancelling a dbt Cloud run from outside."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from flowstone.errors import JobError, JobLost, JobTimeout
from flowstone_dbt.cloud.clients import read_data
from flowstone_dbt.cloud.statuses import DbtCloudJobRunStatus
from flowstone_dbt.stopping import pause_for

if TYPE_CHECKING:
    from flowstone_dbt.cloud.clients import DbtCloudAdministrativeClient

#: Seconds that a cancelled run has to end: its queries are cancelled first.
GRACE_SECONDS = 120.0
#: Seconds between polls of a cancelled run.
POLL_SECONDS = 0.5


def read_run_id(where: str, handle: str) -> int:
    """Return the id of a run as a number.

    Raises:
        JobLost: it is not a number, so there is no such run.
    """
    if handle.isdecimal() and handle.isascii():
        return int(handle)
    remedy = "The id of a run of dbt Cloud is a number: the last part of its URL."
    raise JobLost(where, f"there is no run {handle!r}", remedy, handle)


def cancel_run(client: DbtCloudAdministrativeClient, run_id: int) -> None:
    """Cancel a run; do nothing if it has ended, even during the call.

    Raises:
        JobLost: there is no such run.
        JobError: it can't be cancelled.
    """
    try:
        client.cancel_run(run_id)
    except JobLost:
        raise
    except JobError:
        if not has_run_ended(client, run_id):
            raise


def has_run_ended(client: DbtCloudAdministrativeClient, run_id: int) -> bool:
    """Return whether a run has ended."""
    status: int = read_data(client.get_run(run_id))["status"]
    return DbtCloudJobRunStatus.is_terminal_status_code(status)


def end_run(client: DbtCloudAdministrativeClient, handle: str) -> None:
    """Cancel a run, and return when it has ended.

    Raises:
        JobLost: there is no such run.
        JobTimeout: it has not ended in time.
        JobError: it can't be cancelled.
    """
    run_id = read_run_id(client.where, handle)
    if has_run_ended(client, run_id):
        return
    cancel_run(client, run_id)
    end = monotonic() + GRACE_SECONDS
    while not has_run_ended(client, run_id):
        if monotonic() > end:
            problem = (
                f"run {run_id} has not ended within {GRACE_SECONDS:g} s after it was cancelled"
            )
            raise JobTimeout(client.where, problem, "See the run in dbt Cloud.", handle)
        pause_for(POLL_SECONDS)
