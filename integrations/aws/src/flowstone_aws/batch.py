"""BatchJob: a job of AWS Batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from flowstone.blocks import Job, JobRun
from flowstone.blocks.async_twins import make_twin
from flowstone_aws.batch_provider import BatchJobs
from flowstone_aws.credentials import AwsCredentials
from flowstone_aws.records import Record

if TYPE_CHECKING:
    from flowstone.blocks import JobProvider
    from flowstone.records.events import ExternalHandle

#: Batch refuses a shorter time limit per attempt:
#: https://docs.aws.amazon.com/batch/latest/APIReference/API_JobTimeout.html
SHORTEST_ATTEMPT = 60


class BatchJob(Job):
    """A job on AWS Batch, which Flowstone submits, waits for, logs and can terminate.

    The result is the exit code, which is always 0: other exit codes raise.
    """

    _block_type_name: ClassVar[str | None] = "Batch Job"
    _block_type_slug: ClassVar[str | None] = "batch-job"
    _description: ClassVar[str | None] = "A job of AWS Batch."
    _documentation_url: ClassVar[str | None] = "https://docs.aws.amazon.com/batch/"
    _code_example: ClassVar[str | None] = (
        "BatchJob(\n"
        '    job_name="load", job_queue="spot", job_definition="loader", command=["load", "all"]\n'
        ').save("load")\n'
        'BatchJob.load("load").run()'
    )

    job_name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$",
        description="The beginning of the job's name; the run's id and attempt are appended.",
    )
    job_queue: str = Field(min_length=1, description="The queue: its name or ARN.")
    job_definition: str = Field(
        min_length=1, description="The job definition: a name, a name and revision, or an ARN."
    )
    aws_credentials: AwsCredentials = Field(
        default_factory=AwsCredentials,
        description="The credentials; by default, boto3 finds them.",
    )
    command: list[str] = Field(
        default_factory=list, description="The command; by default that of the job definition."
    )
    env: dict[str, str] = Field(
        default_factory=dict,
        description="Plain environment variables, which AWS shows with the job. Put secrets into "
        "the job definition's `secrets`.",
    )
    parameters: dict[str, str] = Field(
        default_factory=dict,
        description="Values for the `Ref::` placeholders of the job definition.",
    )
    vcpus: float | None = Field(
        default=None, gt=0, description="The number of vCPUs; by default as in the job definition."
    )
    memory: int | None = Field(
        default=None, gt=0, description="The memory in MiB; by default as in the job definition."
    )
    attempts: int | None = Field(
        default=None,
        ge=1,
        le=10,
        description="Number of attempts that Batch makes; by default as in the job definition.",
    )
    attempt_seconds: int | None = Field(
        default=None,
        ge=SHORTEST_ATTEMPT,
        description="Time limit of an attempt, in seconds; by default as in the job definition.",
    )
    labels: dict[str, str] = Field(
        default_factory=dict, description="Tags of the job, in addition to those of its run."
    )
    batch_kwargs: Record = Field(
        default_factory=dict, description="Further parameters of SubmitJob, by AWS's names."
    )
    timeout_seconds: float | None = Field(
        default=None, gt=0, description="Seconds to wait for the job; None for no limit."
    )
    interval_seconds: float = Field(
        default=5.0, gt=0, description="Longest time between two polls, in seconds."
    )

    def make_provider(self) -> BatchJobs:
        """Return the provider that runs this job on Batch."""
        return BatchJobs(self)

    def make_run(
        self, provider: JobProvider, handle: str, external: ExternalHandle | None = None
    ) -> BatchJobRun:
        """Return a run of this job."""
        return BatchJobRun(self, provider, handle, external)


class BatchJobRun(JobRun):
    """A job that was submitted to Batch.

    Args:
        job: the block that was run.
        provider: the provider that started it.
        handle: the id of the job.
        external: the handle as it was recorded.
    """

    def __init__(
        self,
        job: BatchJob,
        provider: JobProvider,
        handle: str,
        external: ExternalHandle | None = None,
    ) -> None:
        super().__init__(provider, handle, external)
        self._job = job

    @property
    def job_id(self) -> str:
        """The id of the job."""
        return str(self.handle)

    def describe(self) -> Record:
        """Return the job as Batch describes it.

        Raises:
            JobLost: there is no such job; Batch forgets one some days after its end.
        """
        return self._job.make_provider().describe(self.job_id)

    def exit_code(self) -> int | None:
        """Return the exit code of the container; None if there is none (yet).

        Raises:
            JobLost: see `describe`.
        """
        code: int | None = self.describe().get("container", {}).get("exitCode")
        return code

    def stop_reason(self) -> str:
        """Return the reason for the job's status, as Batch states it; "" if Batch gives none.

        Raises:
            JobLost: see `describe`.
        """
        return str(self.describe().get("statusReason", ""))

    adescribe = make_twin(describe)
    aexit_code = make_twin(exit_code)
    astop_reason = make_twin(stop_reason)
