"""Jobs of BigQuery with ids of our own: none runs twice, and each can be found again."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter, OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Generic, TypeVar, cast
from uuid import uuid4

from flowstone import record_measures
from flowstone.runtime import flow_run, task_run

if TYPE_CHECKING:
    from collections.abc import Callable

    import google.cloud.bigquery as bigquery
    from google.api_core.retry import Retry
    from google.cloud.bigquery.table import RowIterator

    from flowstone_gcp.logins import GcpLogin

    Job = bigquery.QueryJob | bigquery.LoadJob | bigquery.ExtractJob
    Config = bigquery.QueryJobConfig | bigquery.LoadJobConfig | bigquery.ExtractJobConfig

J = TypeVar("J", "bigquery.QueryJob", "bigquery.LoadJob", "bigquery.ExtractJob")
#: Seconds between two polls of a job that is not a query: the first pause, and the longest.
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0
#: Number of runs whose jobs are counted.
MOST_RUNS = 1000
#: The name of a job in "Already Exists: Job project:location.id".
_TAKEN = re.compile(r"Job [\w.:-]+:([\w-]+)\.[\w-]+")
_QUERY_ID = re.compile(r"(?P<project>.+):(?P<location>[\w-]*)\.(?P<job>[\w-]+)")


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """The run that a job belongs to, and its attempt."""

    id: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """A request that starts a job.

    Attributes:
        id: the id of the job.
        location: where the job runs; None if BigQuery derives it from the tables of a query.
        retry: the retry policy of google-api-core.
        timeout: seconds to connect, and to wait for a response.
        note: called before a request that may have arrived is sent again.
    """

    id: str
    location: str | None
    retry: Retry
    timeout: tuple[float, float]
    note: Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPlan(Generic[J]):
    """A job to be started.

    Attributes:
        kind: ``query``, ``load``, ``extract`` or ``copy``.
        config: its configuration, an object of google-cloud-bigquery.
        start: starts it.
        location: where it runs; None if BigQuery derives it from the tables of a query.
        digest: identifies the content that is sent with it.
    """

    kind: str
    config: Config
    start: Callable[[JobRequest], J]
    location: str | None
    digest: str = ""

    def make_fingerprint(self) -> str:
        """Return a digest of the work, the same in each attempt of a run."""
        config = self.config.to_api_repr()
        for changing in ("labels", "jobTimeoutMs"):
            config.pop(changing, None)
        text = json.dumps([self.kind, config, self.digest], sort_keys=True, default=str)
        return sha256(text.encode()).hexdigest()[:12]


@dataclass(slots=True, eq=False)
class ActiveJob:
    """The job that a connection waits for, if any; another thread may cancel it."""

    job: Job | None = None
    is_stopping: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)
    stopped: threading.Event = field(default_factory=threading.Event)

    def begin(self, job: Job) -> None:
        """Set the job, after its start."""
        with self.lock:
            self.job, self.is_stopping = job, False
            self.stopped.clear()

    def end(self) -> None:
        """Unset the job."""
        with self.lock:
            self.job = None

    def cancel(self) -> None:
        """Request BigQuery to cancel the job, once; do nothing if there is none."""
        with self.lock:
            job, asked = self.job, self.is_stopping
            self.is_stopping = job is not None
        if job is None or asked:
            return
        try:
            job.cancel(timeout=10)
        except Exception:
            with self.lock:
                self.is_stopping = False  # so that it can be requested again
            raise
        self.stopped.set()


class JobRunner:
    """Starts jobs and waits for them."""

    def __init__(self, client: bigquery.Client, login: GcpLogin, *, keeps: bool) -> None:
        """Create a runner.

        Args:
            client: the client of google-cloud-bigquery.
            login: the credentials of its requests.
            keeps: whether a query continues if its run is killed, so that a retry waits for it.
        """
        self._client, self._login, self._keeps = client, login, keeps

    def submit(self, plan: JobPlan[J]) -> J:
        """Start a job, or find the one that an earlier request or attempt started.

        A request whose response was lost is sent again with the same id, which BigQuery does not
        run twice. A load that an earlier attempt of the run completed is not repeated; a query is
        repeated, unless it is still running and `keeps` is set.
        """
        run, fingerprint = find_run(), plan.make_fingerprint()
        if run is None:
            return self._start(plan, f"flowstone_{uuid4().hex}")[0]
        number = _count(run, fingerprint)
        for attempt in range(run.attempt - 1, 0, -1):
            found = self._find(plan, _make_id(run.id, attempt, fingerprint, number))
            if found is not None and self._continues(found):
                return found
        while True:
            job, is_own = self._start(plan, _make_id(run.id, run.attempt, fingerprint, number))
            if is_own or self._continues(job):
                return job
            number = _count(run, fingerprint)  # it belongs to a process that was killed

    def read(self, job: bigquery.QueryJob, active: ActiveJob, page_size: int) -> RowIterator:
        """Wait for the end of a query, and return its rows, with the first page fetched.

        Raises:
            google.api_core.exceptions.GoogleAPICallError: it failed, or was cancelled.
        """
        active.begin(job)
        try:
            retry = self._login.retry()
            rows = job.result(page_size=page_size, retry=retry, job_retry=None)
            if job.num_dml_affected_rows is None and rows.total_rows:
                record_measures(rows_read=rows.total_rows)
            return rows
        finally:
            active.end()
            record_job_measures(job)

    def wait(self, job: bigquery.LoadJob | bigquery.ExtractJob, active: ActiveJob) -> None:
        """Wait for the end of a job that is not a query.

        Raises:
            google.api_core.exceptions.GoogleAPICallError: it failed, or was cancelled.
        """
        active.begin(job)
        try:
            self._wait_for_end(job, active)
            job.result(retry=self._login.retry())  # raises if it has failed
        finally:
            active.end()
            record_job_measures(job)

    def _wait_for_end(self, job: bigquery.LoadJob | bigquery.ExtractJob, active: ActiveJob) -> None:
        pause = FIRST_PAUSE
        while not job.done(retry=self._login.retry()):
            active.stopped.wait(pause)
            pause = FIRST_PAUSE if active.is_stopping else min(pause * 1.5, LONGEST_PAUSE)

    def cancel(self, query_id: str) -> None:
        """Cancel a job by its id, ``project:location.job``; ignore one that has ended."""
        from google.api_core.exceptions import NotFound  # an optional dependency

        found = _QUERY_ID.fullmatch(query_id)
        if found is None:
            return
        with suppress(NotFound):
            self._client.cancel_job(
                found["job"],
                project=found["project"],
                location=found["location"] or None,
                retry=self._login.retry(),
            )

    def _start(self, plan: JobPlan[J], job_id: str) -> tuple[J, bool]:
        """Start a job; return it, and whether this call has started it."""
        from google.api_core.exceptions import Conflict  # an optional dependency

        again: list[bool] = []  # one item for each request before the last

        def note() -> None:
            again.append(True)

        request = JobRequest(
            id=job_id,
            location=plan.location,
            retry=self._login.retry(note),
            timeout=self._login.timeout,
            note=note,
        )
        try:
            return plan.start(request), True
        except Conflict as error:
            taken = _TAKEN.search(str(error.message))
            if taken is None:  # the table exists, not the job
                raise
            location = plan.location or taken[1]
            job = self._client.get_job(job_id, location=location, retry=self._login.retry())
            return cast("J", job), bool(again)

    def _find(self, plan: JobPlan[J], job_id: str) -> J | None:
        """Return a job of an earlier attempt; None if there is none."""
        from google.api_core.exceptions import NotFound  # an optional dependency

        if plan.kind == "query" and not self._keeps:
            return None  # it was cancelled by its handle
        try:
            retry = self._login.retry()
            return cast("J", self._client.get_job(job_id, location=plan.location, retry=retry))
        except NotFound:
            return None

    def _continues(self, job: Job) -> bool:
        """Return whether a job that was started earlier is the one to wait for."""
        import google.cloud.bigquery as bigquery  # an optional dependency

        if job.state != "DONE" and isinstance(job, bigquery.QueryJob):
            return self._keeps
        if isinstance(job, bigquery.QueryJob):
            return False
        self._wait_for_end(job, ActiveJob())
        return job.error_result is None


def find_run() -> RunIdentity | None:
    """Return the current task run, or else the flow run; None outside of a run."""
    for run in (task_run, flow_run):
        if run.id is not None:
            return RunIdentity(run.id, max(1, run.run_count))
    return None


def make_query_id(job: Job) -> str:
    """Return the query id of a job: ``project:location.job``."""
    return f"{job.project}:{job.location or ''}.{job.job_id}"


def record_job_measures(job: Job) -> None:
    """Record the cost of a job as measures of the current run.

    The statistics are documented in https://cloud.google.com/bigquery/docs/reference/rest/v2/Job
    """
    found: dict[str, float | None] = {
        "bytes_processed": getattr(job, "total_bytes_processed", None),
        "bytes_billed": getattr(job, "total_bytes_billed", None),
        "slot_milliseconds": getattr(job, "slot_millis", None),
        "cache_hits": 1 if getattr(job, "cache_hit", None) else None,
        "rows_written": getattr(job, "num_dml_affected_rows", None),
    }
    if job.job_type == "load":
        found["rows_written"] = getattr(job, "output_rows", None)
        found["bytes_written"] = getattr(job, "output_bytes", None)
    if job.created and job.started:
        found["queue_seconds"] = (job.started - job.created).total_seconds()
    if job.started and job.ended:
        found["run_seconds"] = (job.ended - job.started).total_seconds()
    values = {name: value for name, value in found.items() if value is not None}
    if values:
        record_measures(values)


def _make_id(run_id: str, attempt: int, fingerprint: str, number: int) -> str:
    return f"flowstone_{run_id}_{attempt}_{fingerprint}_{number}"


def forget_counts() -> None:
    """Reset the counts of jobs, as in a new process."""
    with _counting:
        _counts.clear()


_counts: OrderedDict[RunIdentity, Counter[str]] = OrderedDict()
_counting = threading.Lock()


def _count(run: RunIdentity, fingerprint: str) -> int:
    """Return how often this work was started in this attempt of a run, including this time."""
    with _counting:
        counter = _counts.setdefault(run, Counter())
        _counts.move_to_end(run)
        if len(_counts) > MOST_RUNS:
            _counts.popitem(last=False)
        counter[fingerprint] += 1
        return counter[fingerprint]
