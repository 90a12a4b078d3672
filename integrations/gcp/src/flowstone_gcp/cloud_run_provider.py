"""Executions of Cloud Run, behind the interface of all jobs."""

from __future__ import annotations

import re
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

from flowstone import record_measures, seconds_left
from flowstone.blocks import JobProvider, JobStatus, Report
from flowstone.blocks.jobs import EndedJobs, get_job_logger
from flowstone.errors import (
    AccessDenied,
    CredentialsError,
    FlowstoneError,
    JobError,
    JobLost,
    Unreachable,
)
from flowstone_gcp.cloud_run_definitions import (
    ONCE,
    USUAL_TIMEOUT,
    make_definition,
    make_job_id,
    make_overrides,
    refuse_secrets,
)
from flowstone_gcp.cloud_run_executions import describe_failure, find_status, measure
from flowstone_gcp.cloud_run_logs import LinesOfExecutions
from flowstone_gcp.errors import read_status, translate_errors
from flowstone_gcp.rules import OF_JOBS

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from google.cloud.logging import Client
    from google.cloud.run_v2 import Execution, ExecutionsClient, JobsClient, Task, TasksClient

    from flowstone_gcp.cloud_run import CloudRunJob

_HANDLE = re.compile(r"projects/[^/]+/locations/[^/]+/jobs/(?P<job>[^/]+)/executions/[^/]+")
#: Seconds until a new definition must be ready to run.
READY_SECONDS = 120.0
#: Known executions whose definitions are deleted, and their lines.
ENDED, LINES = EndedJobs(), LinesOfExecutions()
#: When this process first saw that an execution had ended, by handle.
_ends: dict[str, float] = {}


