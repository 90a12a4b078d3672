"""Jobs of Batch: reasons, limits, retries, and the task that only submits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from flowstone import flow, runtime, task
from flowstone.blocks import JobStatus
from flowstone.context import current
from flowstone.context.external_work import sum_measures
from flowstone.errors import BlockInvalid, JobCancelled, JobError, JobFailed, JobLost, Unreachable
from flowstone.records.redaction import register
from flowstone_aws import AwsCredentials, BatchJob, BatchJobRun, abatch_submit, batch_submit

from .job_examples import BAD, GOOD, LONG, make_job

if TYPE_CHECKING:
    from tests.services.aws_jobs import AwsJobs

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def definition(jobs_login: AwsCredentials) -> str:
    return register_definition(jobs_login)


def register_definition(login: AwsCredentials, **more: object) -> str:
    container = {
        "image": "python:3.12",
        "command": ["echo", "Ref::what"],
        "resourceRequirements": [
            {"type": "VCPU", "value": "0.5"},
            {"type": "MEMORY", "value": "2048"},
        ],
    }
    login.client("batch").register_job_definition(
        jobDefinitionName="any", type="container", containerProperties=container, **more
    )
    return "any"


def test_the_reason_of_a_failure_comes_home(jobs_login: AwsCredentials, definition: str) -> None:
    run = make_job(jobs_login, definition, BAD).trigger()
    with pytest.raises(JobFailed) as caught:
        run.wait()
    text = str(caught.value)
    assert "exit code 3, Essential container in task exited" in text
    assert "the end of its output: no such table" in text
    assert isinstance(run, BatchJobRun)
    assert run.exit_code() == 3
    assert run.stop_reason() == "Essential container in task exited"
    assert run.job_id == run.handle


def test_what_the_block_says_is_sent(
    jobs: AwsJobs, jobs_login: AwsCredentials, definition: str
) -> None:
    job = BatchJob(
        job_name="load",
        job_queue="spot",
        job_definition=definition,
        aws_credentials=jobs_login,
        parameters={"what": "all"},
        env={"REGION": "north"},
        vcpus=2,
        memory=512,
        attempts=2,
        attempt_seconds=600,
        labels={"team": "data"},
        batch_kwargs={"schedulingPriorityOverride": 5},
        interval_seconds=0.1,
    )
    run = job.trigger()
    run.wait()
    assert run.logs() == ["all"]
    (asked,) = jobs.find_asked("SubmitJob")
    assert asked["jobName"].startswith("load-")
    assert len(asked["jobName"]) <= 128
    assert asked["retryStrategy"] == {"attempts": 2}
    assert asked["timeout"] == {"attemptDurationSeconds": 600}
    assert asked["schedulingPriorityOverride"] == 5
    assert asked["tags"] == {"team": "data", "flowstone_attempt": "1"}
    assert asked["containerOverrides"] == {
        "environment": [{"name": "REGION", "value": "north"}],
        "resourceRequirements": [
            {"type": "VCPU", "value": "2"},
            {"type": "MEMORY", "value": "512"},
        ],
    }


@pytest.mark.parametrize("queue", ["spot", "busy"])
def test_what_somebody_ends_is_cancelled(
    jobs: AwsJobs, jobs_login: AwsCredentials, definition: str, queue: str
) -> None:
    job = make_job(jobs_login, definition, LONG).model_copy(update={"job_queue": queue})
    run = job.trigger()
    assert run.status() is JobStatus.PENDING
    jobs_login.client("batch").terminate_job(jobId=run.handle, reason="by a person")
    with pytest.raises(JobCancelled):
        run.wait()
    assert not jobs.is_alive(run.handle)


def test_an_attempt_that_takes_too_long_has_failed(
    jobs: AwsJobs, jobs_login: AwsCredentials, caplog: pytest.LogCaptureFixture
) -> None:
    # Batch takes 60 s at least; the one of the tests is patient with less.
    definition = register_definition(jobs_login, timeout={"attemptDurationSeconds": 1})
    job = make_job(jobs_login, definition, LONG, timeout_seconds=300)
    with pytest.raises(JobFailed, match="exceeded timeout"):
        job.run()
    told = "Batch ends each attempt after 1 s; we wait for 300 s"
    assert told in caplog.text
    assert not jobs.is_alive(next(iter(jobs.batch.jobs)))


@pytest.mark.parametrize(("ours", "limit"), [(None, 60), (100, 60), (60, None), (60, 100)])
def test_a_shorter_limit_is_told_at_the_start(
    jobs_login: AwsCredentials,
    definition: str,
    caplog: pytest.LogCaptureFixture,
    ours: float | None,
    limit: int | None,
) -> None:
    job = make_job(jobs_login, definition, GOOD, timeout_seconds=ours, attempt_seconds=limit)
    job.trigger()
    is_told = limit is not None and (ours is None or limit < ours)
    assert ("Batch ends each attempt" in caplog.text) is is_told


def test_a_login_that_may_not_look_may_submit(
    jobs: AwsJobs, jobs_login: AwsCredentials, definition: str
) -> None:
    jobs.fail_next("DescribeJobDefinitions", "AccessDeniedException", status=403)
    assert make_job(jobs_login, definition, GOOD).run() == 0


def test_what_batch_refuses_is_an_error_at_once(jobs_login: AwsCredentials) -> None:
    job = make_job(jobs_login, "no-such-definition", GOOD)
    with pytest.raises(JobError, match="no-such-definition does not exist"):
        job.trigger()
    with pytest.raises(BlockInvalid, match="job_name"):
        BatchJob(job_name="a b", job_queue="a", job_definition="a")
    with pytest.raises(BlockInvalid, match="attempt_seconds"):
        BatchJob(job_name="a", job_queue="a", job_definition="a", attempt_seconds=5)
    with pytest.raises(JobLost, match="any more"):
        job.attach("0" * 8 + "-0000-0000-0000-" + "0" * 12)


def test_it_has_the_tags_and_measures_of_its_run(
    jobs: AwsJobs, jobs_login: AwsCredentials, definition: str
) -> None:
    job = make_job(jobs_login, definition, ["sleep", "0.3"])

    @flow
    def nightly() -> tuple[str, str]:
        run = job.trigger()
        run.wait()
        return str(runtime.flow_run.id), run.handle

    run_id, handle = nightly()
    tags = jobs.batch.jobs[handle].asked["tags"]
    assert tags["flowstone_flow"] == "nightly"
    assert tags["flowstone_flow_run_id"] == run_id
    current.services().journal.flush()
    sums = sum_measures(run_id)
    seconds = sums["run_seconds"][0]
    assert seconds > 0.1
    assert sums["vcpu_seconds"][0] == pytest.approx(seconds / 2)
    assert sums["memory_gb_seconds"][0] == pytest.approx(2 * seconds)


@pytest.mark.parametrize("loss", ["answer", "500"])
def test_a_lost_answer_submits_nothing_twice(
    jobs: AwsJobs, jobs_login: AwsCredentials, definition: str, loss: str
) -> None:
    if loss == "answer":
        jobs.lose_next_answer("SubmitJob")
        assert make_job(jobs_login, definition, GOOD).run() == 0
        assert len(jobs.batch.jobs) == 1
    else:
        jobs.fail_next("SubmitJob", "ServerException", status=500)
        with pytest.raises(Unreachable):
            make_job(jobs_login, definition, GOOD).run()
    assert len(jobs.find_asked("SubmitJob")) == 1


def test_a_throttled_submission_is_sent_again(
    jobs: AwsJobs, jobs_login: AwsCredentials, definition: str
) -> None:
    jobs.fail_next("SubmitJob", "TooManyRequestsException", status=429, times=2)
    assert make_job(jobs_login, definition, GOOD).run() == 0
    assert len(jobs.batch.jobs) == 1


def test_a_retry_finds_what_nobody_recorded(
    jobs: AwsJobs, jobs_login: AwsCredentials, definition: str
) -> None:
    job = make_job(jobs_login, definition, ["sleep", "1"])
    started: list[str] = []

    @task(retries=1)
    def load() -> str:
        if not started:
            # As where the process is killed between the answer and the record.
            started.append(job.make_provider().start())
            raise OSError("killed")
        run = job.trigger()
        run.wait()
        return run.handle

    @flow
    def nightly() -> str:
        return load()

    assert nightly() == started[0]
    assert len(jobs.batch.jobs) == 1


def test_a_task_only_submits(jobs: AwsJobs, jobs_login: AwsCredentials, definition: str) -> None:
    @flow
    def nightly() -> str:
        return batch_submit("load", "spot", definition, jobs_login, parameters={"what": "b"})

    @flow
    async def anightly() -> str:
        return await abatch_submit("load", "spot", definition, jobs_login)

    handle = nightly()
    assert jobs.batch.jobs[handle].asked["jobName"] == "load"
    assert jobs.batch.jobs[handle].asked["parameters"] == {"what": "b"}
    assert asyncio.run(anightly()) in jobs.batch.jobs
    with pytest.raises(JobError, match="no-such-queue does not exist"):
        batch_submit.fn("load", "no-such-queue", definition, jobs_login)


def test_a_task_submits_no_secret(jobs_login: AwsCredentials, definition: str) -> None:
    register("a-secret-of-the-run")
    for container in (
        {"environment": [{"name": "TOKEN", "value": "a-secret-of-the-run"}]},
        {"command": ["curl", "--token=a-secret-of-the-run"]},
    ):
        with pytest.raises(JobError, match="a secret in it") as caught:
            batch_submit.fn("a", "spot", definition, jobs_login, containerOverrides=container)
        assert "a-secret-of-the-run" not in str(caught.value)
