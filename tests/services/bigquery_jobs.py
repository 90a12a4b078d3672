"""Jobs of BigQuery as Google documents them, in front of an emulator that runs each at once.

What the emulator lacks is added here; all else goes through to it:

* an id is taken once, and then refused with 409:
  https://cloud.google.com/bigquery/docs/running-jobs#generate-jobid and
  https://cloud.google.com/bigquery/docs/error-messages (``duplicate``)
* a job has the location that it was asked for, or that of its dataset, and is found only there:
  https://cloud.google.com/bigquery/docs/reference/rest/v2/jobs/get
* a query that is held is ``RUNNING``, until it is released or cancelled:
  https://cloud.google.com/bigquery/docs/reference/rest/v2/jobs/cancel and
  https://cloud.google.com/bigquery/docs/reference/rest/v2/jobs/getQueryResults (``jobComplete``)
* the statistics that a test has scripted:
  https://cloud.google.com/bigquery/docs/reference/rest/v2/Job#jobstatistics
"""

from __future__ import annotations

import json
import re
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from tests.services.web import Handler, Response, forward, serve_web

if TYPE_CHECKING:
    from collections.abc import Iterator

JOBS = re.compile(r"(?:/upload)?/bigquery/v2/projects/(?P<project>[^/]+)/jobs(?:/(?P<id>[^/?]+))?")
RESULTS = re.compile(r"/bigquery/v2/projects/[^/]+/queries/(?P<id>[^/?]+)")
#: In the text of a query that is held: it would run for hours.
HELD = "GENERATE_ARRAY(1, 1000000)"
#: What BigQuery says of a job that was cancelled.
STOPPED = {
    "reason": "stopped",
    "message": "Job execution was cancelled: User requested cancellation",
}
JSON = {"Content-Type": "application/json"}
#: Headers of one connection, and those that this endpoint writes itself.
OWN = {"connection", "transfer-encoding", "content-length", "keep-alive", "date", "server"}


class Jobs:
    """What the endpoint does, and what it has seen.

    Attributes:
        url: its address.
        emulator: that of the emulator.
        statistics: fields of ``statistics``, and under ``query`` or ``load`` more, for new jobs.
        failure: an ``errorResult`` that the next job ends with, in place of running.
        row_errors: the ``insertErrors`` that the next rows are refused with, as in
            https://cloud.google.com/bigquery/docs/reference/rest/v2/tabledata/insertAll
        lose: how many answers to new jobs are lost, after the job was started.
        location: of the datasets.
        known: the jobs, by id, as resources.
        started: the ids of jobs that were run, in order.
        refused: the ids that were refused, as they were taken.
        cancelled: the ids that were asked to be cancelled.
        waits: how often somebody waited for a job that had not ended.
    """

    def __init__(self, emulator: str) -> None:
        self.url, self.emulator = "", emulator
        self.statistics: dict[str, Any] = {}
        self.failure: dict[str, str] | None = None
        self.row_errors: list[dict[str, Any]] = []
        self.lose = 0
        self.location = "US"
        self.known: dict[str, dict[str, Any]] = {}
        self.started: list[str] = []
        self.refused: list[str] = []
        self.cancelled: list[str] = []
        self.waits = 0
        self.changed = threading.Condition()

    def configuration(self, job_id: str) -> dict[str, Any]:
        """Return the configuration that a job was started with."""
        found: dict[str, Any] = self.known[job_id]["configuration"]
        return found

    def begin(self, project: str, body: dict[str, Any]) -> dict[str, Any] | None:
        """Take a new job; None where its id is taken."""
        reference = body.get("jobReference", {})
        job_id = reference.get("jobId", "")
        with self.changed:
            if job_id in self.known:
                self.refused.append(job_id)
                return None
            self.started.append(job_id)
            location = reference.get("location") or self.location
            made = {"projectId": project, "jobId": job_id, "location": location}
            self.known[job_id] = {
                "kind": "bigquery#job",
                "id": f"{project}:{location}.{job_id}",
                "jobReference": made,
                "configuration": body.get("configuration", {}),
                "status": {"state": "RUNNING"},
                "statistics": {"creationTime": "1700000000000", "startTime": "1700000001500"},
            }
            return self.known[job_id]

    def finish(self, job_id: str, found: dict[str, Any]) -> None:
        """Take what the emulator says of a job."""
        with self.changed:
            job = self.known[job_id]
            for name in ("status", "configuration"):
                job[name] = found.get(name, job[name])
            job["statistics"] = merge(found.get("statistics", {}), self.statistics)
            self.changed.notify_all()

    def end(self, job_id: str, error: dict[str, str]) -> None:
        """End a job with an error, unless it has ended."""
        with self.changed:
            status = self.known[job_id]["status"]
            if status["state"] != "DONE":
                status |= {"state": "DONE", "errorResult": error, "errors": [error]}
                self.known[job_id]["statistics"] |= {"endTime": "1700000003500"}
            self.changed.notify_all()

    def release(self, job_id: str, statement: str) -> None:
        """Let a query that is held end with the rows of a statement."""
        job = self.known[job_id]
        body = {
            "jobReference": job["jobReference"],
            "configuration": {"query": {"query": statement, "useLegacySql": False}},
        }
        path = f"/bigquery/v2/projects/{job['jobReference']['projectId']}/jobs"
        host = urlsplit(self.emulator).netloc
        _, _, answer = forward(host, "POST", path, JSON, body=json.dumps(body).encode())
        self.finish(job_id, json.loads(answer))

    def is_open(self, job_id: str) -> bool:
        """Return whether a job has not ended, or ended with an error of this endpoint."""
        status = self.known.get(job_id, {}).get("status", {"state": "DONE"})
        return status["state"] != "DONE" or "errorResult" in status

    def is_held(self, job_id: str) -> bool:
        """Return whether a job is a query that is held."""
        query = self.known[job_id]["configuration"].get("query", {}).get("query", "")
        return HELD in query


