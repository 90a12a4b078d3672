"""Batch and Lambda on moto, a third-party emulator: the requests have the right shape.

Without Docker, moto runs nothing: jobs succeed at once, and functions return their payload.
"""

from __future__ import annotations

import io
import zipfile
from uuid import uuid4

import pytest

from flowstone.blocks import JobStatus
from flowstone.errors import JobError, JobLost
from flowstone_aws import AwsCredentials, BatchJob, LambdaFunction, batch_submit


@pytest.fixture
def role(login: AwsCredentials) -> str:
    name = f"test-{uuid4().hex[:12]}"
    made = login.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument="{}")
    return str(made["Role"]["Arn"])


@pytest.fixture
def job(login: AwsCredentials, role: str) -> BatchJob:
    client, name = login.client("batch"), f"test-{uuid4().hex[:12]}"
    client.create_compute_environment(
        computeEnvironmentName=name, type="UNMANAGED", state="ENABLED", serviceRole=role
    )
    order = [{"order": 1, "computeEnvironment": name}]
    client.create_job_queue(
        jobQueueName=name, state="ENABLED", priority=1, computeEnvironmentOrder=order
    )
    client.register_job_definition(
        jobDefinitionName=name,
        type="container",
        containerProperties={
            "image": "busybox",
            "command": ["true"],
            "resourceRequirements": [
                {"type": "VCPU", "value": "1"},
                {"type": "MEMORY", "value": "128"},
            ],
        },
        timeout={"attemptDurationSeconds": 120},
    )
    return BatchJob(
        job_name="load",
        job_queue=name,
        job_definition=name,
        aws_credentials=login,
        env={"A": "1"},
        vcpus=2,
        labels={"team": "data"},
        interval_seconds=0.1,
    )


def test_a_job_of_moto_is_followed_to_its_end(job: BatchJob, login: AwsCredentials) -> None:
    run = job.trigger()
    run.wait()
    assert run.status() is JobStatus.COMPLETED
    assert run.result() == 0
    assert run.logs() == []
    (found,) = login.client("batch").describe_jobs(jobs=[run.handle])["jobs"]
    assert found["tags"]["team"] == "data"
    assert {"name": "A", "value": "1"} in found["container"]["environment"]
    with pytest.raises(JobLost):
        job.attach(str(uuid4()))


def test_the_limit_of_a_definition_is_told(job: BatchJob, caplog: pytest.LogCaptureFixture) -> None:
    job.trigger().wait()
    assert "Batch ends each attempt after 120 s; we wait without a limit" in caplog.text


def test_what_moto_refuses_is_told(job: BatchJob, login: AwsCredentials) -> None:
    other = job.model_copy(update={"job_definition": "nothing"})
    with pytest.raises(JobError, match="nothing does not exist"):
        other.trigger()
    with pytest.raises(JobError, match="no-such-queue does not exist"):
        batch_submit.fn("load", "no-such-queue", job.job_definition, login)


def test_a_function_of_moto_returns_its_payload(login: AwsCredentials, role: str) -> None:
    name, content = f"test-{uuid4().hex[:12]}", io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("main.py", "def handler(event, context): return event")
    login.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role=role,
        Handler="main.handler",
        Code={"ZipFile": content.getvalue()},
    )
    function = LambdaFunction(function_name=name, aws_credentials=login)
    answer = function.invoke({"a": ["ü", 1]})
    assert (answer.status_code, answer.payload) == (200, {"a": ["ü", 1]})
    assert function.invoke({"a": 1}, "Event").status_code == 202
