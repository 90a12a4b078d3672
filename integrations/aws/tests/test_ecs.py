"""Tasks on ECS: definitions, throttling, reasons, retries, and remaining resources."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest
from tests.services.aws_ecs import STOP_SECONDS

from flowstone import flow, runtime, task
from flowstone.blocks import JobStatus
from flowstone.context import current
from flowstone.context.external_work import sum_measures
from flowstone.errors import (
    BlockInvalid,
    JobCancelled,
    JobError,
    JobFailed,
    JobLost,
)
from flowstone_aws import AwsClientParameters, AwsCredentials, EcsTask, EcsTaskRun
from flowstone_aws.ecs_batches import TaskBatches
from flowstone_aws.ecs_requests import find_network, make_definition

from .conftest import login_at
from .job_examples import BAD, GOOD, LONG, make_task

if TYPE_CHECKING:
    from tests.services.aws_jobs import AwsJobs

pytestmark = pytest.mark.usefixtures("home")


def in_another_process(jobs: AwsJobs, number: int = 1) -> AwsCredentials:
    """Return an equal login without shared state, as in another process."""
    config = {"max_pool_connections": 50 + number}
    parameters = AwsClientParameters(endpoint_url=jobs.url, config=config)
    return login_at(jobs.url, aws_client_parameters=parameters)


# ---------------------------------------------------------------- definitions


def test_a_definition_is_registered_once_for_each_content(
    jobs: AwsJobs, jobs_login: AwsCredentials
) -> None:
    for login in (jobs_login, in_another_process(jobs)):
        for command in (GOOD, ["true"]):
            assert make_task(login, command, env={"A": command[0]}).run() == 0
    assert jobs.counts["RegisterTaskDefinition"] == 1
    other = make_task(jobs_login, GOOD, cpu=512)
    assert other.run() == other.run() == 0
    assert jobs.counts["RegisterTaskDefinition"] == 2
    assert len(jobs.ecs.definitions) == 2


def test_two_contents_may_share_a_family(jobs: AwsJobs, jobs_login: AwsCredentials) -> None:
    for login in (jobs_login, in_another_process(jobs), in_another_process(jobs, 2)):
        for cpu in (256, 512, 256):
            make_task(login, ["true"], cpu=cpu, family="shared").run()
    assert len(jobs.ecs.definitions["shared"]) == jobs.counts["RegisterTaskDefinition"] == 2


def test_many_starts_at_once_are_throttled_and_none_fails(jobs: AwsJobs) -> None:
    login = in_another_process(jobs)
    jobs.limit("RunTask", 40, 10)
    jobs.limit("DescribeTasks", 60, 20)
    jobs.limit("DescribeTaskDefinition", 20, 5)
    task = make_task(login, ["true"])
    with ThreadPoolExecutor(30) as pool:
        runs = list(pool.map(lambda _: task.trigger(), range(60)))
        assert list(pool.map(lambda run: run.result(), runs)) == [0] * 60
    assert jobs.counts["RegisterTaskDefinition"] == 1
    assert jobs.counts["RunTask"] == 60
    assert jobs.throttled["RunTask"] > 0
    assert len({run.handle for run in runs}) == 60


def test_many_who_wait_share_a_request() -> None:
    batches, asked = TaskBatches(), list[int]()
    begun = Event()

    def ask(arns: Sequence[str]) -> list[dict[str, str]]:
        asked.append(len(arns))
        if len(asked) == 1:
            assert begun.wait(60)  # until all others wait
        return [{"taskArn": arn} for arn in arns if arn != "gone"]

    with ThreadPoolExecutor(251) as pool:
        first = pool.submit(batches.describe, "0", ask)
        while not asked:
            assert not first.done()
        names = [*map(str, range(1, 250)), "gone"]
        others = [pool.submit(batches.describe, name, ask) for name in names]
        while len(batches._waiting) < 251:
            assert not first.done()
        begun.set()
        assert first.result() == {"taskArn": "0"}
        assert others.pop().result() is None
        assert [each.result() for each in others] == [{"taskArn": n} for n in names[:-1]]
    assert asked == [1, 100, 100, 50]


def test_an_error_of_a_request_is_told_to_all_who_wait() -> None:
    batches = TaskBatches()

    def fail(arns: Sequence[str]) -> list[dict[str, str]]:
        raise JobError("ECS", f"no {arns}", "Try again.")

    for _ in range(2):
        with pytest.raises(JobError, match=r"no \['a'\]"):
            batches.describe("a", fail)
    assert batches.describe("a", lambda arns: [{"taskArn": arn} for arn in arns]) is not None


def test_the_block_s_own_retries_reach_every_client(jobs: AwsJobs) -> None:
    config = {"retries": {"mode": "standard", "total_max_attempts": 1}}
    parameters = AwsClientParameters(endpoint_url=jobs.url, config=config)
    login = login_at(jobs.url, aws_client_parameters=parameters)
    usual = login_at(jobs.url)
    for service in ("ecs", "batch", "logs"):
        assert login.client(service).meta.config.retries["total_max_attempts"] == 1
        assert usual.client(service).meta.config.retries == {
            "mode": "adaptive",
            "total_max_attempts": 10,
        }
    jobs.fail_next("RunTask", "ThrottlingException")
    with pytest.raises(OSError, match="overloaded"):
        make_task(login, ["true"]).trigger()


def test_a_definition_of_yours_is_used_as_it_is(jobs: AwsJobs, jobs_login: AwsCredentials) -> None:
    client = jobs_login.client("ecs")
    options = {"awslogs-group": "mine", "awslogs-stream-prefix": "p", "awslogs-region": "us-east-1"}
    log = {"logDriver": "awslogs", "options": options}
    side = {"name": "side", "image": "b"}
    for number in range(2):
        environment = [{"name": "NUMBER", "value": str(number)}]
        main = {"name": "main", "image": "a", "logConfiguration": log, "environment": environment}
        client.register_task_definition(family="mine", containerDefinitions=[main, side])
    say = ["sh", "-c", 'echo "$NUMBER $MORE"']
    own = {
        "command": say,
        "env": {"MORE": "yes"},
        "aws_credentials": jobs_login,
        "launch_type": "EC2",
    }
    newest = EcsTask(task_definition_arn="mine", **own).trigger()
    newest.wait()
    assert newest.logs() == ["1 yes"]
    first = EcsTask(task_definition_arn="mine:1", container_name="main", **own).trigger()
    first.wait()
    assert first.logs() == ["0 yes"]
    assert jobs.counts["RegisterTaskDefinition"] == 2
    with pytest.raises(JobLost, match="no task definition 'yours'"):
        EcsTask(task_definition_arn="yours", **own).trigger()
    with pytest.raises(JobError, match=r"no container 'third'\. Its containers are 'main', 'side'"):
        EcsTask(task_definition_arn="mine", container_name="third", **own).trigger()


def test_what_does_not_fit_is_refused(jobs_login: AwsCredentials) -> None:
    with pytest.raises(JobError, match="neither an image nor a task definition"):
        EcsTask(aws_credentials=jobs_login).trigger()
    with pytest.raises(BlockInvalid, match="either task_definition_arn or image"):
        EcsTask(image="a", task_definition_arn="b")
    with pytest.raises(BlockInvalid, match="family, stop_timeout can only be part of a task def"):
        EcsTask(task_definition_arn="b", family="c", stop_timeout=10)
    with pytest.raises(BlockInvalid, match="stop_timeout"):
        EcsTask(image="a", stop_timeout=600)
    with pytest.raises(BlockInvalid, match="'TOKEN' is not a reference") as caught:
        EcsTask(image="a", secret_references={"TOKEN": "the-secret-itself"})
    assert "the-secret-itself" not in str(caught.value)


def test_subnets_are_those_of_a_vpc(login: AwsCredentials, emulated: str) -> None:
    one = EcsTask(image="a", aws_credentials=login)
    found = find_network("a task", one)
    assert found["assignPublicIp"] == "ENABLED"
    assert len(found["subnets"]) > 1
    client = login.client("ec2")
    vpc = client.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    with pytest.raises(JobError, match=f"no VPC '{vpc}' with subnets"):
        find_network("a task", EcsTask(image="a", aws_credentials=login, vpc_id=vpc))
    subnet = client.create_subnet(VpcId=vpc, CidrBlock="10.9.1.0/24")["Subnet"]["SubnetId"]
    own = EcsTask(image="a", aws_credentials=login, vpc_id=vpc)
    assert find_network("a task", own)["subnets"] == [subnet]


# ---------------------------------------------------------------- how it ends


def test_the_reason_of_a_failure_comes_home(jobs: AwsJobs, jobs_login: AwsCredentials) -> None:
    run = make_task(jobs_login, BAD).trigger()
    with pytest.raises(JobFailed) as caught:
        run.wait()
    text = str(caught.value)
    assert "exit code 3, EssentialContainerExited: Essential container in task exited" in text
    assert "the end of its output: no such table" in text
    assert isinstance(run, EcsTaskRun)
    assert run.exit_code() == 3
    assert run.stop_reason() == "Essential container in task exited"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"image": "no-such-image:1"}, "TaskFailedToStart: CannotPullContainerError"),
        ({"secret_references": {"A": "arn:aws:ssm:::parameter/a"}}, "ResourceInitializationError"),
    ],
)
def test_what_could_not_start_has_failed(
    jobs_login: AwsCredentials, fields: dict[str, Any], reason: str
) -> None:
    task = make_task(jobs_login, GOOD).model_copy(update=fields)
    with pytest.raises(JobFailed, match=reason):
        task.run()


@pytest.mark.parametrize(
    ("fields", "kind", "reason"),
    [
        ({"cluster": "full"}, JobError, "ECS did not start it: RESOURCE:MEMORY"),
        ({"cluster": "no-such-cluster"}, JobLost, "ClusterNotFoundException: Cluster not found"),
        (
            {"execution_role_arn": None, "secret_references": {"A": "arn:a"}},
            JobError,
            "execution role ARN",
        ),
    ],
)
def test_what_ecs_does_not_start_is_an_error_at_once(
    jobs_login: AwsCredentials,
    fields: dict[str, Any],
    kind: type[Exception],
    reason: str,
) -> None:
    task = make_task(jobs_login, GOOD).model_copy(update=fields)
    with pytest.raises(kind, match=reason):
        task.trigger()


@pytest.mark.parametrize("command", [LONG, ["sh", "-c", "trap 'exit 0' TERM; sleep 600 & wait"]])
def test_what_somebody_stops_is_cancelled_whatever_its_exit_code(
    jobs: AwsJobs, jobs_login: AwsCredentials, command: list[str]
) -> None:
    run = make_task(jobs_login, command).trigger()
    jobs.containers.wait_for_running()
    jobs_login.client("ecs").stop_task(cluster="default", task=run.handle, reason="by a person")
    with pytest.raises(JobCancelled):
        run.wait()
    assert run.status() is JobStatus.CANCELLED
    assert not jobs.is_alive(run.handle)


def test_a_deaf_container_is_killed_after_its_own_time(
    jobs: AwsJobs, jobs_login: AwsCredentials
) -> None:
    deaf = ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"]
    run = make_task(jobs_login, deaf, stop_timeout=1).trigger()
    container = jobs.containers.wait_for_running()
    while not container.lines:
        assert container.is_running
    run.cancel()
    assert container.exit_code == 137
    assert container.seconds < STOP_SECONDS


def test_a_new_task_may_be_unknown_for_a_while(jobs: AwsJobs, jobs_login: AwsCredentials) -> None:
    jobs.ecs.hidden = 3
    run = make_task(jobs_login, GOOD).trigger()
    assert run.status() is JobStatus.PENDING
    assert run.result() == 0
    gone = run.handle[:-32] + "0" * 32
    with pytest.raises(JobLost, match="any more"):
        make_task(jobs_login, GOOD).attach(gone)
    with pytest.raises(JobLost, match="there is no task"):
        make_task(jobs_login, GOOD).make_provider().cancel(gone)


def test_a_login_that_may_not_read_logs_follows_the_task(
    jobs: AwsJobs, jobs_login: AwsCredentials, caplog: pytest.LogCaptureFixture
) -> None:
    jobs.fail_next("GetLogEvents", "AccessDeniedException", times=1000)
    assert make_task(jobs_login, GOOD).run() == 0
    assert caplog.text.count("The job's output is not logged") == 1
    with pytest.raises(JobFailed, match="exit code 3"):
        make_task(jobs_login, BAD).run()


def test_without_a_log_there_are_no_lines(jobs_login: AwsCredentials) -> None:
    run = make_task(jobs_login, GOOD, configure_cloudwatch_logs=False).trigger()
    run.wait()
    assert run.logs() == []


def test_lines_are_fetched_once(jobs: AwsJobs, jobs_login: AwsCredentials) -> None:
    slow = ["sh", "-c", "for each in 1 2 3 4 5 6; do echo $each; sleep 0.2; done"]
    run = make_task(jobs_login, slow).trigger()
    run.wait()
    asked = jobs.find_asked("GetLogEvents")
    assert len([each for each in asked if "nextToken" not in each]) <= 3
    assert run.logs() == ["1", "2", "3", "4", "5", "6"]


# ---------------------------------------------------------------- in a run


def test_it_has_the_tags_and_measures_of_its_run(jobs: AwsJobs, jobs_login: AwsCredentials) -> None:
    job = make_task(jobs_login, ["sleep", "0.3"], labels={"team": "data; {x}"}, memory=4096)

    @task
    def load() -> str:
        run = job.trigger()
        run.wait()
        return run.handle

    @flow
    def nightly() -> tuple[str, str]:
        return str(runtime.flow_run.id), load()

    flow_run_id, handle = nightly()
    tags = {tag["key"]: tag["value"] for tag in jobs.ecs.tasks[handle].asked["tags"]}
    assert tags.pop("flowstone_task_run_id")
    assert tags == {
        "team": "data- -x-",
        "flowstone_flow": "nightly",
        "flowstone_flow_run_id": flow_run_id,
        "flowstone_task": "load",
        "flowstone_attempt": "1",
    }
    current.services().journal.flush()
    sums = sum_measures(flow_run_id)
    seconds, unit = sums["run_seconds"]
    assert unit == "seconds"
    assert seconds > 0.1
    assert sums["vcpu_seconds"][0] == pytest.approx(seconds)
    assert sums["memory_gb_seconds"][0] == pytest.approx(4 * seconds)
    assert "queue_seconds" in sums


def test_a_lost_answer_starts_nothing_twice(jobs: AwsJobs, jobs_login: AwsCredentials) -> None:
    jobs.lose_next_answer("RunTask")
    assert make_task(jobs_login, GOOD).run() == 0
    assert len(jobs.ecs.tasks) == 1
    tokens = {each["clientToken"] for each in jobs.find_asked("RunTask")}
    assert len(jobs.find_asked("RunTask")) == 2
    assert len(tokens) == 1


def test_a_retry_finds_what_nobody_recorded(jobs: AwsJobs, jobs_login: AwsCredentials) -> None:
    job = make_task(jobs_login, ["sh", "-c", "sleep 1; echo done"])
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
    assert len(jobs.ecs.tasks) == 1


def test_a_retry_never_runs_it_twice_at_once(jobs: AwsJobs, jobs_login: AwsCredentials) -> None:
    job = make_task(jobs_login, LONG)
    handles: list[str] = []
    alive: list[list[bool]] = []

    @task(retries=2)
    def load() -> None:
        run = job.trigger()
        handles.append(run.handle)
        alive.append([jobs.is_alive(each) for each in handles])
        if len(handles) < 3:
            raise OSError("the connection broke")
        run.cancel()

    @flow
    def nightly() -> None:
        load()

    nightly()
    assert alive == [[True], [False, True], [False, False, True]]
    assert len(set(handles)) == 3
    assert not any(jobs.is_alive(each) for each in handles)


# ---------------------------------------------------------------- secrets


def test_a_reference_becomes_the_arn_of_a_secret(login: AwsCredentials, emulated: str) -> None:
    created = login.client("secretsmanager").create_secret(Name="ecs/api", SecretString="{}")
    references = {
        "A": "aws-secrets:ecs/api",
        "B": "aws-secrets:ecs/api#token",
        "C": "aws-secrets:ecs/api#token@AWSPREVIOUS",
        "D": "aws-ssm:/app/token",
        "E": "arn:aws:ssm:us-east-1:123456789012:parameter/e",
    }
    made = make_definition("a task", make_task(login, GOOD, secret_references=references))
    (container,) = made["containerDefinitions"]
    assert {each["name"]: each["valueFrom"] for each in container["secrets"]} == {
        "A": created["ARN"],
        "B": f"{created['ARN']}:token::",
        "C": f"{created['ARN']}:token:AWSPREVIOUS:",
        "D": "/app/token",
        "E": references["E"],
    }
    assert "@" not in json.dumps(container["secrets"])
