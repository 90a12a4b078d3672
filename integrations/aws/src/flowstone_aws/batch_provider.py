"""AWS Batch jobs, behind the interface of all jobs."""

from __future__ import annotations

import re
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

from flowstone import record_measures
from flowstone.blocks import JobProvider, JobStatus, Report
from flowstone.blocks.jobs import get_job_logger
from flowstone.errors import FlowstoneError, JobError, JobLost, Unreachable
from flowstone.records.redaction import redact
from flowstone_aws.cloudwatch import LogReader, LogStream, read_last_lines
from flowstone_aws.ecs_requests import find_region
from flowstone_aws.job_errors import translate_job_errors
from flowstone_aws.job_variables import check_request, check_variables, list_variables
from flowstone_aws.launches import REASON, Launch, StartedJobs, begin_launch

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from flowstone_aws.batch import BatchJob
    from flowstone_aws.records import Client, Record

#: https://docs.aws.amazon.com/batch/latest/userguide/job_states.html
STATUSES = {
    "RUNNING": JobStatus.RUNNING,
    "SUCCEEDED": JobStatus.COMPLETED,
    "FAILED": JobStatus.FAILED,
}
LOG_GROUP = "/aws/batch/job"
LONGEST_NAME = 128
#: Number of a container's last lines that an error quotes.
LAST_WORDS = 10
#: Seconds for which the time limit of a definition is cached.
LIMIT_SECONDS = 60.0
SECRETS_REMEDY = (
    "Name it in `secrets` of the job definition's containerProperties, so that Batch reads it."
)
_ID = re.compile(r"[\w-]{36}([:#]\d+)?")
_NOT_IN_NAMES = re.compile(r"[^\w]+")


