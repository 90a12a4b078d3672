"""Cloud Run jobs and their lines in Cloud Logging on this machine; the official SDKs ask it.

A task is a real process of this machine: a `Container` with the command, the arguments and the
environment of the definition. The image is not looked at, but for `MISSING_IMAGE`.

The routes and answers are those of Google's pages:

- jobs, ``POST …/jobs?jobId=``, ``GET``, ``DELETE`` and ``:run`` with its overrides:
  https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.jobs
- executions, ``GET`` and ``:cancel``, with their conditions and counts:
  https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.jobs.executions
- tasks, ``GET …/tasks``, with ``lastAttemptResult``:
  https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.jobs.executions.tasks
- operations: https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.operations
- the environment of a task: https://cloud.google.com/run/docs/container-contract#jobs-env-vars
- its end by SIGTERM, and by SIGKILL 10 s later:
  https://cloud.google.com/run/docs/container-contract#jobs-lifecycle
- secrets as environment variables: https://cloud.google.com/run/docs/configuring/jobs/secrets
- ``POST /v2/entries:list``, and the filter:
  https://cloud.google.com/logging/docs/reference/v2/rest/v2/entries/list
- the logs and labels of a job's lines: https://cloud.google.com/run/docs/logging
"""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import RLock, Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from tests.services.containers import Container, Containers, keep_containers
from tests.services.web import Handler, serve_web

if TYPE_CHECKING:
    from collections.abc import Iterator

#: An image that is nowhere.
MISSING_IMAGE = "europe-docker.pkg.dev/nobody/nothing/missing:1"
GRACE_SECONDS = 10.0
#: The service ends a task after so long, where its definition does not say: 10 minutes.
USUAL_TIMEOUT = "600s"
JOB = re.compile(r"projects/([^/]+)/locations/([^/]+)/jobs/([^/:]+)")
EXECUTION = re.compile(JOB.pattern + r"/executions/([^/:]+)")
Answer = tuple[int, dict[str, Any]]


def refuse(code: int, status: str, message: str) -> Answer:
    return code, {"error": {"code": code, "status": status, "message": message}}


def format_time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


@dataclass
class Task:
    """A task of an execution: one container after the other, until one succeeds."""

    index: int
    attempts: list[Container] = field(default_factory=list)
    has_ended: bool = False

    @property
    def result(self) -> tuple[int, str]:
        """The exit code of the last attempt, and what Cloud Run says of it."""
        last = self.attempts[-1]
        if last.timed_out:
            return 1, "The configured timeout was reached."
        code = last.exit_code or 0
        return code, f"The container exited with an error ({code})." if code else ""


