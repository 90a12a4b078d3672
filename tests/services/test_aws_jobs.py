"""ECS, Batch, Lambda and CloudWatch Logs of this machine answer AWS's own client."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from tests.services.aws_jobs import serve_aws_jobs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.services.aws_jobs import AwsJobs

SAY = ["sh", "-c", "echo out; echo err >&2; exit 3"]
OPTIONS = {"awslogs-group": "g", "awslogs-stream-prefix": "p", "awslogs-region": "us-east-1"}


@pytest.fixture
def jobs() -> Iterator[AwsJobs]:
    with serve_aws_jobs() as services:
        yield services


@pytest.fixture
def client(jobs: AwsJobs) -> Callable[..., Any]:
    def open_client(service: str, key: str = "AKIAGOOD") -> Any:
        make: Any = boto3.client
        return make(
            service,
            endpoint_url=jobs.url,
            region_name="us-east-1",
            aws_access_key_id=key,
            aws_secret_access_key="a-secret-of-the-tests",
        )

    return open_client


def wait_for(ask: Callable[[], str], *wanted: str) -> None:
    while ask() not in wanted:
        time.sleep(0.01)


def run_task(ecs: Any, command: list[str]) -> str:
    log = {"logDriver": "awslogs", "options": OPTIONS}
    container = {"name": "main", "image": "a", "logConfiguration": log, "command": command}
    made = ecs.register_task_definition(family="f", containerDefinitions=[container])
    arn = made["taskDefinition"]["taskDefinitionArn"]
    return str(ecs.run_task(taskDefinition=arn, launchType="EC2")["tasks"][0]["taskArn"])


def test_a_task_is_a_process(client: Callable[..., Any]) -> None:
    ecs = client("ecs")
    task = run_task(ecs, SAY)

    def describe() -> Any:
        return ecs.describe_tasks(tasks=[task])["tasks"][0]

    wait_for(lambda: str(describe()["lastStatus"]), "STOPPED")
    found = describe()
    assert found["containers"][0]["exitCode"] == 3
    assert found["stopCode"] == "EssentialContainerExited"
    assert found["startedAt"] <= found["stoppedAt"]
    name = f"p/main/{task.rpartition('/')[2]}"
    read = client("logs").get_log_events(logGroupName="g", logStreamName=name, startFromHead=True)
    assert sorted(event["message"] for event in read["events"]) == ["err", "out"]


def test_a_stopped_task_says_who_stopped_it(jobs: AwsJobs, client: Callable[..., Any]) -> None:
    ecs = client("ecs")
    task = run_task(ecs, ["sleep", "600"])
    assert jobs.is_alive(task)
    ecs.stop_task(task=task, reason="enough")
    wait_for(lambda: str(ecs.describe_tasks(tasks=[task])["tasks"][0]["lastStatus"]), "STOPPED")
    found = ecs.describe_tasks(tasks=[task])["tasks"][0]
    assert (found["stopCode"], found["stoppedReason"]) == ("UserInitiated", "enough")
    assert not jobs.is_alive(task)


def test_a_job_of_batch_is_a_process(client: Callable[..., Any]) -> None:
    batch = client("batch")
    batch.register_job_definition(
        jobDefinitionName="d", type="container", containerProperties={"image": "a"}
    )
    overrides = {"command": SAY}
    job = batch.submit_job(
        jobName="a", jobQueue="q", jobDefinition="d", containerOverrides=overrides
    )["jobId"]
    wait_for(lambda: str(batch.describe_jobs(jobs=[job])["jobs"][0]["status"]), "FAILED")
    (found,) = batch.describe_jobs(jobs=[job])["jobs"]
    assert found["container"]["exitCode"] == 3
    wanted = [{"name": "JOB_NAME", "values": ["A*"]}]
    (listed,) = batch.list_jobs(jobQueue="q", filters=wanted)["jobSummaryList"]
    assert listed["jobId"] == job


def test_a_function_is_a_process(jobs: AwsJobs, client: Callable[..., Any]) -> None:
    jobs.functions.programs["f"] = "def handler(event, context): return event['a'] + 1"
    found = client("lambda").invoke(FunctionName="f", Payload=json.dumps({"a": 1}))
    assert json.loads(found["Payload"].read()) == 2
    failed = client("lambda").invoke(FunctionName="f", Payload=b"{}")
    assert failed["FunctionError"] == "Unhandled"


def test_it_refuses_as_aws_does(jobs: AwsJobs, client: Callable[..., Any]) -> None:
    for key, code in (("AKIAWRONG", "Unrecognized"), ("AKIADENIED", "AccessDenied")):
        with pytest.raises(ClientError, match=code):
            client("ecs", key).list_tasks()
    jobs.fail_next("ListTasks", "ThrottlingException")
    client("ecs").list_tasks()
    assert len(jobs.find_asked("ListTasks")) == 4
    with pytest.raises(ClientError, match="ClientException"):
        client("ecs").describe_task_definition(taskDefinition="nothing")
