"""The standard tests of jobs, on ECS and Batch of this machine: real processes, real exit codes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

import pytest

from flowstone.blocks import Job
from flowstone_aws import AwsCredentials, BatchJob, EcsTask, LambdaFunction
from flowstone_testing import BlockSuite, JobSuite

if TYPE_CHECKING:
    from tests.services.aws_jobs import AwsJobs

LINES = [f"line {number}" for number in range(3)]
GOOD = ["sh", "-c", "for each in 0 1 2; do echo line $each; done"]
BAD = ["sh", "-c", "echo no such table >&2; exit 3"]
LONG = ["sleep", "600"]
NETWORK = {"subnets": ["subnet-1"]}
ROLE = "arn:aws:iam::123456789012:role/runs-tasks"


def make_login() -> AwsCredentials:
    return AwsCredentials(aws_access_key_id="AKIAEXAMPLE", aws_secret_access_key=uuid4().hex)


def make_task(login: AwsCredentials, command: list[str], **fields: Any) -> EcsTask:
    return EcsTask(
        image="python:3.12",
        command=command,
        aws_credentials=login,
        execution_role_arn=ROLE,
        network_configuration=NETWORK,
        interval_seconds=0.1,
        **fields,
    )


class TestEcsTask(JobSuite):
    wanted: ClassVar[Any] = 0
    lines: ClassVar[Sequence[str]] = LINES

    @pytest.fixture
    def good(self, jobs_login: AwsCredentials) -> Job:
        return make_task(jobs_login, GOOD)

    @pytest.fixture
    def bad(self, jobs_login: AwsCredentials) -> Job:
        return make_task(jobs_login, BAD)

    @pytest.fixture
    def long(self, jobs_login: AwsCredentials) -> Job:
        return make_task(jobs_login, LONG)

    @pytest.fixture
    def alive(self, jobs: AwsJobs) -> Callable[[str], bool]:
        return jobs.is_alive


@pytest.fixture
def definition(jobs_login: AwsCredentials) -> str:
    """A job definition; what is run is said by each job."""
    client = jobs_login.client("batch")
    client.register_job_definition(
        jobDefinitionName="any",
        type="container",
        containerProperties={
            "image": "python:3.12",
            "resourceRequirements": [
                {"type": "VCPU", "value": "0.5"},
                {"type": "MEMORY", "value": "1024"},
            ],
        },
    )
    return "any"


def make_job(login: AwsCredentials, definition: str, command: list[str], **fields: Any) -> BatchJob:
    return BatchJob(
        job_name="test",
        job_queue="spot",
        job_definition=definition,
        command=command,
        aws_credentials=login,
        interval_seconds=0.1,
        **fields,
    )


class TestBatchJob(JobSuite):
    wanted: ClassVar[Any] = 0
    lines: ClassVar[Sequence[str]] = LINES

    @pytest.fixture
    def good(self, jobs_login: AwsCredentials, definition: str) -> Job:
        return make_job(jobs_login, definition, GOOD)

    @pytest.fixture
    def bad(self, jobs_login: AwsCredentials, definition: str) -> Job:
        return make_job(jobs_login, definition, BAD)

    @pytest.fixture
    def long(self, jobs_login: AwsCredentials, definition: str) -> Job:
        return make_job(jobs_login, definition, LONG)

    @pytest.fixture
    def alive(self, jobs: AwsJobs) -> Callable[[str], bool]:
        return jobs.is_alive


class TestBatchJobBlock(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[BatchJob]:
        login = make_login()
        more = {"env": {"A": "1"}, "vcpus": 0.5, "memory": 512, "attempts": 2}
        return [
            BatchJob(job_name="a", job_queue="spot", job_definition="loader"),
            make_job(login, "loader:3", GOOD, attempt_seconds=600, **more),
        ]


class TestLambdaFunctionBlock(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[LambdaFunction]:
        login = make_login()
        return [
            LambdaFunction(function_name="resize"),
            LambdaFunction(function_name="resize", qualifier="live", aws_credentials=login),
        ]


class TestEcsTaskBlock(BlockSuite):
    #: References, which `test_secrets_stay_out` tests; a value is refused.
    no_secrets: ClassVar[frozenset[str]] = frozenset({"secrets"})

    @pytest.fixture
    def examples(
        self,
    ) -> Sequence[EcsTask]:
        login = AwsCredentials(
            aws_access_key_id="AKIAEXAMPLE", aws_secret_access_key="a-secret-key"
        )
        return [
            EcsTask(task_definition_arn="loader:3"),
            make_task(login, GOOD, secrets={"TOKEN": "aws-ssm:/app/token"}, env={"A": "1"}),
        ]