class BatchJobs(JobProvider):
    """The jobs of a block; a handle is the id of a job.

    Args:
        job: the block.
    """

    #: SIGKILL follows SIGTERM after 30 s, unless the compute environment says otherwise.
    grace_seconds = 180.0
    outage_seconds = 300.0

    def __init__(self, job: BatchJob) -> None:
        self._job, self._login = job, job.aws_credentials
        self.poll_seconds, self.timeout_seconds = job.interval_seconds, job.timeout_seconds

    @property
    def where(self) -> str:
        return f"Batch job {self._job.job_name!r} in queue {self._job.job_queue!r}"

    def start(self) -> str:
        job = self._job
        check_variables(self.where, job.env, SECRETS_REMEDY)
        # Checked here, because characters that tags can't contain are replaced in the request.
        check_request(self.where, {"labels": job.labels}, SECRETS_REMEDY)
        work = (job.name_in_handles(), job.job_definition, job.command, job.env, job.parameters)
        launch = begin_launch((*work, job.batch_kwargs))
        self._tell_limit()
        handle = self._find_running(launch) or self._submit(launch)
        self._started.add(handle)
        return handle

    def report(self, handle: str) -> Report:
        try:
            job = self.describe(handle)
        except JobLost:
            if self._started.is_fresh(handle):  # Batch is eventually consistent
                return Report(JobStatus.PENDING)
            raise
        status, url = judge_job(job), self._find_url(handle)
        self._started.keep_streams(handle, list_streams(job))
        if status.ended and self._started.take_measure(handle):
            record_measures(measure_job(job))
        if status is not JobStatus.FAILED:
            return Report(status, url=url)
        return Report(status, self._describe_failure(job), url)

    def cancel(self, handle: str) -> None:
        self._check(handle)
        with self._translate():
            self._client().terminate_job(jobId=handle, reason=REASON)

    def read_logs(self, handle: str, seen: int) -> list[str]:
        streams = self._started.find_streams(handle)
        if streams is None:
            if self._started.is_fresh(handle):
                return []
            streams = list_streams(self.describe(handle))
        return self._log.read(self._login, handle, streams, seen)

    def read_result(self, handle: str) -> int:
        """Return the exit code; the parent of an array job has none."""
        return int(self.describe(handle).get("container", {}).get("exitCode", 0))

    def describe(self, handle: str) -> Record:
        """Return a job as Batch describes it.

        Raises:
            JobLost: there is no such job.
        """
        self._check(handle)
        with self._translate():
            jobs = self._client().describe_jobs(jobs=[handle])["jobs"]
        if not jobs:
            problem = f"there is no job {handle!r} (any more)"
            remedy = "Batch forgets a job some days after its end; see its log."
            raise JobLost(self.where, problem, remedy, handle)
        found: Record = jobs[0]
        return found

    def _make_request(self, launch: Launch) -> Record:
        job = self._job
        resources = {"VCPU": job.vcpus, "MEMORY": job.memory}
        container: Record = {
            "command": job.command,
            "environment": list_variables(job.env),
            "resourceRequirements": [
                {"type": kind, "value": f"{amount:g}"}
                for kind, amount in resources.items()
                if amount
            ],
        }
        request: Record = {
            "jobName": self._make_name(launch),
            "jobQueue": job.job_queue,
            "jobDefinition": job.job_definition,
            "parameters": job.parameters,
            "containerOverrides": {key: value for key, value in container.items() if value},
            "retryStrategy": job.attempts and {"attempts": job.attempts},
            "timeout": job.attempt_seconds and {"attemptDurationSeconds": job.attempt_seconds},
            "tags": launch.make_tags(job.labels),
            "propagateTags": True,
        }
        return {**{key: value for key, value in request.items() if value}, **job.batch_kwargs}

    def _make_prefix(self, launch: Launch) -> str:
        """Return the prefix of the names of the run's jobs, the same in each attempt."""
        run = _NOT_IN_NAMES.sub("", launch.run_id)
        left = LONGEST_NAME - len(run) - len(launch.fingerprint) - 12
        return f"{self._job.job_name[:left]}-{run}-{launch.fingerprint}-"

    def _make_name(self, launch: Launch) -> str:
        return f"{self._make_prefix(launch)}{launch.attempt}-{launch.number}"

    def _submit(self, launch: Launch) -> str:
        request = self._make_request(launch)
        check_request(self.where, request, SECRETS_REMEDY)
        try:
            with self._translate():
                return str(self._client().submit_job(**request)["jobId"])
        except Unreachable:
            # The request may have arrived; look the job up by its name.
            with suppress(FlowstoneError):
                found = self._list_jobs(request["jobName"])
                if found:
                    return str(found[0]["jobId"])
            raise

    def _find_running(self, launch: Launch) -> str | None:
        """Return a running job that an earlier attempt submitted without recording it."""
        if launch.attempt == 1:
            return None
        prefix = self._make_prefix(launch)
        running = sorted(
            (each["jobName"], each["jobId"])
            for each in self._list_jobs(f"{prefix}*")
            if each["status"] not in {"SUCCEEDED", "FAILED"}
            and int(each["jobName"].removeprefix(prefix).partition("-")[0]) < launch.attempt
        )
        return running[launch.number - 1][1] if len(running) >= launch.number else None

    def _list_jobs(self, name: str) -> list[Record]:
        wanted = [{"name": "JOB_NAME", "values": [name]}]
        with self._translate():
            answer = self._client().list_jobs(jobQueue=self._job.job_queue, filters=wanted)
        found: list[Record] = answer["jobSummaryList"]
        return found

    def _tell_limit(self) -> None:
        """Warn if Batch ends an attempt before Flowstone stops waiting."""
        limit, ours = self._job.attempt_seconds or self._find_limit(), self._job.timeout_seconds
        if limit is not None and (ours is None or limit < ours):
            waiting = "without a limit" if ours is None else f"for {ours:g} s"
            get_job_logger().warning(
                "%s: Batch ends each attempt after %s s; we wait %s", self.where, limit, waiting
            )

    def _find_limit(self) -> int | None:
        known: dict[str, tuple[float, int | None]] = self._login.get_or_make("batch limits", dict)
        name = self._job.job_definition
        at, limit = known.get(name, (0.0, None))
        if name not in known or monotonic() - at > LIMIT_SECONDS:
            # Credentials that may submit jobs may lack permission to read definitions.
            with suppress(JobError, OSError):
                limit = self._read_limit(name)
            known[name] = monotonic(), limit
        return limit

    def _read_limit(self, name: str) -> int | None:
        has_revision = re.search(r":\d+$", name) or name.startswith("arn:")
        wanted = {"jobDefinitions": [name]} if has_revision else {"jobDefinitionName": name}
        with self._translate():
            answer = self._client().describe_job_definitions(status="ACTIVE", **wanted)
        newest: Record = max(
            answer["jobDefinitions"], key=lambda each: each["revision"], default={}
        )
        limit: int | None = newest.get("timeout", {}).get("attemptDurationSeconds")
        return limit

    def _describe_failure(self, job: Record) -> str:
        streams = list_streams(job)
        words = read_last_lines(self._login, streams[-1], LAST_WORDS) if streams else []
        problem = describe_failure(job)
        return redact(
            f"{problem}; the end of its output: {chr(10).join(words)}" if words else problem
        )

    def _find_url(self, handle: str) -> str:
        if self._login.aws_client_parameters.endpoint_url:
            return ""
        region = find_region(self._login)
        return f"https://{region}.console.aws.amazon.com/batch/home?region={region}#jobs/detail/{handle}"

    def _check(self, handle: str) -> None:
        if not _ID.fullmatch(handle):
            problem = f"{handle!r} is not the id of a job"
            raise JobLost(self.where, problem, "Pass the `handle` of a run.", handle)

    @property
    def _started(self) -> StartedJobs:
        return self._login.get_or_make("batch jobs", StartedJobs)

    @property
    def _log(self) -> LogReader:
        return self._login.get_or_make("logs", LogReader)

    def _client(self) -> Client:
        return self._login.client("batch")

    def _translate(self) -> AbstractContextManager[None]:
        return translate_job_errors(self.where, self._login.describe_login)


