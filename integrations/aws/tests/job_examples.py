"""Jobs for tests, which run commands of this machine."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from flowstone_aws import AwsCredentials, BatchJob, EcsTask

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


def register_definition(login: AwsCredentials) -> str:
    """Register a job definition, and return its name; each job sets its own command."""
    resources = [{"type": "VCPU", "value": "0.5"}, {"type": "MEMORY", "value": "1024"}]
    login.client("batch").register_job_definition(
        jobDefinitionName="any",
        type="container",
        containerProperties={"image": "python:3.12", "resourceRequirements": resources},
    )
    return "any"