class Execution:
    """An execution of a job: its tasks run in threads of their own."""

    def __init__(self, cloud: CloudRun, job: dict[str, Any], overrides: dict[str, Any]) -> None:
        self.name = f"{job['name']}/executions/{job['name'].rpartition('/')[2]}-{uuid4().hex[:5]}"
        self.job, self.created_at = job, datetime.now(UTC)
        self.template = json.loads(json.dumps(job["template"]))
        _apply(self.template, overrides)
        self.was_cancelled = False
        self.ended_at: datetime | None = None
        self._cloud = cloud
        count = self.template.get("taskCount") or 1
        self.tasks = [Task(index) for index in range(count)]
        self._threads = [Thread(target=self._run, args=(task,)) for task in self.tasks]

    @property
    def container_spec(self) -> dict[str, Any]:
        found: dict[str, Any] = self.template["template"]["containers"][0]
        return found

    @property
    def is_missing(self) -> bool:
        """Whether its image is nowhere."""
        return bool(self.container_spec["image"] == MISSING_IMAGE)

    @property
    def is_running(self) -> bool:
        return self.ended_at is None

    def start(self) -> None:
        if self.is_missing:
            self.ended_at = datetime.now(UTC)
            return
        for task, thread in zip(self.tasks, self._threads, strict=True):
            self._attempt(task)  # who asks next finds it running
            thread.start()

    def cancel(self) -> None:
        self.was_cancelled = True
        for task in self.tasks:
            for container in task.attempts:
                if container.is_running:
                    container.stop(GRACE_SECONDS)

    def join(self) -> None:
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def _attempt(self, task: Task) -> None:
        spec = self.container_spec
        command = [*spec.get("command", []), *spec.get("args", [])]
        timeout = self.template["template"].get("timeout") or USUAL_TIMEOUT
        own = {
            "CLOUD_RUN_JOB": self.job["name"].rpartition("/")[2],
            "CLOUD_RUN_EXECUTION": self.name.rpartition("/")[2],
            "CLOUD_RUN_TASK_INDEX": str(task.index),
            "CLOUD_RUN_TASK_ATTEMPT": str(len(task.attempts)),
            "CLOUD_RUN_TASK_COUNT": str(len(self.tasks)),
        }
        environment = {**self._cloud.resolve(spec.get("env", [])), **own}
        seconds = float(timeout.rstrip("s"))
        task.attempts.append(
            self._cloud.containers.start(command, environment, timeout_seconds=seconds)
        )

    def _run(self, task: Task) -> None:
        retries = self.template["template"].get("maxRetries") or 0
        while True:
            last = task.attempts[-1]
            if self.was_cancelled:  # since it was looked at
                last.stop(GRACE_SECONDS)
            last.wait()
            if self.was_cancelled or last.exit_code == 0 or len(task.attempts) > retries:
                break
            self._attempt(task)
        task.has_ended = True
        if all(each.has_ended for each in self.tasks):
            self.ended_at = datetime.now(UTC)

    def list_failed(self) -> list[Task]:
        return [each for each in self.tasks if each.has_ended and each.attempts and each.result[0]]

    def describe(self) -> dict[str, Any]:
        ended, failed = self.ended_at, self.list_failed()
        count = len(self.tasks)
        running = sum(1 for each in self.tasks if not each.has_ended and each.attempts)
        started = [each.attempts[0].started_at for each in self.tasks if each.attempts]
        found: dict[str, Any] = {
            "name": self.name,
            "uid": uuid4().hex,
            "labels": {**self.job.get("labels", {}), **self.template.get("labels", {})},
            "createTime": format_time(self.created_at),
            "job": self.job["name"].rpartition("/")[2],
            "taskCount": count,
            "template": self.template["template"],
            "runningCount": 0 if ended else running,
            "logUri": f"https://console.cloud.google.com/logs/viewer?execution={self.name}",
            "conditions": [self._describe_end()],
            "reconciling": ended is None,
        }
        if started:
            found["startTime"] = format_time(min(started))
        if ended:
            found["completionTime"] = format_time(ended)
            bad = count if self.is_missing else len(failed)
            cancelled = self.was_cancelled
            found["cancelledCount"] = bad if cancelled else 0
            found["failedCount"] = 0 if cancelled else bad
            found["succeededCount"] = count - bad
        return found

    def _describe_end(self) -> dict[str, Any]:
        found: dict[str, Any] = {"type": "Completed", "state": "CONDITION_RECONCILING"}
        if self.ended_at is None:
            return found
        if self.is_missing:
            message = f"Image '{MISSING_IMAGE}' not found."
            return {**found, "state": "CONDITION_FAILED", "message": message}
        if self.was_cancelled:  # whatever its tasks make of SIGTERM
            message = "Execution was cancelled by users."
            reason = {"executionReason": "CANCELLED"}
            return {**found, **reason, "state": "CONDITION_FAILED", "message": message}
        failed = self.list_failed()
        if not failed:
            return {**found, "state": "CONDITION_SUCCEEDED"}
        _, words = failed[0].result
        name = f"{self.name.rpartition('/')[2]}-task{failed[0].index}"
        return {
            **found,
            "executionReason": "NON_ZERO_EXIT_CODE",
            "state": "CONDITION_FAILED",
            "message": f"Task {name} failed with message: {words}",
        }

    def list_tasks(self) -> list[dict[str, Any]]:
        return [self._describe_task(each) for each in self.tasks if each.attempts]

    def _describe_task(self, task: Task) -> dict[str, Any]:
        last = task.attempts[-1]
        found: dict[str, Any] = {
            "name": f"{self.name}/tasks/{self.name.rpartition('/')[2]}-task{task.index}",
            "index": task.index,
            "retried": len(task.attempts) - 1,
            "startTime": format_time(task.attempts[0].started_at),
        }
        if task.has_ended and last.ended_at is not None:
            code, words = task.result
            found["completionTime"] = format_time(last.ended_at)
            found["lastAttemptResult"] = {
                "exitCode": code,
                "status": {"code": 2 if code else 0, "message": words},
            }
        return found


