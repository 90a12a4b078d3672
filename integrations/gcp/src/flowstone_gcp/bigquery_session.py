"""A session of BigQuery: statements and other jobs, with the settings of a warehouse."""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from flowstone import seconds_left
from flowstone_gcp.bigquery_jobs import (
    ActiveJob,
    JobPlan,
    JobRequest,
    JobRunner,
    make_query_id,
)
from flowstone_gcp.bigquery_places import BigQueryPlaces, BigQuerySettings
from flowstone_gcp.bigquery_values import inline_nulls, make_parameter
from flowstone_gcp.labels import make_labels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    import google.cloud.bigquery as bigquery
    from google.cloud.bigquery.table import RowIterator

    from flowstone_gcp.logins import GcpLogin

L = TypeVar("L", "bigquery.LoadJob", "bigquery.ExtractJob")
Config = TypeVar(
    "Config", "bigquery.QueryJobConfig", "bigquery.LoadJobConfig", "bigquery.ExtractJobConfig"
)
#: Seconds after the deadline of its run when BigQuery stops a job itself.
GRACE = 10


@dataclass(slots=True, eq=False)
class BigQueryConnection:
    """A client of BigQuery, and the job that is being waited for."""

    client: bigquery.Client
    active: ActiveJob = field(default_factory=ActiveJob)


class BigQuerySession:
    """Runs jobs, each with the labels of the run and the limits of the warehouse."""

    def __init__(
        self,
        login: GcpLogin,
        settings: BigQuerySettings,
        where: str,
        record: Callable[[str], AbstractContextManager[None]],
    ) -> None:
        """Create a session, without a request.

        Args:
            login: the credentials.
            settings: the settings of the warehouse.
            where: the warehouse, for messages.
            record: a context manager that records a job by its id while it is waited for.
        """
        self.login, self.settings, self.where = login, settings, where
        self._record = record
        self._client: bigquery.Client | None = None
        self._places: BigQueryPlaces | None = None

    @property
    def client(self) -> bigquery.Client:
        """The client, which all connections share."""
        if self._client is None:
            settings = self.settings
            given = {"project": settings.project, "endpoint": settings.endpoint}
            self._client = self.login.client("bigquery", **given)
        return self._client

    @property
    def places(self) -> BigQueryPlaces:
        """The lookup of datasets and tables."""
        if self._places is None:
            self._places = BigQueryPlaces(self.client, self.login, self.settings, self.where)
        return self._places

    @property
    def runner(self) -> JobRunner:
        """The runner of jobs."""
        return JobRunner(self.client, self.login, keeps=not self.settings.cancel_on_kill)

    def run_query(
        self,
        connection: BigQueryConnection,
        statement: str,
        values: Sequence[object] = (),
        *,
        config: bigquery.QueryJobConfig | None = None,
        page_size: int | None = None,
    ) -> tuple[bigquery.QueryJob, RowIterator]:
        """Run a statement as a job; return the job and its `RowIterator`.

        Args:
            connection: the connection.
            statement: the statement.
            values: the values of its parameters.
            config: a `QueryJobConfig` with further settings; it is not changed.
            page_size: number of rows per page over REST; by default the block's.
        """
        runner = self.runner
        job = runner.submit(self.plan_query(statement, values, config))
        size = page_size or self.settings.fetch_size
        with self._record(make_query_id(job)):
            return job, runner.read(job, connection.active, size)

    def plan_query(
        self,
        statement: str,
        values: Sequence[object] = (),
        config: bigquery.QueryJobConfig | None = None,
    ) -> JobPlan[bigquery.QueryJob]:
        """Return the plan of the job for a statement; see `run_query`."""
        text, bound = inline_nulls(str(statement), values)
        made, client = self.make_query_config(bound, config), self.client

        def start(request: JobRequest) -> bigquery.QueryJob:
            return client.query(
                text,
                job_config=made,
                job_id=request.id,
                location=request.location,
                retry=request.retry,
                job_retry=None,
            )

        location = self.places.find_location()
        return JobPlan(kind="query", config=made, start=start, location=location, digest=text)

    def run_job(self, connection: BigQueryConnection, plan: JobPlan[L]) -> L:
        """Start a job that is not a query, record its handle, and wait for it."""
        runner = self.runner
        job = runner.submit(plan)
        with self._record(make_query_id(job)):
            runner.wait(job, connection.active)
        return job

    def dry_run(
        self,
        connection: BigQueryConnection,
        statement: str,
        values: Sequence[object],
        config: bigquery.QueryJobConfig | None = None,
    ) -> int:
        """Return the number of bytes that a statement would read, without running it."""
        text, bound = inline_nulls(str(statement), values)
        made = self.make_query_config(bound, config)
        made.dry_run, made.use_query_cache = True, False
        location, retry = self.places.find_location(), self.login.retry()
        job = connection.client.query(
            text, job_config=made, location=location, retry=retry, job_retry=None
        )
        return int(job.total_bytes_processed or 0)

    def make_query_config(
        self, values: Sequence[object] = (), config: bigquery.QueryJobConfig | None = None
    ) -> bigquery.QueryJobConfig:
        """Return the configuration of a query: the given one, with the block's settings."""
        from google.cloud.bigquery import QueryJobConfig  # an optional dependency

        made = QueryJobConfig() if config is None else deepcopy(config)
        settings = self.settings
        if settings.dataset and made.default_dataset is None:
            made.default_dataset = self.places.find_dataset()
        if settings.maximum_bytes_billed is not None and made.maximum_bytes_billed is None:
            made.maximum_bytes_billed = settings.maximum_bytes_billed
        if made.use_query_cache is None:
            made.use_query_cache = settings.use_query_cache
        if made.priority is None:
            made.priority = settings.priority
        if values:
            made.query_parameters = [make_parameter(value) for value in values]
        return self.complete(made)

    def complete(self, config: Config) -> Config:
        """Add the labels of the run and its remaining time to a job's configuration."""
        config.labels = {**make_labels(self.settings.labels), **config.labels}
        left = seconds_left()
        if left is not None and config.job_timeout_ms is None:
            config.job_timeout_ms = math.ceil((left + GRACE) * 1000)
        return config
