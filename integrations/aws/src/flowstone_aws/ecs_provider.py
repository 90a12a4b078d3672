"""ECS tasks, behind the interface of all jobs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flowstone import record_measures
from flowstone.blocks import JobProvider, JobStatus, Report
from flowstone.errors import JobError, JobLost
from flowstone.records.redaction import redact
from flowstone_aws.cloudwatch import LogReader, read_last_lines
from flowstone_aws.ecs_batches import TaskBatches
from flowstone_aws.ecs_definitions import (
    ensure_definition,
    find_definition,
    forget_definition,
)
from flowstone_aws.ecs_requests import find_region, make_definition, make_run_request
from flowstone_aws.job_errors import translate_job_errors
from flowstone_aws.job_variables import check_request, check_variables
from flowstone_aws.launches import ATTEMPT_TAG, REASON, Launch, StartedJobs, begin_launch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from flowstone_aws.ecs import EcsTask
    from flowstone_aws.ecs_definitions import TaskDefinition
    from flowstone_aws.records import Client, Record

#: Number of a container's last lines that an error quotes.
LAST_WORDS = 10
#: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-lifecycle-explanation.html
PENDING = frozenset({"PROVISIONING", "PENDING", "ACTIVATING"})
SECRETS_REMEDY = (
    "Name it in `secret_references`, so that ECS reads it: {'TOKEN': 'aws-secrets:api#token'}."
)
_ARN = re.compile(r"arn:[\w-]+:ecs:[\w-]+:\d*:task/[\w-]+/[0-9a-fA-F-]{32,36}")


class EcsTasks(JobProvider):
    """The tasks of a block; a handle is the ARN of a task.

    Args:
        job: the block.
    """

    #: SIGKILL follows SIGTERM after 120 s at most; then the network is detached.
    grace_seconds = 240.0
    outage_seconds = 300.0

    def __init__(self, job: EcsTask) -> None:
        self._job, self._login = job, job.aws_credentials
        self.poll_seconds, self.timeout_seconds = job.interval_seconds, job.timeout_seconds

    @property
    def where(self) -> str:
        what = self._job.name or self._job.task_definition_arn or self._job.image
        return f"ECS task {what!r}" if what else "ECS task"

    def start(self) -> str:
        job = self._job
        if job.image is None and job.task_definition_arn is None:
            problem = "there is neither an image nor a task definition"
            raise JobError(self.where, problem, "Set `image` or `task_definition_arn`.")
        check_variables(self.where, job.env, SECRETS_REMEDY)
        # Checked here, because characters that tags can't contain are replaced in the request.
        check_request(self.where, {"labels": job.labels}, SECRETS_REMEDY)
        definition = self._find_definition()
        work = (job.name_in_handles(), definition.arn, job.command, job.env, job.cluster)
        launch = begin_launch(work)
        handle = self._find_running(launch) or self._run(definition, launch)
        self._started.add(handle)
        self._started.keep_streams(handle, definition.list_streams(handle))
        return handle

    def report(self, handle: str) -> Report:
        try:
            task = self.describe(handle)
        except JobLost:
            if self._started.is_fresh(handle):  # ECS is eventually consistent
                return Report(JobStatus.PENDING)
            raise
        url = self._find_url(handle)
        if task["lastStatus"] != "STOPPED":
            status = JobStatus.PENDING if task["lastStatus"] in PENDING else JobStatus.RUNNING
            return Report(status, url=url)
        if self._started.take_measure(handle):
            record_measures(measure_task(task))
        definition = self._find_definition_of(task)
        status = judge_task(task, definition.container)
        if status is not JobStatus.FAILED:
            return Report(status, url=url)
        return Report(status, self._describe_failure(task, definition), url)

    def cancel(self, handle: str) -> None:
        self._check(handle)
        try:
            with self._translate():
                self._client().stop_task(cluster=self._cluster, task=handle, reason=REASON)
        except JobError as error:
            if "not found" not in error.problem:
                raise
            problem = f"there is no task {handle!r}"
            raise JobLost(self.where, problem, "It ended some time ago.", handle) from error

    def read_logs(self, handle: str, seen: int) -> list[str]:
        streams = self._started.find_streams(handle)
        if streams is None:
            streams = self._find_definition_of(self.describe(handle)).list_streams(handle)
            self._started.keep_streams(handle, streams)
        return self._log.read(self._login, handle, streams, seen)

    def read_result(self, handle: str) -> int | None:
        """Return the exit code."""
        return self.read_exit_code(self.describe(handle))

    def read_exit_code(self, task: Record) -> int | None:
        """Return the exit code of a task as ECS describes it; None if there is none (yet)."""
        return read_exit_code(task, self._find_definition_of(task).container)

    def describe(self, handle: str) -> Record:
        """Return a task as ECS describes it.

        Raises:
            JobLost: there is no such task.
        """
        self._check(handle)
        batches = self._login.get_or_make(f"ecs batches of {self._cluster}", TaskBatches)
        found = batches.describe(handle, self._describe_all)
        if found is None:
            problem = f"there is no task {handle!r} (any more)"
            remedy = "ECS forgets a task an hour after its end; see its log."
            raise JobLost(self.where, problem, remedy, handle)
        return found

    def _describe_all(self, handles: Sequence[str]) -> list[Record]:
        with self._translate():
            answer = self._client().describe_tasks(cluster=self._cluster, tasks=handles)
        tasks: list[Record] = answer["tasks"]
        return tasks

    @property
    def _cluster(self) -> str:
        return self._job.cluster or "default"

    def _find_definition(self) -> TaskDefinition:
        job, login = self._job, self._login
        if job.task_definition_arn is not None:
            return find_definition(self.where, login, job.task_definition_arn, job.container_name)
        content = make_definition(self.where, job)
        check_request(self.where, content, SECRETS_REMEDY)
        return ensure_definition(self.where, login, content, job.labels)

    def _find_definition_of(self, task: Record) -> TaskDefinition:
        """Return the definition that a task was started from; this block may have changed since."""
        name, container = task["taskDefinitionArn"], self._job.container_name
        return find_definition(self.where, self._login, name, container)

    def _find_running(self, launch: Launch) -> str | None:
        """Return a running task that an earlier attempt started without recording it."""
        if launch.attempt == 1:
            return None
        with self._translate():
            client, owner = self._client(), launch.owner[:128]
            listed = client.list_tasks(cluster=self._cluster, startedBy=owner)["taskArns"]
            if not listed:
                return None
            found = client.describe_tasks(
                cluster=self._cluster, tasks=listed[:100], include=["TAGS"]
            )["tasks"]
        before = [each for each in found if _read_attempt(each) < launch.attempt]
        running = sorted(each["taskArn"] for each in before if each["desiredStatus"] == "RUNNING")
        return running[launch.number - 1] if len(running) >= launch.number else None

    def _run(self, definition: TaskDefinition, launch: Launch) -> str:
        request = make_run_request(self.where, self._job, definition, launch)
        check_request(self.where, request, SECRETS_REMEDY)
        try:
            with self._translate():
                answer = self._client().run_task(**request)
        except JobError:
            forget_definition(self._login, definition)  # it may have been deregistered
            raise
        if not answer["tasks"]:
            reasons = [_describe_refusal(each) for each in answer.get("failures", [])]
            problem = f"ECS did not start it: {'; '.join(reasons) or 'it gives no reason'}"
            raise JobError(self.where, problem, "Check the cluster's capacity and the definition.")
        return str(answer["tasks"][0]["taskArn"])

    def _describe_failure(self, task: Record, definition: TaskDefinition) -> str:
        problem = describe_failure(task, definition.container)
        streams = definition.list_streams(task["taskArn"])
        words = read_last_lines(self._login, streams[0], LAST_WORDS) if streams else []
        told = f"{problem}; the end of its output: {chr(10).join(words)}" if words else problem
        return redact(told)

    def _find_url(self, handle: str) -> str:
        if self._login.aws_client_parameters.endpoint_url:
            return ""
        region, (cluster, task) = find_region(self._login), handle.split("/")[-2:]
        base = f"https://{region}.console.aws.amazon.com/ecs/v2/clusters/{cluster}/tasks/{task}"
        return f"{base}?region={region}"

    def _check(self, handle: str) -> None:
        if not _ARN.fullmatch(handle):
            problem = f"{handle!r} is not the ARN of a task"
            raise JobLost(self.where, problem, "Pass the `handle` of a run.", handle)

    @property
    def _started(self) -> StartedJobs:
        return self._login.get_or_make("ecs tasks", StartedJobs)

    @property
    def _log(self) -> LogReader:
        return self._login.get_or_make("logs", LogReader)

    def _client(self) -> Client:
        return self._login.client("ecs")

    def _translate(self) -> AbstractContextManager[None]:
        return translate_job_errors(self.where, self._login.describe_login)


def judge_task(task: Record, container: str) -> JobStatus:
    """Return the status of a task; a stopped task is cancelled, whatever its exit code."""
    code = task.get("stopCode", "")
    if code == "UserInitiated":
        return JobStatus.CANCELLED
    is_good = read_exit_code(task, container) == 0 and code in {"", "EssentialContainerExited"}
    return JobStatus.COMPLETED if is_good else JobStatus.FAILED


def read_exit_code(task: Record, container: str) -> int | None:
    """Return the exit code of a task's container; None if there is none (yet)."""
    codes = {each["name"]: each.get("exitCode") for each in task.get("containers", [])}
    return codes.get(container)