def judge_job(job: Record) -> JobStatus:
    """Return a job's status; Batch also reports terminated and cancelled jobs as FAILED."""
    status = STATUSES.get(job["status"], JobStatus.PENDING)
    if status is not JobStatus.FAILED:
        return status
    reason = job.get("statusReason", "")
    was_ended = job.get("isTerminated") or job.get("isCancelled") or reason == REASON
    # https://docs.aws.amazon.com/batch/latest/userguide/job_timeouts.html
    is_late = "duration exceeded timeout" in reason
    return JobStatus.CANCELLED if was_ended and not is_late else status


def list_streams(job: Record) -> list[LogStream]:
    """Return the log streams of a job's attempts, in order."""
    container = job.get("container", {})
    options = (container.get("logConfiguration") or {}).get("options", {})
    holders = [each.get("container", {}) for each in job.get("attempts", [])]
    names = [each.get("logStreamName") for each in (*holders, container)]
    group, region = options.get("awslogs-group", LOG_GROUP), options.get("awslogs-region")
    return [LogStream(group, name, region) for name in dict.fromkeys(names) if name]


def describe_failure(job: Record) -> str:
    """Return the error, as Batch states it, and the exit code."""
    container = job.get("container", {})
    code = container.get("exitCode")
    parts = (
        "" if code is None else f"exit code {code}",
        job.get("statusReason", ""),
        container.get("reason", ""),
    )
    return ", ".join(dict.fromkeys(filter(None, parts))) or "it failed, and Batch gives no reason"


def measure_job(job: Record) -> dict[str, float]:
    """Return a job's measures: run time, vCPU seconds and GB seconds of memory."""
    begun, ended = job.get("startedAt"), job.get("stoppedAt")
    if not begun or not ended:
        return {}
    seconds = max(0, ended - begun) / 1000
    container = job.get("container", {})
    needed = {
        each["type"]: float(each["value"]) for each in container.get("resourceRequirements", [])
    }
    vcpus = needed.get("VCPU", container.get("vcpus"))
    memory = needed.get("MEMORY", container.get("memory"))
    found = {
        "run_seconds": seconds,
        "queue_seconds": max(0, begun - job.get("createdAt", begun)) / 1000,
    }
    if vcpus:
        found["vcpu_seconds"] = seconds * vcpus
    if memory:
        found["memory_gb_seconds"] = seconds * memory / 1024
    return found