class CloudRunExecutions(JobProvider):
    """The executions of a job; a handle is the path of an execution.

    Args:
        block: the block.
    """

    outage_seconds = 300.0
    grace_seconds = 120.0

    def __init__(self, block: CloudRunJob) -> None:
        self._block, self._login = block, block.credentials.get_login()
        self.poll_seconds, self.timeout_seconds = block.poll_seconds, block.timeout_seconds
        self.streams = not block.stream_output  # otherwise the output would not be logged
        self._request_seconds = block.credentials.timeout_seconds

    @property
    def where(self) -> str:
        what = self._block.job_name or self._block.image or "without an image"
        return f"Cloud Run job {what} in {self._block.region}"

    def start(self) -> str:
        if self._block.image is None and self._block.job_name is None:
            remedy = "Set image, or the job_name of an existing job."
            raise JobError(self.where, "there is nothing to run", remedy)
        refuse_secrets(self._block, self.where)
        name = self._find_name() if self._block.job_name else self._create()
        try:
            self._tell_limit(name)
            with self._translate(name):
                operation = self._open_jobs().run_job(
                    request={"name": name, "overrides": self._find_overrides()},
                    timeout=self._request_seconds,
                )
                return str(operation.metadata.name)
        except BaseException:
            if self._block.job_name is None:
                self._delete(name)  # nothing else would delete it
            raise

    def report(self, handle: str) -> Report:
        if ended := ENDED.find(handle):
            return ended.report
        execution = self._read(handle)
        status = find_status(execution)
        url = str(execution.log_uri)
        if not status.ended:
            return Report(status, url=url)
        now = monotonic()
        if now - _ends.setdefault(handle, now) < self._block.log_delay_seconds:
            return Report(JobStatus.RUNNING, url=url)  # its last lines may not have arrived yet
        _ends.pop(handle, None)
        return self._finish(handle, execution, status, url)

    def cancel(self, handle: str) -> None:
        self._check(handle)
        with self._translate(handle):
            try:
                self._open_executions().cancel_execution(name=handle, timeout=self._request_seconds)
            except Exception as error:
                # It may have ended since the request.
                if read_status(error) != "FAILED_PRECONDITION":
                    raise

    def read_logs(self, handle: str, seen: int) -> list[str]:
        self._check(handle)
        found = LINES.find(handle)
        try:
            with self._translate(handle):
                return found.read(self._open_logging(), handle)[seen:]
        except Unreachable:
            pass  # its lines are requested again
        except (AccessDenied, JobError) as error:
            # Credentials that may run jobs may lack permission to read their output.
            if not found.was_refused:
                get_job_logger().warning("its output can't be read: %s", error)
            found.was_refused = True
        return found.lines[seen:]

    def _finish(self, handle: str, execution: Execution, status: JobStatus, url: str) -> Report:
        """Return the report of an execution that has ended, after its cleanup."""
        tasks = self._list_tasks(handle)
        problem = describe_failure(execution, tasks) if status is JobStatus.FAILED else ""
        report = Report(status, problem, url)
        if measures := measure(execution, tasks):
            record_measures(measures)
        if execution.labels.get(ONCE) == "true":
            ENDED.add(handle, report)
            self._delete(handle.partition("/executions/")[0])
        return report

    def _create(self) -> str:
        """Create a definition, and return its path when it is ready."""
        parent = self._find_parent()
        job_id = make_job_id(self._block)
        with self._translate(job_id):
            operation = self._open_jobs().create_job(
                request={
                    "parent": parent,
                    "job": make_definition(self._block),
                    "job_id": job_id,
                },
                timeout=self._request_seconds,
            )
            operation.result(timeout=READY_SECONDS)
        return f"{parent}/jobs/{job_id}"

    def _delete(self, name: str) -> None:
        try:
            with suppress(JobLost), self._translate(name):
                self._open_jobs().delete_job(name=name, timeout=self._request_seconds)
        except FlowstoneError as error:
            get_job_logger().warning("the definition is still there, and costs nothing: %s", error)

    def _find_overrides(self) -> dict[str, object]:
        return make_overrides(self._block) if self._block.job_name else {}

    def _tell_limit(self, name: str) -> None:
        """Log Cloud Run's time limit; as a warning if it is shorter than Flowstone's."""
        seconds, attempts = float(self._block.timeout or USUAL_TIMEOUT), self._block.max_retries + 1
        if self._block.job_name:
            with self._translate(name):
                job = self._open_jobs().get_job(name=name, timeout=self._request_seconds)
            task = job.template.template
            seconds = float(self._block.timeout or task.timeout.total_seconds())
            attempts = task.max_retries + 1
        ours = [each for each in (self.timeout_seconds, seconds_left()) if each is not None]
        words = "Cloud Run ends each attempt of a task after %g s (attempts: %d)"
        logger = get_job_logger()
        if not ours:
            logger.info(words, seconds, attempts)
        elif seconds * attempts < min(ours):
            words += ", less than the %g s that we wait; set timeout"
            logger.warning(words, seconds, attempts, min(ours))

    def _read(self, handle: str) -> Execution:
        self._check(handle)
        with self._translate(handle):
            found: Execution = self._open_executions().get_execution(
                name=handle, timeout=self._request_seconds
            )
            return found

    def _list_tasks(self, handle: str) -> list[Task]:
        with self._translate(handle):
            return [*self._open_tasks().list_tasks(parent=handle, timeout=self._request_seconds)]

    def _check(self, handle: str) -> None:
        if _HANDLE.fullmatch(handle) is None:
            problem = f"{handle!r} is not the path of an execution"
            remedy = "It looks like projects/PROJECT/locations/REGION/jobs/JOB/executions/NAME."
            raise JobLost(self.where, problem, remedy, handle)

    def _find_name(self) -> str:
        name = str(self._block.job_name)
        return name if name.startswith("projects/") else f"{self._find_parent()}/jobs/{name}"

    def _find_parent(self) -> str:
        project = self._block.project or self._login.find_project()
        if not project:
            raise CredentialsError(
                "Cloud Run",
                f"there is no project to run jobs in, with {self._login.who()}",
                "Set project in the block or the credentials, or GOOGLE_CLOUD_PROJECT.",
            )
        return f"projects/{project}/locations/{self._block.region}"

    def _open_jobs(self) -> JobsClient:
        found: JobsClient = self._login.client("cloud_run_jobs", endpoint=self._block.endpoint)
        return found

    def _open_executions(self) -> ExecutionsClient:
        found: ExecutionsClient = self._login.client(
            "cloud_run_executions", endpoint=self._block.endpoint
        )
        return found

    def _open_tasks(self) -> TasksClient:
        found: TasksClient = self._login.client("cloud_run_tasks", endpoint=self._block.endpoint)
        return found

    def _open_logging(self) -> Client:
        found: Client = self._login.client("logging", endpoint=self._block.logging_endpoint)
        return found

    def _translate(self, name: str) -> AbstractContextManager[None]:
        return translate_errors(f"Cloud Run, {name}", self._login.who, None, OF_JOBS)
