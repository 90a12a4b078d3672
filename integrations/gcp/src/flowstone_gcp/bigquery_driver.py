"""The driver of BigQuery: statements as jobs, rows and tables in and out."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from secrets import token_hex
from typing import IO, TYPE_CHECKING, ParamSpec, TypeVar

from flowstone.blocks.databases import ArrowDriver, AwareDatetime, SqlSyntax, StoreDriver
from flowstone.context.deadlines import seconds_left
from flowstone.errors import QueryInvalid, RowsInvalid
from flowstone_gcp.bigquery_errors import translate
from flowstone_gcp.bigquery_jobs import (
    ActiveJob,
    JobPlan,
    JobRequest,
    JobRunner,
    make_labels,
    make_query_id,
)
from flowstone_gcp.bigquery_loads import (
    PARQUET,
    TableLayout,
    plan_extract,
    plan_file_load,
    plan_uri_load,
    write_rows,
)
from flowstone_gcp.bigquery_places import BigQueryPlaces, BigQuerySettings, quote_name
from flowstone_gcp.bigquery_storage import open_batches
from flowstone_gcp.bigquery_values import fit_table, make_arrow, make_fields, make_parameter

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa
    from google.cloud import bigquery
    from google.cloud.bigquery.table import RowIterator

    from flowstone.blocks.databases import Cursor, Row
    from flowstone.errors import DatabaseError
    from flowstone.records.access import StoreAccess
    from flowstone_gcp.logins import GcpLogin

P = ParamSpec("P")
T = TypeVar("T")
L = TypeVar("L", "bigquery.LoadJob", "bigquery.ExtractJob")
Config = TypeVar(
    "Config", "bigquery.QueryJobConfig", "bigquery.LoadJobConfig", "bigquery.ExtractJobConfig"
)
#: What comments a statement begins with.
_COMMENTS = re.compile(r"\A(?:\s+|--[^\n]*|#[^\n]*|/\*.*?\*/)+", re.DOTALL)
#: What a statement begins with that has to do with those before or after it.
_WHOLE = re.compile(
    r"(?:DECLARE|SET|IF|LOOP|WHILE|REPEAT|FOR|BREAK|LEAVE|CONTINUE|ITERATE|RAISE|RETURN|COMMIT"
    r"|ROLLBACK|BEGIN|CREATE\s+(?:OR\s+REPLACE\s+)?TEMP(?:ORARY)?)\b",
    re.IGNORECASE,
)
#: A job is stopped by BigQuery so many seconds after its run should have stopped it.
GRACE = 10
#: A table for staging is dropped by BigQuery after this, if its process was killed.
STAGED = timedelta(hours=6)


class Script(str):
    """A statement that may be several, which BigQuery runs as one job."""

    __slots__ = ()


@dataclass(slots=True, eq=False)
class BigQueryConnection:
    """A client of BigQuery, and the job that is waited for."""

    client: bigquery.Client
    active: ActiveJob = field(default_factory=ActiveJob)


class BigQueryDriver(ArrowDriver[BigQueryConnection], StoreDriver[BigQueryConnection]):
    """BigQuery, by google-cloud-bigquery and its Storage API."""

    placeholder_style = "qmark"
    transactions = False
    savepoints = False
    cancels_by_id = True
    syntax = SqlSyntax(
        backslash_escapes=True,
        triple_quotes=True,
        dollar_quotes=False,
        hash_comments=True,
        blocks=True,
    )
    column_types: Mapping[type, str] = {
        bool: "BOOL", int: "INT64", float: "FLOAT64", str: "STRING", bytes: "BYTES",
        Decimal: "NUMERIC", AwareDatetime: "TIMESTAMP", datetime: "DATETIME", date: "DATE",
        list: "JSON", dict: "JSON",
    }  # fmt: skip

    def __init__(self, login: GcpLogin, settings: BigQuerySettings) -> None:
        place = ".".join(filter(None, (settings.project or login.usual_project, settings.dataset)))
        super().__init__(f"BigQuery {place}".strip())
        self.login, self.settings = login, settings
        self.records_queries = settings.cancel_on_kill
        self._client: bigquery.Client | None = None
        self._places: BigQueryPlaces | None = None

    # -- connections -----------------------------------------------------------------------------

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
        """Where datasets and tables are."""
        if self._places is None:
            self._places = BigQueryPlaces(self.client, self.login, self.settings, self.where)
        return self._places

    @property
    def runner(self) -> JobRunner:
        """What starts jobs and waits for them."""
        keeps = not self.settings.cancel_on_kill
        return JobRunner(self.client, self.login, keeps=keeps)

    def connect(self) -> BigQueryConnection:
        """Check the login, and return a connection with the shared client."""
        self.login.ensure_token()
        return BigQueryConnection(self.client)

    def disconnect(self, connection: BigQueryConnection) -> None:
        """Do nothing: a connection has no socket of its own."""

    def interrupt(self, connection: BigQueryConnection) -> None:
        """Cancel the job that the connection waits for."""
        connection.active.cancel()

    def cancel_by_id(self, query_id: str) -> None:
        """Cancel a job by its id, ``project:location.job``; one that has ended is left alone."""
        self.runner.cancel(query_id)

    def translate_error(self, error: Exception, statement: str | None) -> DatabaseError | None:
        """Return our error for one of Google's; None for anybody else's."""
        return translate(self.where, error, statement)

    # -- statements ------------------------------------------------------------------------------

    def split_script(self, script: str) -> list[str]:
        """Return the statements of a script.

        One with variables, control flow, temporary tables or a transaction is one statement, which
        BigQuery runs as one job.
        """
        statements = super().split_script(script)
        is_whole = any(_WHOLE.match(_COMMENTS.sub("", each)) for each in statements)
        return [Script(script)] if is_whole and len(statements) > 1 else statements

    def execute(
        self, connection: BigQueryConnection, operation: str, values: Sequence[object]
    ) -> int:
        """Run one statement, and return how many rows it changed; 0 where that says nothing."""
        job, _ = self.run_query(connection, operation, values)
        return int(job.num_dml_affected_rows or 0)

    def query(
        self, connection: BigQueryConnection, operation: str, values: Sequence[object]
    ) -> Cursor:
        """Run one statement, and return its rows, which are fetched page by page."""
        _, rows = self.run_query(connection, operation, values)
        return BigQueryCursor(rows)

    def run_query(
        self,
        connection: BigQueryConnection,
        operation: str,
        values: Sequence[object],
        *,
        config: bigquery.QueryJobConfig | None = None,
        page_size: int | None = None,
    ) -> tuple[bigquery.QueryJob, RowIterator]:
        """Run a statement as a job; return the job, and its rows as google-cloud-bigquery has them.

        Args:
            connection: where.
            operation: the statement.
            values: of its parameters.
            config: a `QueryJobConfig` with more; it is not changed.
            page_size: rows of a page over REST; by default the block's.
        """
        self._check_single(operation)
        runner = self.runner
        job = runner.submit(self.plan_query(connection, operation, values, config))
        size = page_size or self.settings.fetch_size
        with self.record_query(make_query_id(job)):
            return job, runner.read(job, connection.active, size)

    def plan_query(
        self,
        connection: BigQueryConnection,
        operation: str,
        values: Sequence[object] = (),
        config: bigquery.QueryJobConfig | None = None,
    ) -> JobPlan[bigquery.QueryJob]:
        """Return the plan of the job of a statement; see `run_query`."""
        made, statement = self.make_query_config(values, config), str(operation)

        def start(request: JobRequest) -> bigquery.QueryJob:
            return connection.client.query(
                statement,
                job_config=made,
                job_id=request.id,
                location=request.location,
                retry=request.retry,
                job_retry=None,
            )

        location = self.places.find_location()
        return JobPlan(kind="query", config=made, start=start, location=location, digest=statement)

    def run_job(self, connection: BigQueryConnection, plan: JobPlan[L]) -> L:
        """Start a job that is no query, and wait for it; its handle is recorded in between."""
        runner = self.runner
        job = runner.submit(plan)
        with self.record_query(make_query_id(job)):
            runner.wait(job, connection.active)
        return job

    def make_query_config(
        self, values: Sequence[object] = (), config: bigquery.QueryJobConfig | None = None
    ) -> bigquery.QueryJobConfig:
        """Return the configuration of a query: the block's settings, and what is given."""
        from google.cloud import bigquery  # an optional dependency

        made = bigquery.QueryJobConfig() if config is None else deepcopy(config)
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
        """Add the labels of the run to a job's configuration, and the time that it has left."""
        config.labels = {**make_labels(self.settings.labels), **config.labels}
        left = seconds_left()
        if left is not None and config.job_timeout_ms is None:
            config.job_timeout_ms = math.ceil((left + GRACE) * 1000)
        return config

    def _check_single(self, operation: str) -> None:
        if isinstance(operation, Script):
            return
        count = len(super().split_script(operation))
        if count > 1:
            problem = f"it has {count} statements, and one at a time is run"
            raise QueryInvalid(self.where, problem, "Use `execute_script` for all.", operation)

    # -- tables in and out -----------------------------------------------------------------------

    def quote_name(self, name: str) -> str:
        """Return a name as it stands in a statement, whatever is in it."""
        return quote_name(name)

    def create_table(
        self, connection: BigQueryConnection, table: str, columns: Mapping[str, type]
    ) -> None:
        """Make a table for values of these types, if there is none of that name."""
        from google.cloud import bigquery  # an optional dependency

        types = self.column_types
        fields = [
            bigquery.SchemaField(name, types.get(kind, types[str]))
            for name, kind in columns.items()
        ]
        made = bigquery.Table(self.places.find_table(table), schema=fields)
        made.labels = {}
        connection.client.create_table(made, exists_ok=True, retry=self.login.retry())

    def open_arrow(
        self,
        connection: BigQueryConnection,
        operation: str,
        values: Sequence[object],
        batch_rows: int,
    ) -> pa.RecordBatchReader:
        """Run one statement, and return a reader of its rows by the Storage Read API.

        Where a result can't be read by it, as of an emulator, or without the role
        roles/bigquery.readSessionUser, the rows come over REST.
        """
        job, rows = self.run_query(connection, operation, values, page_size=batch_rows)
        retry = self.login.retry()
        again = partial(job.result, page_size=batch_rows, retry=retry, job_retry=None)
        return open_batches(rows, again, self.login, self.settings.storage_endpoint)

    def insert(
        self,
        connection: BigQueryConnection,
        table: str,
        columns: Sequence[str],
        rows: Sequence[Row],
    ) -> None:
        """Add rows to a table by a load job, all or none."""
        target = self.places.find_table(table)
        fields = self.places.fetch_schema(target)
        self._load(connection, target, self._fit(table, make_arrow, fields, columns, rows), fields)

    def insert_arrow(self, connection: BigQueryConnection, table: str, data: pa.Table) -> None:
        """Add the rows of a table of Arrow by a load job, all or none."""
        target = self.places.find_table(table)
        fields = self.places.fetch_schema(target)
        self._load(connection, target, data, fields)

    def load_table(
        self, connection: BigQueryConnection, table: str, data: pa.Table, layout: TableLayout
    ) -> None:
        """Write the rows of a table of Arrow by one load job, which may make the table."""
        target = self.places.find_table(table)
        fields = layout.schema
        if fields is None:
            fields = self._fit(table, make_fields, data.schema)
        self._load(connection, target, data, fields, layout)

    def _load(
        self,
        connection: BigQueryConnection,
        target: bigquery.TableReference,
        data: pa.Table,
        fields: Sequence[bigquery.SchemaField],
        layout: TableLayout | None = None,
    ) -> None:
        from google.cloud.bigquery import LoadJobConfig  # an optional dependency

        data = self._fit(target.table_id, fit_table, data, fields)
        known = {each.name.casefold(): each for each in fields}
        extra = [name for name in data.schema.names if name.casefold() not in known]
        if extra:
            problem = f"into {target.table_id!r}: the table has no column {', '.join(extra)}"
            remedy = "Leave it out, or add it to the table; nothing was added."
            raise RowsInvalid(self.where, problem, remedy)
        used = [known[name.casefold()] for name in data.schema.names]
        config = (layout or TableLayout(create=False)).apply(LoadJobConfig())
        with write_rows(data, used, self.complete(config)) as (file, made):
            location = self.places.find_location(target)
            plan = plan_file_load(connection.client, target, file, made, location)
            self.run_job(connection, plan)

    def _fit(self, table: str, make: Callable[P, T], *given: P.args, **more: P.kwargs) -> T:
        try:
            return make(*given, **more)
        except ValueError as error:
            problem = str(error)
        remedy = "Mend the rows or the schema; nothing was added."
        raise RowsInvalid(self.where, f"into {table}: {problem}", remedy)

    # -- rows that replace others ----------------------------------------------------------------

    def stage(self, connection: BigQueryConnection, table: str) -> str:
        """Make an empty table like another, in its dataset, which BigQuery drops by itself."""
        from google.cloud import bigquery  # an optional dependency

        target = self.places.find_table(table)
        name = f"flowstone_{token_hex(8)}"
        dataset = self.places.find_dataset(f"{target.project}.{target.dataset_id}")
        fields = [_relax(each) for each in self.places.fetch_schema(target)]
        made = bigquery.Table(bigquery.TableReference(dataset, name), schema=fields)
        made.expires = datetime.now(UTC) + STAGED
        connection.client.create_table(made, retry=self.login.retry())
        parts = (target.project, target.dataset_id, name)
        return ".".join(map(self.quote_name, parts))

    def unstage(self, connection: BigQueryConnection, staged: str) -> None:
        """Drop a table that `stage` made."""
        table = self.places.find_table(staged)
        connection.client.delete_table(table, not_found_ok=True, retry=self.login.retry())

    def create_key(self, connection: BigQueryConnection, table: str, keys: Sequence[str]) -> None:
        """Do nothing: MERGE needs no index."""

    def merge(
        self,
        connection: BigQueryConnection,
        table: str,
        staged: str,
        columns: Sequence[str],
        keys: Sequence[str],
    ) -> None:
        """Insert the rows of a table into another by MERGE, and update those whose key is there."""
        quoted = [self.quote_name(name) for name in columns]
        on = " AND ".join(f"target.{name} = source.{name}" for name in map(self.quote_name, keys))
        others = [self.quote_name(name) for name in columns if name not in keys]
        changes = ", ".join(f"{name} = source.{name}" for name in others)
        update = f"WHEN MATCHED THEN UPDATE SET {changes} " if others else ""
        names = ", ".join(quoted)
        values = ", ".join(f"source.{name}" for name in quoted)
        parts = [
            *("MERGE", table, "AS target USING", staged, "AS source ON", on, update),
            *("WHEN NOT MATCHED THEN INSERT", f"({names})", "VALUES", f"({values})"),
        ]
        statement = " ".join(parts)
        self.execute(connection, statement, ())

    # -- Cloud Storage ---------------------------------------------------------------------------

    def copy_from(
        self,
        connection: BigQueryConnection,
        table: str,
        access: StoreAccess,
        paths: Sequence[str],
    ) -> int | None:
        """Load Parquet files of Cloud Storage by one job; None for any other store."""
        if access.scheme != "gs":
            return None
        layout = TableLayout(create=False)
        uris = [make_uri(access, path) for path in paths]
        target = self.places.find_table(table)
        before = layout.apply(self.make_load_config(PARQUET))
        job = self.load_uris(connection, target, uris, before)
        return int(job.output_rows or 0)

    def make_load_config(
        self, source_format: str | None, config: bigquery.LoadJobConfig | None = None
    ) -> bigquery.LoadJobConfig:
        """Return the configuration of a load job: what is given, and the block's settings."""
        from google.cloud.bigquery import LoadJobConfig, ParquetOptions

        made = LoadJobConfig() if config is None else deepcopy(config)
        if source_format is not None and made.source_format is None:
            made.source_format = source_format
        if made.source_format == PARQUET and made.parquet_options is None:
            made.parquet_options = ParquetOptions()
            made.parquet_options.enable_list_inference = True
        return self.complete(made)

    def load_uris(
        self,
        connection: BigQueryConnection,
        target: bigquery.TableReference,
        uris: Sequence[str],
        config: bigquery.LoadJobConfig,
    ) -> bigquery.LoadJob:
        """Load objects of Cloud Storage by one job, and return the job."""
        location = self.places.find_location(target)
        plan = plan_uri_load(connection.client, target, uris, config, location)
        return self.run_job(connection, plan)

    def load_file(
        self,
        connection: BigQueryConnection,
        target: bigquery.TableReference,
        file: IO[bytes],
        config: bigquery.LoadJobConfig,
    ) -> bigquery.LoadJob:
        """Load a file of this process by one job, and return the job."""
        location = self.places.find_location(target)
        plan = plan_file_load(connection.client, target, file, config, location)
        return self.run_job(connection, plan)

    def extract(
        self,
        connection: BigQueryConnection,
        table: str,
        uris: Sequence[str],
        config: bigquery.ExtractJobConfig,
    ) -> bigquery.ExtractJob:
        """Write a table to objects of Cloud Storage by one job, and return the job."""
        source = self.places.find_table(table)
        location = self.places.find_location(source)
        plan = plan_extract(connection.client, source, uris, self.complete(config), location)
        return self.run_job(connection, plan)

    def unload_to(
        self,
        connection: BigQueryConnection,
        operation: str,
        values: Sequence[object],
        access: StoreAccess,
        folder: str,
    ) -> list[str] | None:
        """Write the rows of a query to Parquet files of Cloud Storage; None for any other store."""
        if access.scheme != "gs":
            return None
        name = f"{folder.strip('/')}/part-*.parquet".lstrip("/")
        uri = make_uri(access, name).replace("\\", "\\\\").replace("'", "\\'")
        options = f"uri='{uri}', format='PARQUET', overwrite=false"
        statement = f"EXPORT DATA OPTIONS({options}) AS\n{operation}"
        job, _ = self.run_query(connection, statement, values)
        return [name.replace("*", f"{number:012}") for number in range(count_files(job))]


