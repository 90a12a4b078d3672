"""The standard tests of jobs on moto's Batch, whose jobs are containers of a real Docker engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

import pytest
from tests.services.dockerd import IMAGE

from flowstone.blocks import Job
from flowstone_aws import AwsCredentials, BatchJob
from flowstone_testing import JobSuite

from .conftest import login_at
from .job_examples import BAD, GOOD, LINES, LONG

if TYPE_CHECKING:
    from tests.services.s3 import Moto

pytestmark = pytest.mark.check
#: Each process of a test run has its own; the server is shared by all of them.
QUEUE = DEFINITION = f"containers-{uuid4().hex[:8]}"


@pytest.fixture(scope="session")
def docker_login(moto_with_docker: Moto) -> AwsCredentials:
    login = login_at(moto_with_docker.url)
    role = login.client("iam").create_role(RoleName=QUEUE, AssumeRolePolicyDocument="{}")
    client = login.client("batch")
    client.create_compute_environment(
        computeEnvironmentName=QUEUE,
        type="UNMANAGED",
        state="ENABLED",
        serviceRole=role["Role"]["Arn"],
    )
    client.create_job_queue(
        jobQueueName=QUEUE,
        state="ENABLED",
        priority=1,
        computeEnvironmentOrder=[{"order": 1, "computeEnvironment": QUEUE}],
    )
    client.register_job_definition(
        jobDefinitionName=DEFINITION,
        type="container",
        containerProperties={
            "image": IMAGE,
            "resourceRequirements": [
                {"type": "VCPU", "value": "1"},
                {"type": "MEMORY", "value": "128"},
            ],
            "volumes": [{"name": "programs", "host": {"sourcePath": "/usr"}}],
            "mountPoints": [
                {"sourceVolume": "programs", "containerPath": "/usr", "readOnly": True}
            ],
        },
    )
    return login


@pytest.fixture
def make(docker_login: AwsCredentials) -> Callable[[list[str]], BatchJob]:
    def make(command: list[str]) -> BatchJob:
        return BatchJob(
            job_name=f"test-{uuid4().hex[:8]}",
            job_queue=QUEUE,
            job_definition=DEFINITION,
            command=command,
            aws_credentials=docker_login,
            interval_seconds=0.2,
        )

    return make


class TestBatchJobOnDocker(JobSuite):
    wanted: ClassVar[Any] = 0
    lines: ClassVar[Sequence[str]] = LINES

    @pytest.fixture
    def good(self, make: Callable[[list[str]], BatchJob]) -> Job:
        return make(GOOD)

    @pytest.fixture
    def bad(self, make: Callable[[list[str]], BatchJob]) -> Job:
        return make(BAD)

    @pytest.fixture
    def long(self, make: Callable[[list[str]], BatchJob]) -> Job:
        return make(LONG)

    @pytest.fixture
    def alive(self, docker_login: AwsCredentials) -> Callable[[str], bool]:
        client = docker_login.client("batch")

        def ask(handle: str) -> bool:
            (found,) = client.describe_jobs(jobs=[handle])["jobs"]
            return found["status"] not in {"SUCCEEDED", "FAILED"}

        return ask
