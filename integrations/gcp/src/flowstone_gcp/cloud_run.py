"""CloudRunJob: a container that runs to completion on Cloud Run."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from flowstone.blocks import Job
from flowstone_gcp.cloud_run_provider import CloudRunExecutions
from flowstone_gcp.credentials import GcpCredentials, clean_endpoint


class SecretKeySelector(BaseModel):
    """A secret in Secret Manager that Cloud Run passes as an environment variable."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    secret: str = Field(
        min_length=1, description="Its name; in another project, projects/PROJECT/secrets/NAME."
    )
    version: str = Field(default="latest", description="The version: its number or an alias.")


class CloudRunJob(Job):
    """A container that runs to completion on Cloud Run, as one or several parallel tasks.

    With `image`, each run creates its own Cloud Run job, labelled with the flow and the run,
    and deletes it at the end. With `job_name` instead, it runs an existing job; `args`, `env`,
    `env_from_secrets`, `task_count` and `timeout`, if set, override those of the job.
    """

    _block_type_name: ClassVar[str | None] = "Cloud Run Job"
    _block_type_slug: ClassVar[str | None] = "cloud-run-job"
    _description: ClassVar[str | None] = (
        "A container that runs to completion on Google's Cloud Run."
    )
    _documentation_url: ClassVar[str | None] = "https://cloud.google.com/run/docs/create-jobs"
    _code_example: ClassVar[str | None] = (
        "CloudRunJob(\n"
        '    image="europe-docker.pkg.dev/shop/jobs/load:7",\n'
        '    args=["--day", "2026-05-01"],\n'
        '    env_from_secrets={"DB_PASSWORD": "db-password"},\n'
        ').save("load")\n'
        'CloudRunJob.load("load").run()'
    )

    credentials: GcpCredentials = Field(
        default_factory=GcpCredentials,
        description="The credentials; by default, application default credentials.",
    )
    project: str | None = Field(
        default=None, description="The project in which it runs; by default the credentials'."
    )
    region: str = Field(
        default="us-central1", min_length=1, description="The region in which it runs."
    )
    image: str | None = Field(default=None, description="The container's image.")
    job_name: str | None = Field(
        default=None, description="The name of an existing job, instead of an image."
    )
    command: list[str] = Field(
        default_factory=list, description="The program; by default the image's entrypoint."
    )
    args: list[str] = Field(default_factory=list, description="The arguments of the program.")
    env: dict[str, str] = Field(
        default_factory=dict,
        description="Environment variables. Anyone who may see the job can read them: do not put "
        "secrets here.",
    )
    env_from_secrets: dict[str, SecretKeySelector] = Field(
        default_factory=dict,
        description='Environment variables from Secret Manager: {"TOKEN": {"secret": "token", '
        '"version": "3"}}; or the name of a secret, for its latest version.',
    )
    cpu: str = Field(default="1000m", description="The CPU of each task: 1000m, 2, 4.")
    memory: str = Field(default="512Mi", description="The memory of each task: 512Mi, 2Gi.")
    task_count: int | None = Field(default=None, gt=0, description="The number of tasks.")
    parallelism: int | None = Field(
        default=None,
        gt=0,
        description="Number of tasks that run at the same time; by default as many as possible.",
    )
    max_retries: int = Field(
        default=0, ge=0, description="Number of retries of a failed task by Cloud Run."
    )
    timeout: int | None = Field(
        default=None,
        gt=0,
        description="Seconds after which Cloud Run ends each attempt of a task; by default 600, or "
        "the existing job's limit.",
    )
    service_account_name: str | None = Field(
        default=None, description="The email address of the service account that it runs as."
    )
    vpc_connector_name: str | None = Field(
        default=None, description="A Serverless VPC Access connector, for its network traffic."
    )
    cloudsql_instances: list[str] = Field(
        default_factory=list,
        description="Cloud SQL instances whose sockets are in /cloudsql: project:region:name.",
    )
    launch_stage: Literal["ALPHA", "BETA", "GA"] = Field(
        default="GA", description="The launch stage of the Cloud Run features that it may use."
    )
    labels: dict[str, str] = Field(
        default_factory=dict,
        description="Labels of the definition, in addition to those of the run.",
    )
    keep_job: bool = Field(
        default=False, description="Whether to keep the definition after the run."
    )
    timeout_seconds: float | None = Field(
        default=None, ge=0, description="Seconds to wait for a run; None for no limit."
    )
    poll_seconds: float = Field(
        default=5.0, gt=0, description="Longest time between two polls of a run, in seconds."
    )
    log_delay_seconds: float = Field(
        default=2.0,
        ge=0,
        description="Seconds to wait for the last log lines to arrive.",
    )
    stream_output: bool = Field(
        default=True, description="Whether its output is logged by the waiting run."
    )
    endpoint: str | None = Field(
        default=None, description="The address of Cloud Run, such as that of an emulator."
    )
    logging_endpoint: str | None = Field(
        default=None, description="The address of Cloud Logging, such as that of an emulator."
    )

    @field_validator("endpoint", "logging_endpoint")
    @classmethod
    def _is_a_url(cls, value: str | None) -> str | None:
        return clean_endpoint(value)

    @field_validator("env_from_secrets", mode="before")
    @classmethod
    def _are_selectors(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        return {
            name: {"secret": found} if isinstance(found, str) else found
            for name, found in value.items()
        }

    @model_validator(mode="after")
    def _is_one_of_two(self) -> CloudRunJob:
        if self.image is not None and self.job_name is not None:
            raise ValueError("set either image, or the job_name of an existing job")
        if both := sorted(self.env.keys() & self.env_from_secrets.keys()):
            raise ValueError(f"{', '.join(both)}: both in env and in env_from_secrets")
        return self

    def make_provider(self) -> CloudRunExecutions:
        """Return the provider that runs this job on Cloud Run."""
        return CloudRunExecutions(self)