class BigQueryCursor:
    """The rows of a query, a page of which is in memory."""

    def __init__(self, rows: RowIterator) -> None:
        self.description = [(each.name,) for each in rows.schema or ()] or None
        self._rows = iter(rows)

    def fetchmany(self, size: int, /) -> list[Row]:
        """Return so many rows, or what is left of them."""
        found = []
        for row in self._rows:
            found.append(row.values())
            if len(found) == size:
                break
        return found

    def close(self) -> None:
        """Forget what is left."""
        self._rows = iter(())


def make_uri(access: StoreAccess, path: str) -> str:
    """Return the address of an object of Cloud Storage."""
    return "/".join(filter(None, ("gs:/", access.bucket, access.folder, path)))


def count_files(job: bigquery.QueryJob) -> int:
    """Return how many files a query with EXPORT DATA has written."""
    statistics = job._properties["statistics"]["query"]  # noqa: SLF001 - the client has no name for it
    return int(statistics.get("exportDataStatistics", {}).get("fileCount", 0))


def _relax(found: bigquery.SchemaField) -> bigquery.SchemaField:
    """Return a field that takes NULL, as a staged table may lack a column."""
    from google.cloud.bigquery import SchemaField  # an optional dependency

    mode = "NULLABLE" if found.mode == "REQUIRED" else found.mode
    return SchemaField(found.name, found.field_type, mode, fields=found.fields)
