"""CloudRunJob: a container that Cloud Run runs to its end."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from flowstone.blocks import Job
from flowstone_gcp.cloud_run_provider import CloudRunExecutions
from flowstone_gcp.credentials import GcpCredentials, clean_endpoint


class SecretKeySelector(BaseModel):
    """A secret of Secret Manager, which Cloud Run puts into an environment variable."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    secret: str = Field(
        min_length=1, description="Its name; of another project, projects/PROJECT/secrets/NAME."
    )
    version: str = Field(default="latest", description="The number of a version, or an alias.")


class CloudRunJob(Job):
    """A container that Cloud Run runs to its end, once or in several tasks at a time.

    With `image`, each run makes a definition of its own, with labels of the flow and the run, and
    deletes it at its end. With `job_name` instead, it runs a job that exists, with `args`, `env`,
    `task_count` and `timeout` in the place of the job's, where they are given.
    """

    _block_type_name: ClassVar[str | None] = "Cloud Run Job"
    _block_type_slug: ClassVar[str | None] = "cloud-run-job"
    _description: ClassVar[str | None] = "A container that Google's Cloud Run runs to its end."
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
        description="The login; by default, application default credentials.",
    )
    project: str | None = Field(
        default=None, description="The project that it runs in; by default the login's."
    )
    region: str = Field(default="us-central1", min_length=1, description="Where it runs.")
    image: str | None = Field(default=None, description="The container's image.")
    job_name: str | None = Field(
        default=None, description="The name of a job that exists, instead of an image."
    )
    command: list[str] = Field(
        default_factory=list, description="The program; by default the image's entrypoint."
    )
    args: list[str] = Field(default_factory=list, description="The arguments of the program.")
    env: dict[str, str] = Field(
        default_factory=dict,
        description="Environment variables. Anybody who may see the job can read them: put no "
        "secret here.",
    )
    env_from_secrets: dict[str, SecretKeySelector] = Field(
        default_factory=dict,
        description='Environment variables from Secret Manager: {"TOKEN": {"secret": "token", '
        '"version": "3"}}; or the name of a secret, for its latest version.',
    )
    cpu: str = Field(default="1000m", description="The CPU of each task: 1000m, 2, 4.")
    memory: str = Field(default="512Mi", description="The memory of each task: 512Mi, 2Gi.")
    task_count: int | None = Field(default=None, gt=0, description="How many tasks it has.")
    parallelism: int | None = Field(
        default=None, gt=0, description="Tasks at a time; by default as many as possible."
    )
    max_retries: int = Field(
        default=0, ge=0, description="How often Cloud Run retries a task that failed."
    )
    timeout: int | None = Field(
        default=None,
        gt=0,
        description="Seconds after which Cloud Run ends each attempt of a task; by default 600, or "
        "what the job that exists says.",
    )
    service_account_name: str | None = Field(
        default=None, description="The email of the service account that it runs as."
    )
    vpc_connector_name: str | None = Field(
        default=None, description="A Serverless VPC Access connector, for its network traffic."
    )
    cloudsql_instances: list[str] = Field(
        default_factory=list,
        description="Cloud SQL instances whose sockets are in /cloudsql: project:region:name.",
    )
    launch_stage: Literal["ALPHA", "BETA", "GA"] = Field(
        default="GA", description="The least mature features of Cloud Run that it may use."
    )
    labels: dict[str, str] = Field(
        default_factory=dict, description="Labels of the definition, besides those of the run."
    )
    keep_job: bool = Field(
        default=False, description="Whether the definition stays when the run has ended."
    )
    timeout_seconds: float | None = Field(
        default=None, ge=0, description="How long to wait for a run; None for as long as it takes."
    )
    poll_seconds: float = Field(
        default=5.0, gt=0, description="The longest time between two polls of a run."
    )
    log_delay_seconds: float = Field(
        default=2.0,
        ge=0,
        description="How long to wait for the last lines to arrive in Cloud Logging.",
    )
    stream_output: bool = Field(
        default=True, description="Whether its lines go to the log of the run that waits."
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
            raise ValueError("set image, or the job_name of a job that exists, and not both")
        if both := sorted(self.env.keys() & self.env_from_secrets.keys()):
            raise ValueError(f"{', '.join(both)}: both in env and in env_from_secrets")
        return self

    def make_provider(self) -> CloudRunExecutions:
        """Return Cloud Run, as what runs this job."""
        return CloudRunExecutions(self)
