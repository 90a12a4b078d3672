"""DbtCloudJob: a dbt Cloud job and its runs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, PrivateAttr

from flowstone.blocks import Job, JobRun
from flowstone.blocks.async_twins import make_twin
from flowstone_dbt.cloud.clients import read_artifact, read_data
from flowstone_dbt.cloud.credentials import DbtCloudCredentials
from flowstone_dbt.cloud.ending import read_run_id
from flowstone_dbt.cloud.models import TriggerJobRunOptions
from flowstone_dbt.cloud.provider import DbtCloudRuns, FreshRuns
from flowstone_dbt.cloud.records import Artifact, JsonObject
from flowstone_dbt.cloud.reruns import RELATED, make_rerun_options

if TYPE_CHECKING:
    from flowstone.blocks import JobProvider
    from flowstone.records.events import ExternalHandle
    from flowstone_dbt.cloud.clients import DbtCloudAdministrativeClient


class DbtCloudJob(Job):
    """A dbt Cloud job, which Flowstone triggers, waits for, retries and cancels.

    The result of a run is the run as the API returns it, with its ``artifact_paths``.
    """

    _block_type_name: ClassVar[str | None] = "dbt Cloud Job"
    _block_type_slug: ClassVar[str | None] = "dbt-cloud-job"
    _description: ClassVar[str | None] = "A dbt Cloud job."
    _documentation_url: ClassVar[str | None] = "https://docs.getdbt.com/docs/deploy/jobs"
    _code_example: ClassVar[str | None] = (
        'login = DbtCloudCredentials.load("analytics")\n'
        'DbtCloudJob(dbt_cloud_credentials=login, job_id=154217).save("nightly")\n'
        'run = DbtCloudJob.load("nightly").run()'
    )

    dbt_cloud_credentials: DbtCloudCredentials = Field(description="The login.")
    job_id: int = Field(description="The id of the job, as in its URL.")
    timeout_seconds: float | None = Field(
        default=900.0, ge=0, description="Seconds to wait for a run; None waits without a limit."
    )
    interval_seconds: float = Field(
        default=10.0, gt=0, description="Maximum seconds between two polls of a run."
    )
    trigger_job_run_options: TriggerJobRunOptions = Field(
        default_factory=TriggerJobRunOptions,
        description="Overrides for its runs.",
    )
    _fresh: FreshRuns = PrivateAttr(default_factory=FreshRuns)

    def make_provider(self) -> DbtCloudRuns:
        """Return the provider that runs this job on dbt Cloud."""
        return DbtCloudRuns(self, self._fresh)

    def make_run(
        self, provider: JobProvider, handle: str, external: ExternalHandle | None = None
    ) -> DbtCloudJobRun:
        """Return a run of this job."""
        return DbtCloudJobRun(self, provider, handle, external)

    def name_in_handles(self) -> str:
        """Return the block that can cancel a run: the saved job, or else the saved credentials."""
        login = self.dbt_cloud_credentials
        if self.name is None and login.name is not None:
            return f"{login.block_type_slug()}/{login.name}"
        return super().name_in_handles()

    def trigger(
        self, trigger_job_run_options: TriggerJobRunOptions | None = None
    ) -> DbtCloudJobRun:
        """Start a run and return at once.

        Args:
            trigger_job_run_options: overrides for this run, instead of the block's.

        Raises:
            JobError: the run can't be started.
        """
        job = self
        if trigger_job_run_options is not None:
            changes = {"trigger_job_run_options": trigger_job_run_options}
            job = self.model_copy(update=changes)
        run = super(DbtCloudJob, job).trigger()
        assert isinstance(run, DbtCloudJobRun)
        return run

    async def atrigger(
        self, trigger_job_run_options: TriggerJobRunOptions | None = None
    ) -> DbtCloudJobRun:
        """Async version of `trigger`."""
        return await asyncio.to_thread(self.trigger, trigger_job_run_options)

    def get_job(self, order_by: str | None = None) -> JsonObject:
        """Return the job as the API returns it.

        Args:
            order_by: a field of the API to order by; a leading ``-`` reverses the order.

        Raises:
            JobLost: there is no such job.
        """
        found: JsonObject = self.dbt_cloud_credentials.ask(
            lambda client: read_data(client.get_job(self.job_id, order_by))
        )
        return found

    async def aget_job(self, order_by: str | None = None) -> JsonObject:
        """Async version of `get_job`."""
        return await asyncio.to_thread(self.get_job, order_by)

    def find_fresh_run(self, handle: str) -> JsonObject | None:
        """Return a run from dbt Cloud's response to a recent trigger; None for other runs."""
        return self._fresh.find(handle)


