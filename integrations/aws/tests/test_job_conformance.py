"""The standard tests of jobs, on ECS and Batch of this machine: real processes, real exit codes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from flowstone.blocks import Job
from flowstone_aws import AwsCredentials, EcsTask
from flowstone_testing import BlockSuite, JobSuite

if TYPE_CHECKING:
    from tests.services.aws_jobs import AwsJobs

LINES = [f"line {number}" for number in range(3)]
GOOD = ["sh", "-c", "for each in 0 1 2; do echo line $each; done"]
BAD = ["sh", "-c", "echo no such table >&2; exit 3"]
LONG = ["sleep", "600"]
NETWORK = {"subnets": ["subnet-1"]}
ROLE = "arn:aws:iam::123456789012:role/runs-tasks"


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


class TestEcsTaskBlock(BlockSuite):
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
