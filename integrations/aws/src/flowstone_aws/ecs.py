"""EcsTask: a container on Amazon ECS, as a job."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from flowstone.blocks import Job, JobRun
from flowstone.blocks.async_twins import make_twin
from flowstone_aws.credentials import AwsCredentials
from flowstone_aws.ecs_provider import EcsTasks
from flowstone_aws.job_variables import is_reference
from flowstone_aws.records import Record

if TYPE_CHECKING:
    from flowstone.blocks import JobProvider
    from flowstone.records.events import ExternalHandle

LaunchType = Literal["FARGATE", "FARGATE_SPOT", "EC2", "EXTERNAL"]
#: The longest `stop_timeout` on Fargate, in seconds:
#: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html
LONGEST_STOP = 120


class EcsTask(Job):
    """A container on Amazon ECS, which Flowstone starts, waits for, logs and can stop.

    It uses your own task definition, or registers one with these fields, once per content.
    The result is the exit code, which is always 0: other exit codes raise.
    """

    _block_type_name: ClassVar[str | None] = "ECS Task"
    _block_type_slug: ClassVar[str | None] = "ecs-task"
    _description: ClassVar[str | None] = "A container on Amazon ECS: Fargate, EC2 or your own."
    _documentation_url: ClassVar[str | None] = "https://docs.aws.amazon.com/AmazonECS/"
    _code_example: ClassVar[str | None] = (
        'EcsTask(image="python:3.12", command=["python", "-c", "print(1)"]).save("one")\n'
        'EcsTask.load("one").run()'
    )

    task_definition_arn: str | None = Field(
        default=None,
        description="Your own task definition: its ARN, or its family for the newest revision.",
    )
    image: str | None = Field(
        default=None, description="The container's image, instead of your own task definition."
    )
    command: list[str] = Field(
        default_factory=list, description="The command; by default that of the image."
    )
    env: dict[str, str] = Field(
        default_factory=dict,
        description="Plain environment variables, which AWS shows with the task.",
    )
    secret_references: dict[str, str] = Field(
        default_factory=dict,
        description="Variables that ECS reads from Secrets Manager or SSM: their ARNs, or "
        "references such as aws-secrets:db#password and aws-ssm:/app/token.",
    )
    aws_credentials: AwsCredentials = Field(
        default_factory=AwsCredentials,
        description="The credentials; by default, boto3 finds them.",
    )
    cluster: str | None = Field(
        default=None, description="The cluster; by default, the one named 'default'."
    )
    family: str | None = Field(
        default=None,
        description="The family of the task definition; by default named by a hash of its content.",
    )
    launch_type: LaunchType | None = Field(
        default="FARGATE", description="Where it runs; FARGATE_SPOT may be interrupted."
    )
    capacity_provider_strategy: list[Record] = Field(
        default_factory=list, description="Capacity providers, instead of a launch type."
    )
    cpu: int | None = Field(
        default=None, gt=0, description="CPU units, 1024 for each vCPU; by default 1024."
    )
    memory: int | None = Field(default=None, gt=0, description="Memory in MiB; by default 2048.")
    container_name: str | None = Field(
        default=None, description="The container's name; by default the first of the definition."
    )
    task_role_arn: str | None = Field(default=None, description="The IAM role of the container.")
    execution_role_arn: str | None = Field(
        default=None,
        description="The role with which ECS pulls images, reads secrets and writes logs.",
    )
    vpc_id: str | None = Field(
        default=None, description="The VPC whose subnets are used; by default the default VPC."
    )
    network_configuration: Record = Field(
        default_factory=dict,
        description="subnets, securityGroups and assignPublicIp, instead of those of a VPC.",
    )
    configure_cloudwatch_logs: bool | None = Field(
        default=None,
        description="Whether the container writes to CloudWatch Logs; by default if there is an "
        "execution_role_arn.",
    )
    cloudwatch_logs_options: dict[str, str] = Field(
        default_factory=dict, description="Options of the awslogs driver, such as awslogs-group."
    )
    cloudwatch_logs_prefix: str | None = Field(
        default=None, description="The prefix of log streams; by default flowstone."
    )
    labels: dict[str, str] = Field(
        default_factory=dict, description="Tags of the task, in addition to those of its run."
    )
    stop_timeout: int | None = Field(
        default=None,
        ge=0,
        le=LONGEST_STOP,
        description="Seconds from SIGTERM to SIGKILL when it is stopped; ECS's default is 30.",
    )
    timeout_seconds: float | None = Field(
        default=None, gt=0, description="Seconds to wait for the task; None for no limit."
    )
    interval_seconds: float = Field(
        default=5.0, gt=0, description="Longest time between two polls, in seconds."
    )

    @field_validator("secret_references")
    @classmethod
    def _are_references(cls, value: dict[str, str]) -> dict[str, str]:
        for name, reference in value.items():
            if not is_reference(reference):
                raise ValueError(
                    f"{name!r} is not a reference; pass an ARN, aws-secrets:NAME#PATH or "
                    "aws-ssm:NAME, and do not put the secret's value here"
                )
        return value

    @model_validator(mode="after")
    def _has_one_definition(self) -> Self:
        if self.task_definition_arn is not None and self.image is not None:
            raise ValueError("set either task_definition_arn or image")
        if self.task_definition_arn is not None:
            made = (
                "secret_references",
                "family",
                "cloudwatch_logs_options",
                "cloudwatch_logs_prefix",
            )
            given = [name for name in (*made, "stop_timeout") if getattr(self, name)]
            if given:
                raise ValueError(
                    f"{', '.join(given)} can only be part of a task definition: "
                    "set it there, or set image instead of task_definition_arn"
                )
        return self

    def make_provider(self) -> EcsTasks:
        """Return the provider that runs this task on ECS."""
        return EcsTasks(self)

    def make_run(
        self, provider: JobProvider, handle: str, external: ExternalHandle | None = None
    ) -> EcsTaskRun:
        """Return a run of this task."""
        return EcsTaskRun(self, provider, handle, external)


class EcsTaskRun(JobRun):
    """A task on ECS.

    Args:
        job: the block that was run.
        provider: the provider that started it.
        handle: the ARN of the task.
        external: the handle as it was recorded.
    """

    def __init__(
        self,
        job: EcsTask,
        provider: JobProvider,
        handle: str,
        external: ExternalHandle | None = None,
    ) -> None:
        super().__init__(provider, handle, external)
        self._job = job

    @property
    def task_arn(self) -> str:
        """The ARN of the task."""
        return str(self.handle)

    def describe(self) -> Record:
        """Return the task as ECS describes it.

        Raises:
            JobLost: there is no such task; ECS forgets one about an hour after its end.
        """
        return self._job.make_provider().describe(self.task_arn)

    def exit_code(self) -> int | None:
        """Return the exit code of the container; None if there is none (yet).

        Raises:
            JobLost: see `describe`.
        """
        provider = self._job.make_provider()
        return provider.read_exit_code(provider.describe(self.task_arn))

    def stop_reason(self) -> str:
        """Return why the task ended, as ECS states it; "" while it runs.

        Raises:
            JobLost: see `describe`.
        """
        return str(self.describe().get("stoppedReason", ""))

    adescribe = make_twin(describe)
    aexit_code = make_twin(exit_code)
    astop_reason = make_twin(stop_reason)