class DbtCloudJobRun(JobRun):
    """A run of a dbt Cloud job.

    Args:
        job: the job.
        provider: the provider of the run.
        handle: the id of the run.
        external: the recorded handle.
    """

    def __init__(
        self,
        job: DbtCloudJob,
        provider: JobProvider,
        handle: str,
        external: ExternalHandle | None = None,
    ) -> None:
        super().__init__(provider, handle, external)
        self._job = job

    @property
    def run_id(self) -> int:
        """The id of the run."""
        return read_run_id("dbt Cloud", self.handle)

    @property
    def dbt_cloud_credentials(self) -> DbtCloudCredentials:
        """The login."""
        return self._job.dbt_cloud_credentials

    def get_run(self) -> JsonObject:
        """Return the run as the API returns it.

        Raises:
            JobLost: there is no such run.
        """
        found: JsonObject = self.dbt_cloud_credentials.ask(
            lambda client: read_data(client.get_run(self.run_id))
        )
        return found

    def get_status_code(self) -> int:
        """Return the numeric status; see `DbtCloudJobRunStatus`."""
        return int(self.get_run()["status"])

    def fetch_result(
        self, timeout_seconds: float | None = None, *, step: int | None = None
    ) -> JsonObject:
        """Wait until the run has ended; return it with its ``artifact_paths``.

        Args:
            timeout_seconds: seconds to wait; by default the job's.
            step: the index of the step whose artifacts are listed; by default the last one.

        Raises:
            JobError: see `wait`.
        """
        self.wait(timeout_seconds)
        return self._read_run(step)

    async def afetch_result(
        self, timeout_seconds: float | None = None, *, step: int | None = None
    ) -> JsonObject:
        """Async version of `fetch_result`."""
        await self.await_for_completion(timeout_seconds)
        return await self._aread_run(step)

    def _read_run(self, step: int | None) -> JsonObject:
        return self._job.make_provider().read_run(self.handle, step=step)

    _aread_run = make_twin(_read_run)

    def get_run_artifacts(self, path: str, step: int | None = None) -> Artifact:
        """Return the content of an artifact: parsed JSON, or else text.

        Args:
            path: the path, such as ``run_results.json``.
            step: the index of the step that wrote it, from 1; by default the last one.

        Raises:
            JobLost: there is no such artifact.
        """
        return read_artifact(
            self.dbt_cloud_credentials.ask(
                lambda client: client.get_run_artifact(self.run_id, path, step)
            )
        )

    def retry_failed_steps(
        self, trigger_job_run_options: TriggerJobRunOptions | None = None
    ) -> DbtCloudJobRun:
        """Start a run of what this one did not complete, and return at once.

        A command with failed nodes runs these and the skipped nodes, with its other options.
        Skipped commands run completely. If no command began, all of them run.

        Args:
            trigger_job_run_options: overrides in addition to those of this run.

        Raises:
            JobError: the run has not ended, it succeeded, or a new run can't be started.
        """

        def choose(client: DbtCloudAdministrativeClient) -> TriggerJobRunOptions:
            run = read_data(client.get_run(self.run_id, RELATED))
            return make_rerun_options(client, run, trigger_job_run_options)

        return self._job.trigger(self.dbt_cloud_credentials.ask(choose))

    aget_run = make_twin(get_run)
    aget_status_code = make_twin(get_status_code)
    aget_run_artifacts = make_twin(get_run_artifacts)
    aretry_failed_steps = make_twin(retry_failed_steps)