class CloudRun:
    """What a loopback server answers in the place of Cloud Run and of Cloud Logging.

    Attributes:
        url: its address.
        jobs: the definitions, by name.
        executions: by name.
        secrets: the values in Secret Manager, by name; those that definitions refer to.
        asked: the requests so far: method, path with its query, and body.
        refusals: how requests are refused whose ``METHOD path`` fits a pattern.
        hidden_lines: the number of newest lines that have not arrived in Cloud Logging yet.
    """

    def __init__(self, containers: Containers) -> None:
        self.url, self.containers = "", containers
        self.jobs: dict[str, dict[str, Any]] = {}
        self.executions: dict[str, Execution] = {}
        self.secrets: dict[str, str] = {}
        self.asked: list[tuple[str, str, Any]] = []
        self.refusals: dict[str, Answer] = {}
        self.hidden_lines = 0
        self._lock = RLock()

    def is_alive(self, handle: str) -> bool:
        """Return whether a process of an execution runs."""
        execution = self.executions[handle]
        return any(each.is_running for task in execution.tasks for each in task.attempts) or (
            execution.is_running
        )

    def find_asked(self, fits: str) -> list[Any]:
        """Return the bodies of the requests whose ``METHOD path`` fits a pattern."""
        return [body for method, path, body in self.asked if re.search(fits, f"{method} {path}")]

    def resolve(self, env: list[dict[str, Any]]) -> dict[str, str]:
        """Return an environment with the secrets that it refers to."""
        found = {}
        for each in env:
            source = each.get("valueSource", {}).get("secretKeyRef")
            found[each["name"]] = (
                self.secrets[source["secret"]] if source else each.get("value", "")
            )
        return found

    def answer(self, method: str, path: str, body: Any) -> Answer:
        with self._lock:
            self.asked.append((method, path, body))
            for pattern, refusal in self.refusals.items():
                if re.search(pattern, f"{method} {path}"):
                    return refusal
            parts = urlsplit(path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            name, _, verb = parts.path.removeprefix("/v2/").partition(":")
            if (name, verb) == ("entries", "list"):
                return self._list_entries(body)
            if found := re.fullmatch(r"(projects/[^/]+/locations/[^/]+)/operations/.+", name):
                return 200, {"name": name, "done": True}
            if found := re.fullmatch(r"(projects/[^/]+/locations/[^/]+)/jobs", name):
                return self._create(f"{found[1]}/jobs/{query['jobId']}", body)
            if found := re.fullmatch(rf"({EXECUTION.pattern})(/tasks)?", name):
                return self._answer_execution(found[1], method, verb, tasks=bool(found[6]))
            if JOB.fullmatch(name):
                return self._answer_job(name, method, verb, body)
        return refuse(404, "NOT_FOUND", f"The requested URL {parts.path} was not found.")

    def _create(self, name: str, body: dict[str, Any]) -> Answer:
        if name in self.jobs:
            return refuse(409, "ALREADY_EXISTS", f"Resource '{name}' already exists.")
        for each in body["template"]["template"]["containers"][0].get("env", []):
            source = each.get("valueSource", {}).get("secretKeyRef")
            if source and source["secret"] not in self.secrets:
                message = f"Secret {source['secret']} was not found"
                return refuse(400, "INVALID_ARGUMENT", message)
        self.jobs[name] = {**body, "name": name}
        return self._operate(name, "Job", self.jobs[name])

    def _answer_job(self, name: str, method: str, verb: str, body: dict[str, Any]) -> Answer:
        job = self.jobs.get(name)
        if job is None:
            return refuse(404, "NOT_FOUND", f"Resource '{name}' was not found.")
        match method, verb:
            case "POST", "run":
                execution = Execution(self, job, body.get("overrides") or {})
                self.executions[execution.name] = execution
                execution.start()
                return self._operate(name, "Execution", execution.describe(), is_done=False)
            case "DELETE", "":
                del self.jobs[name]
                return self._operate(name, "Job", job)
            case "GET", "":
                return 200, job
        return refuse(405, "UNIMPLEMENTED", f"{method} {verb}")

    def _answer_execution(self, name: str, method: str, verb: str, *, tasks: bool) -> Answer:
        execution = self.executions.get(name)
        # Executions are deleted with their job.
        if execution is None or execution.job["name"] not in self.jobs:
            return refuse(404, "NOT_FOUND", f"Resource '{name}' was not found.")
        if tasks:
            return 200, {"tasks": execution.list_tasks()}
        if (method, verb) == ("POST", "cancel"):
            if not execution.is_running:
                message = f"Execution '{name}' has already completed and cannot be cancelled."
                return refuse(400, "FAILED_PRECONDITION", message)
            execution.cancel()
            return self._operate(name, "Execution", execution.describe(), is_done=False)
        return 200, execution.describe()

    def _operate(
        self, name: str, kind: str, found: dict[str, Any], *, is_done: bool = True
    ) -> Answer:
        tagged = {"@type": f"type.googleapis.com/google.cloud.run.v2.{kind}", **found}
        where = "/".join(name.split("/")[:4])
        operation = {"name": f"{where}/operations/{uuid4()}", "metadata": tagged, "done": is_done}
        return 200, {**operation, "response": tagged} if is_done else operation

    def _list_entries(self, body: dict[str, Any]) -> Answer:
        text = body["filter"]
        named = re.search(r'labels\."run\.googleapis\.com/execution_name"="([^"]+)"', text)
        assert named is not None
        assert 'resource.type="cloud_run_job"' in text
        since = re.search(r'timestamp>="([^"]+)"', text)
        found = [
            entry
            for name, execution in self.executions.items()
            if name.rpartition("/")[2] == named[1]
            for entry in self._describe_lines(execution)
        ]
        found.sort(key=lambda entry: str(entry["timestamp"]))
        found = found[: len(found) - self.hidden_lines]
        if since:
            found = [entry for entry in found if entry["timestamp"] >= since[1]]
        start, size = int(body.get("pageToken") or 0), int(body.get("pageSize") or 50)
        answer: dict[str, Any] = {"entries": found[start : start + size]}
        if start + size < len(found):
            answer["nextPageToken"] = str(start + size)
        return 200, answer

    def _describe_lines(self, execution: Execution) -> Iterator[dict[str, Any]]:
        project, location, job, name = EXECUTION.fullmatch(execution.name).groups()  # type: ignore[union-attr]
        for task in execution.tasks:
            for attempt, container in enumerate(task.attempts):
                for number, line in enumerate(container.lines):
                    labels = {
                        "run.googleapis.com/execution_name": name,
                        "run.googleapis.com/task_index": str(task.index),
                        "run.googleapis.com/task_attempt": str(attempt),
                    }
                    yield {
                        "insertId": f"{name}-{task.index}-{attempt}-{number:09}",
                        "logName": f"projects/{project}/logs/run.googleapis.com%2F{line.stream}",
                        "resource": {
                            "type": "cloud_run_job",
                            "labels": {"job_name": job, "location": location},
                        },
                        "labels": labels,
                        "timestamp": format_time(line.at),
                        **_describe_payload(line.text),
                    }


def _describe_payload(text: str) -> dict[str, Any]:
    """Return a line as a text, or what its JSON says, as Cloud Logging takes it apart."""
    if text.startswith("{"):
        payload = json.loads(text)
        return {"severity": payload.pop("severity", "DEFAULT"), "jsonPayload": payload}
    return {"textPayload": text}


def _apply(template: dict[str, Any], overrides: dict[str, Any]) -> None:
    for change in overrides.get("containerOverrides", []):
        spec = template["template"]["containers"][0]
        if change.get("args") or change.get("clearArgs"):
            spec["args"] = change.get("args", [])
        env = {each["name"]: each for each in [*spec.get("env", []), *change.get("env", [])]}
        spec["env"] = [*env.values()]
    if overrides.get("taskCount"):
        template["taskCount"] = overrides["taskCount"]
    if overrides.get("timeout"):
        template["template"]["timeout"] = overrides["timeout"]


@contextmanager
def serve_cloud_run() -> Iterator[CloudRun]:
    """Answer in the place of Cloud Run and Cloud Logging on a free port."""
    with keep_containers() as containers:
        cloud = CloudRun(containers)

        class Run(Handler):
            def serve(self) -> None:
                body = json.loads(self.read_body() or b"{}")
                self.respond_json(*cloud.answer(self.command, self.path, body))

            do_GET = do_POST = do_DELETE = do_PATCH = serve

        with serve_web(Run) as server:
            cloud.url = server.url
            yield cloud
        for execution in cloud.executions.values():
            execution.was_cancelled = True
    for execution in cloud.executions.values():
        execution.join()
