"""Batch on this machine: each job is a real process.

https://docs.aws.amazon.com/batch/latest/APIReference/Welcome.html
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

from tests.services.aws_wire import Refusal, make_arn

if TYPE_CHECKING:
    from tests.services.containers import Container, Containers

GROUP = "/aws/batch/job"


@dataclass
class Job:
    """A job: its container runs, has ended, or waits to be started."""

    id: str
    asked: dict[str, Any]
    definition: dict[str, Any]
    created_at: datetime
    container: Container | None = None
    streams: list[tuple[str, Container]] = field(default_factory=list)
    attempts: list[dict[str, Any]] = field(default_factory=list)
    reason: str = ""
    is_terminated: bool = False
    is_cancelled: bool = False
    looks: int = 0

    @property
    def status(self) -> str:
        if self.is_cancelled:
            return "FAILED"
        if self.container is None:
            return "SUBMITTED"
        if self.container.is_running:
            return "RUNNABLE" if self.looks < 1 else "RUNNING"
        return "SUCCEEDED" if self.container.exit_code == 0 else "FAILED"

    def describe(self, *, short: bool = False) -> dict[str, Any]:
        status = self.status
        found: dict[str, Any] = {
            "jobArn": make_arn("batch", f"job/{self.id}"),
            "jobId": self.id,
            "jobName": self.asked["jobName"],
            "status": status,
            "createdAt": _read_time(self.created_at),
        }
        ran = self.container
        if ran is not None and self.looks:
            found["startedAt"] = _read_time(ran.started_at)
        if status in {"SUCCEEDED", "FAILED"} and ran is not None and ran.ended_at is not None:
            found["startedAt"] = _read_time(ran.started_at)
            found["stoppedAt"] = _read_time(ran.ended_at)
        if status == "FAILED":
            found["statusReason"] = self.reason or "Essential container in task exited"
            if ran is not None and ran.timed_out:
                found["statusReason"] = "Job attempt duration exceeded timeout"
        if short:
            return found
        holder: dict[str, Any] = {
            **self.definition["containerProperties"],
            **self.asked.get("containerOverrides", {}),
        }
        if self.streams:
            holder["logStreamName"] = self.streams[-1][0]
        if ran is not None and not ran.is_running:
            holder["exitCode"] = ran.exit_code
        return {
            **found,
            "jobQueue": self.asked["jobQueue"],
            "jobDefinition": self.definition["jobDefinitionArn"],
            "container": holder,
            "attempts": self.attempts,
            "timeout": self.asked.get("timeout") or self.definition.get("timeout") or {},
            "tags": self.asked.get("tags", {}),
            "isCancelled": self.is_cancelled,
            "isTerminated": self.is_terminated,
        }


class Batch:
    """Job definitions and jobs; each queue is there but `no-such-queue`, and `busy` starts none."""

    OPERATIONS: ClassVar = (
        "RegisterJobDefinition", "DescribeJobDefinitions", "SubmitJob", "DescribeJobs", "ListJobs",
        "TerminateJob",
    )  # fmt: skip

    def __init__(self, containers: Containers) -> None:
        self._containers = containers
        self.jobs: dict[str, Job] = {}
        self.definitions: dict[str, list[dict[str, Any]]] = {}
        self.routes = {
            "RegisterJobDefinition": self._register,
            "DescribeJobDefinitions": self._describe_definitions,
            "SubmitJob": self._submit,
            "DescribeJobs": self._describe,
            "ListJobs": self._list,
            "TerminateJob": self._terminate,
        }

    def dump(self) -> object:
        return [self.definitions, [job.describe() for job in self.jobs.values()]]

    def list_streams(self) -> dict[tuple[str, str], Container]:
        """Return what the containers write, by log group and stream."""
        return {(GROUP, name): each for job in self.jobs.values() for name, each in job.streams}

    def _register(self, asked: dict[str, Any]) -> dict[str, Any]:
        """https://docs.aws.amazon.com/batch/latest/APIReference/API_RegisterJobDefinition.html"""
        name = asked["jobDefinitionName"]
        revisions = self.definitions.setdefault(name, [])
        number = len(revisions) + 1
        arn = make_arn("batch", f"job-definition/{name}:{number}")
        made = {"jobDefinitionArn": arn, "revision": number, "status": "ACTIVE", **asked}
        revisions.append(made)
        return {"jobDefinitionName": name, "jobDefinitionArn": arn, "revision": number}

    def _describe_definitions(self, asked: dict[str, Any]) -> dict[str, Any]:
        """https://docs.aws.amazon.com/batch/latest/APIReference/API_DescribeJobDefinitions.html"""
        name = asked.get("jobDefinitionName")
        named = [] if name is None else self.definitions.get(name, [])
        known = [each for all_of_it in self.definitions.values() for each in all_of_it]
        by_arn = [
            each for each in known if each["jobDefinitionArn"] in asked.get("jobDefinitions", [])
        ]
        by_name = [
            each
            for each in known
            if f"{each['jobDefinitionName']}:{each['revision']}" in asked.get("jobDefinitions", [])
        ]
        return {"jobDefinitions": [*named, *by_arn, *by_name]}

    def _find_definition(self, name: str) -> dict[str, Any]:
        family, _, number = name.rpartition("/")[2].partition(":")
        found = [
            each
            for each in self.definitions.get(family, [])
            if number in {"", str(each["revision"])}
        ]
        if not found:
            raise Refusal("ClientException", f"JobDefinition {name} does not exist")
        return found[-1]

    def _submit(self, asked: dict[str, Any]) -> dict[str, Any]:
        """https://docs.aws.amazon.com/batch/latest/APIReference/API_SubmitJob.html"""
        if asked["jobQueue"] == "no-such-queue":
            raise Refusal("ClientException", "JobQueue no-such-queue does not exist")
        definition = self._find_definition(asked["jobDefinition"])
        uid = str(uuid4())
        job = self.jobs[uid] = Job(uid, asked, definition, datetime.now(UTC))
        if asked["jobQueue"] != "busy":
            self._start(job)
        found = {"jobId": uid, "jobName": asked["jobName"]}
        return {"jobArn": make_arn("batch", f"job/{uid}"), **found}

    def _start(self, job: Job) -> None:
        own, over = job.definition["containerProperties"], job.asked.get("containerOverrides", {})
        variables = [*own.get("environment", []), *over.get("environment", [])]
        limit = job.asked.get("timeout") or job.definition.get("timeout") or {}
        # https://docs.aws.amazon.com/batch/latest/userguide/job_definition_parameters.html#parameters
        parameters = {**job.definition.get("parameters", {}), **job.asked.get("parameters", {})}
        command = [
            parameters.get(word.removeprefix("Ref::"), word) if word.startswith("Ref::") else word
            for word in over.get("command") or own.get("command") or ["true"]
        ]
        job.container = self._containers.start(
            command,
            {each["name"]: each["value"] for each in variables},
            timeout_seconds=limit.get("attemptDurationSeconds"),
        )
        name = f"{job.definition['jobDefinitionName']}/default/{uuid4().hex}"
        job.streams.append((name, job.container))
        job.attempts.append({"container": {"logStreamName": name}})

    def _describe(self, asked: dict[str, Any]) -> dict[str, Any]:
        """https://docs.aws.amazon.com/batch/latest/APIReference/API_DescribeJobs.html"""
        known = [self.jobs[each] for each in asked["jobs"] if each in self.jobs]
        found = [job.describe() for job in known]
        for job in known:
            job.looks += 1
        return {"jobs": found}

    def _list(self, asked: dict[str, Any]) -> dict[str, Any]:
        """https://docs.aws.amazon.com/batch/latest/APIReference/API_ListJobs.html"""
        found = [job for job in self.jobs.values() if job.asked["jobQueue"] == asked["jobQueue"]]
        for each in asked.get("filters", []):
            assert each["name"] == "JOB_NAME"
            (name,) = (value.lower() for value in each["values"])
            if name.endswith("*"):
                found = [job for job in found if job.asked["jobName"].lower().startswith(name[:-1])]
            else:
                found = [job for job in found if job.asked["jobName"].lower() == name]
        newest_first = sorted(found, key=lambda job: job.created_at, reverse=True)
        return {"jobSummaryList": [job.describe(short=True) for job in newest_first]}

    def _terminate(self, asked: dict[str, Any]) -> dict[str, Any]:
        """https://docs.aws.amazon.com/batch/latest/APIReference/API_TerminateJob.html"""
        job = self.jobs.get(asked["jobId"])
        if job is None or job.status in {"SUCCEEDED", "FAILED"}:
            return {}
        job.reason = asked["reason"]
        if job.container is None:
            job.is_cancelled = True
        else:
            job.is_terminated = True
            job.container.stop(30)
        return {}


def _read_time(at: datetime) -> int:
    return int(at.timestamp() * 1000)
