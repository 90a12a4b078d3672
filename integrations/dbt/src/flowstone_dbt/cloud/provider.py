"""The job provider for dbt Cloud."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING

from flowstone.blocks import JobProvider, JobStatus, Report
from flowstone.errors import JobError, JobLost
from flowstone_dbt.cloud.clients import DbtCloudAdministrativeClient, read_data
from flowstone_dbt.cloud.ending import GRACE_SECONDS, cancel_run, read_run_id
from flowstone_dbt.cloud.failures import describe_failure
from flowstone_dbt.cloud.progress import list_progress
from flowstone_dbt.cloud.records import JsonObject
from flowstone_dbt.cloud.statuses import DbtCloudJobRunStatus
from flowstone_dbt.stopping import pause_for

if TYPE_CHECKING:
    from flowstone_dbt.cloud.job import DbtCloudJob

#: Seconds that dbt Cloud may not know a run after it was triggered.
FRESH_SECONDS = 60.0
#: Seconds between two attempts to cancel a run that is still unknown.
PAUSE_SECONDS = 0.5
STATUSES = {
    DbtCloudJobRunStatus.QUEUED: JobStatus.PENDING,
    DbtCloudJobRunStatus.STARTING: JobStatus.PENDING,
    DbtCloudJobRunStatus.RUNNING: JobStatus.RUNNING,
    DbtCloudJobRunStatus.SUCCESS: JobStatus.COMPLETED,
    DbtCloudJobRunStatus.FAILED: JobStatus.FAILED,
    DbtCloudJobRunStatus.CANCELLED: JobStatus.CANCELLED,
}


@dataclass
class FreshRuns:
    """The runs that a block has just triggered, from dbt Cloud's responses."""

    _runs: dict[str, tuple[float, JsonObject]] = field(default_factory=dict)

    def add(self, handle: str, run: JsonObject) -> None:
        """Store a run, and remove those that are no longer fresh."""
        kept = {name: found for name, found in self._runs.items() if self._is_fresh(found[0])}
        self._runs = {**kept, handle: (monotonic(), run)}

    def find(self, handle: str) -> JsonObject | None:
        """Return a run that was triggered a moment ago; None for any other."""
        at, run = self._runs.get(handle, (0.0, None))
        return run if run is not None and self._is_fresh(at) else None

    def _is_fresh(self, at: float) -> bool:
        return monotonic() - at < FRESH_SECONDS


class DbtCloudRuns(JobProvider):
    """The runs of a job; a handle is the id of a run.

    Args:
        job: the job to trigger.
        fresh: the runs that were just triggered.
    """

    grace_seconds = GRACE_SECONDS
    outage_seconds = 300.0

    def __init__(self, job: DbtCloudJob, fresh: FreshRuns) -> None:
        self._job, self._fresh = job, fresh
        self.poll_seconds, self.timeout_seconds = job.interval_seconds, job.timeout_seconds

    @property
    def where(self) -> str:
        return f"dbt Cloud job {self._job.job_id} at {self._job.dbt_cloud_credentials.domain}"

    def start(self) -> str:
        with self._open() as client:
            options = self._job.trigger_job_run_options
            run = read_data(client.trigger_job_run(self._job.job_id, options))
        if not isinstance(run, dict) or "id" not in run:
            problem = "the response to the trigger has no run id"
            raise JobError(self.where, problem, "Check the job's runs in dbt Cloud.")
        handle = str(run["id"])
        self._fresh.add(handle, run)
        return handle

    def report(self, handle: str) -> Report:
        run_id = read_run_id(self.where, handle)
        with self._open() as client:
            run = self._read_run(client, run_id)
            status = STATUSES.get(run["status"], JobStatus.RUNNING)
            if status is JobStatus.FAILED:
                run = read_data(client.get_run(run_id, ["run_steps"]))
                return Report(status, describe_failure(client, run), find_url(run))
        return Report(status, url=find_url(run))

    def cancel(self, handle: str) -> None:
        run_id = read_run_id(self.where, handle)
        with self._open() as client:
            while True:
                try:
                    return cancel_run(client, run_id)
                except JobLost:
                    if self._fresh.find(handle) is None:
                        raise
                pause_for(PAUSE_SECONDS)

    def read_logs(self, handle: str, seen: int) -> list[str]:
        run_id = read_run_id(self.where, handle)
        with self._open() as client:
            run = self._read_run(client, run_id, "run_steps")
        return [*list_progress(run)][seen:]

    def read_result(self, handle: str) -> JsonObject:
        """Return the run, with the paths of its artifacts."""
        return self.read_run(handle, step=None)

    def read_run(self, handle: str, *, step: int | None) -> JsonObject:
        """Return a run with the paths of a step's artifacts; by default the last step's."""
        run_id = read_run_id(self.where, handle)

        def read(client: DbtCloudAdministrativeClient) -> JsonObject:
            run: JsonObject = read_data(client.get_run(run_id))
            try:
                paths = read_data(client.list_run_artifacts(run_id, step))
            except JobLost:  # the job stores none
                paths = []
            return {**run, "artifact_paths": paths or []}

        return self._job.dbt_cloud_credentials.ask(read)

    def _read_run(
        self, client: DbtCloudAdministrativeClient, run_id: int, *related: str
    ) -> JsonObject:
        """Return a run; dbt Cloud may not know one that it has just triggered."""
        try:
            found: JsonObject = read_data(client.get_run(run_id, related))
        except JobLost:
            fresh = self._fresh.find(str(run_id))
            if fresh is None:
                raise
            return fresh
        return found

    def _open(self) -> DbtCloudAdministrativeClient:
        return self._job.dbt_cloud_credentials.get_administrative_client()


def find_url(run: JsonObject) -> str:
    """Return the page of a run; "" if dbt Cloud returns none."""
    return str(run.get("href") or "")
