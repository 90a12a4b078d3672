"""Waiters of boto3, and one of your own, as a task."""

from __future__ import annotations

import asyncio
from threading import Timer
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from flowstone import flow, task
from flowstone.errors import CredentialsError, JobError, JobFailed, JobTimeout, RunTimeout
from flowstone_aws import AwsCredentials, aclient_waiter, client_waiter

from .job_examples import GOOD, LONG, make_job, make_task

if TYPE_CHECKING:
    from tests.services.aws_jobs import AwsJobs

pytestmark = pytest.mark.usefixtures("home")
SOON = {"Delay": 0.05, "MaxAttempts": 200}


def test_it_waits_until_it_is_so(login: AwsCredentials, emulated: str) -> None:
    name = f"test-{uuid4().hex[:12]}"
    making = Timer(0.3, lambda: login.client("s3").create_bucket(Bucket=name))
    making.start()

    @flow
    def waits() -> None:
        client_waiter("s3", "bucket_exists", login, Bucket=name, WaiterConfig=SOON)

    @flow
    async def awaits() -> None:
        await aclient_waiter("s3", "bucket_exists", login, Bucket=name, WaiterConfig=SOON)

    waits()
    making.join()
    asyncio.run(awaits())


def test_it_gives_up_after_its_attempts(login: AwsCredentials, emulated: str) -> None:
    few = {"Delay": 0.01, "MaxAttempts": 3}
    with pytest.raises(JobTimeout, match=r"not reached after 3 attempts, 0\.01 s apart"):
        client_waiter.fn("s3", "bucket_exists", login, Bucket="no-such", WaiterConfig=few)


def make_definition(**changes: Any) -> dict[str, Any]:
    """Return a waiter that waits until a Batch job runs."""

    def accept(state: str, expected: str) -> dict[str, str]:
        argument = "jobs[].status"
        return {"matcher": "pathAll", "argument": argument, "expected": expected, "state": state}

    waiter = {
        "operation": "DescribeJobs",
        "delay": 0.05,
        "maxAttempts": 100,
        "acceptors": [accept("success", "RUNNING"), accept("failure", "FAILED")],
    }
    return {"version": 2, "waiters": {"JobRuns": {**waiter, **changes}}}


@pytest.fixture
def definition(jobs_login: AwsCredentials) -> str:
    container = {"image": "a", "command": ["true"]}
    jobs_login.client("batch").register_job_definition(
        jobDefinitionName="any", type="container", containerProperties=container
    )
    return "any"


def test_a_waiter_may_be_your_own(jobs_login: AwsCredentials, definition: str) -> None:
    with make_job(jobs_login, definition, LONG).trigger() as run:
        waiting = client_waiter.fn(
            "batch", "JobRuns", jobs_login, make_definition(), jobs=[run.handle]
        )
        assert waiting is None
        run.cancel()
        with pytest.raises(JobFailed, match="can no longer be reached"):
            client_waiter.fn("batch", "JobRuns", jobs_login, make_definition(), jobs=[run.handle])


def test_the_waiters_of_ecs_wait_for_a_task(jobs: AwsJobs, jobs_login: AwsCredentials) -> None:
    run = make_task(jobs_login, GOOD).trigger()
    client_waiter.fn(
        "ecs",
        "tasks_stopped",
        jobs_login,
        cluster="default",
        tasks=[run.handle],
        WaiterConfig=SOON,
    )
    assert not jobs.is_alive(run.handle)


def test_what_it_can_not_do_is_told(login: AwsCredentials, jobs_login: AwsCredentials) -> None:
    with pytest.raises(JobError, match=r"no such waiter\. .*'bucket_exists'"):
        client_waiter.fn("s3", "bucket_exist", login, Bucket="a")
    with pytest.raises(JobError, match="no waiter of that name"):
        client_waiter.fn("batch", "Other", jobs_login, make_definition())
    with pytest.raises(JobError, match="version"):
        client_waiter.fn("batch", "JobRuns", jobs_login, {**make_definition(), "version": 1})
    with pytest.raises(JobError, match="Missing required parameter"):
        client_waiter.fn("s3", "bucket_exists", login)
    with pytest.raises(CredentialsError, match="no such service"):
        client_waiter.fn("no-such-service", "any", login)


def test_a_run_that_times_out_waits_no_longer(login: AwsCredentials, emulated: str) -> None:
    long = {"Delay": 600, "MaxAttempts": 2}

    @task(timeout_seconds=0.5)
    def waits() -> None:
        client_waiter.fn("s3", "bucket_exists", login, Bucket="no-such", WaiterConfig=long)

    @flow
    def nightly() -> None:
        waits.submit().result()

    with pytest.raises(RunTimeout):
        nightly()