def merge(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Return a dict with the items of both, also in dicts that both have."""
    made = dict(one)
    for name, value in other.items():
        inner = made.get(name)
        made[name] = merge(inner, value) if isinstance(inner, dict) else value
    return made


class Gate(Handler):
    """Answers for jobs, and hands on all else."""

    jobs: ClassVar[Jobs]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        found = JOBS.fullmatch(path)
        if found and found["id"]:
            self.answer_job(found["id"])
            return
        found = RESULTS.fullmatch(path)
        if found and self.jobs.is_open(found["id"]):
            self.wait_for(found["id"])
            return
        self.hand_on()

    def do_POST(self) -> None:
        path = urlsplit(self.path).path
        body = self.read_body()
        if path.endswith("/insertAll") and self.jobs.row_errors:
            errors, self.jobs.row_errors = self.jobs.row_errors, []
            kind = "bigquery#tableDataInsertAllResponse"
            self.respond_json(200, {"kind": kind, "insertErrors": errors})
            return
        if path.endswith("/cancel"):
            self.cancel(path.removesuffix("/cancel").rpartition("/")[2])
            return
        found = JOBS.fullmatch(path)
        asked = None if found is None or found["id"] else read_job(body)
        if found is None or asked is None or asked.get("configuration", {}).get("dryRun"):
            self.hand_on(body)
            return
        job = self.jobs.begin(found["project"], asked)
        if job is None:
            name = asked["jobReference"]["jobId"]
            where = self.jobs.known[name]["id"]
            self.respond_error(409, "duplicate", f"Already Exists: Job {where}")
            return
        self.run(job, body)

    do_PUT = do_PATCH = do_DELETE = do_GET

    def run(self, job: dict[str, Any], body: bytes) -> None:
        jobs, job_id = self.jobs, job["jobReference"]["jobId"]
        if jobs.failure is not None:
            failure, jobs.failure = jobs.failure, None
            jobs.end(job_id, failure)
        elif not jobs.is_held(job_id):
            status, _, answer = self.ask_emulator(body)
            if status >= 400:
                jobs.known.pop(job_id)
                self.respond_json(status, json.loads(answer))
                return
            jobs.finish(job_id, json.loads(answer))
        if jobs.lose:
            jobs.lose -= 1
            self.close_connection = True
            return
        self.respond_json(200, job)

    def answer_job(self, job_id: str) -> None:
        job = self.jobs.known.get(job_id)
        asked = parse_qs(urlsplit(self.path).query).get("location", ["US"])[0]
        if job is None or job["jobReference"]["location"] != asked:
            self.respond_error(404, "notFound", f"Not found: Job {job_id}")
            return
        self.respond_json(200, job)

    def cancel(self, job_id: str) -> None:
        self.jobs.cancelled.append(job_id)
        if job_id not in self.jobs.known:
            self.respond_error(404, "notFound", f"Not found: Job {job_id}")
            return
        self.jobs.end(job_id, STOPPED)
        job = self.jobs.known[job_id]
        self.respond_json(200, {"kind": "bigquery#jobCancelResponse", "job": job})

    def wait_for(self, job_id: str) -> None:
        jobs = self.jobs
        with jobs.changed:
            jobs.waits += 1
            jobs.changed.wait_for(lambda: jobs.known[job_id]["status"]["state"] == "DONE", 1)
        reference = jobs.known[job_id]["jobReference"]
        self.respond_json(200, {"jobReference": reference, "jobComplete": False})

    def hand_on(self, body: bytes | None = None) -> None:
        if body is None:
            body = self.read_body()
        status, headers, answer = self.ask_emulator(body)
        kept = {name: value for name, value in headers if name.lower() not in OWN}
        self.respond(status, answer, kept)

    def ask_emulator(self, body: bytes) -> Response:
        host = urlsplit(self.jobs.emulator).netloc
        return forward(host, self.command, self.path, dict(self.headers), body=body)

    def respond_error(self, status: int, reason: str, message: str) -> None:
        error = {
            "code": status,
            "message": message,
            "errors": [{"reason": reason, "message": message}],
        }
        self.respond_json(status, {"error": error})


def read_job(body: bytes) -> dict[str, Any] | None:
    """Return the job of a request: its JSON, or the first part of an upload."""
    start = body.find(b"{")
    if start < 0:
        return None
    found, _ = json.JSONDecoder().raw_decode(body[start:].decode("utf-8", "replace"))
    return found if isinstance(found, dict) else None


@contextmanager
def serve_jobs(emulator: str) -> Iterator[Jobs]:
    """Answer in front of an emulator; held queries are cancelled in the end."""
    jobs = Jobs(emulator)
    with serve_web(type("JobsGate", (Gate,), {"jobs": jobs})) as server:
        jobs.url = server.url
        yield jobs
        for job_id in list(jobs.known):
            jobs.end(job_id, STOPPED)