def describe_failure(task: Record, container: str) -> str:
    """Return the error, as ECS states it, and the exit code.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html
    """
    code = read_exit_code(task, container)
    reasons = [each.get("reason", "") for each in task.get("containers", [])]
    parts = [
        "" if code is None else f"exit code {code}",
        ": ".join(filter(None, (task.get("stopCode", ""), task.get("stoppedReason", "")))),
        *reasons,
    ]
    return ", ".join(dict.fromkeys(filter(None, parts))) or "it ended, and ECS gives no reason"


def measure_task(task: Record) -> dict[str, float]:
    """Return a task's measures: run time, vCPU seconds and GB seconds of memory."""
    begun = task.get("startedAt")
    ended = task.get("executionStoppedAt") or task.get("stoppedAt")
    if begun is None or ended is None:
        return {}
    seconds = max(0.0, (ended - begun).total_seconds())
    found = {"run_seconds": seconds}
    if task.get("createdAt"):
        found["queue_seconds"] = max(0.0, (begun - task["createdAt"]).total_seconds())
    if task.get("cpu"):
        found["vcpu_seconds"] = seconds * int(task["cpu"]) / 1024
    if task.get("memory"):
        found["memory_gb_seconds"] = seconds * int(task["memory"]) / 1024
    return found


def _read_attempt(task: Record) -> int:
    tags = {tag["key"]: tag.get("value", "") for tag in task.get("tags", [])}
    text = tags.get(ATTEMPT_TAG, "")
    return int(text) if text.isdigit() else 0


def _describe_refusal(failure: Mapping[str, str]) -> str:
    return " ".join(filter(None, (failure.get("reason"), failure.get("detail"))))
