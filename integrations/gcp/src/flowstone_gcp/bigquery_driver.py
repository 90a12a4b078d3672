"""The driver of BigQuery: statements as jobs, and tables in and out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from flowstone.blocks.databases import ArrowDriver, AwareDatetime, StoreDriver
from flowstone.errors import QueryInvalid
from flowstone_gcp.access import make_database_access
from flowstone_gcp.bigquery_errors import translate
from flowstone_gcp.bigquery_loads import PARQUET, TableLayout, find_format, find_uris, take_rows
from flowstone_gcp.bigquery_places import BigQuerySettings, quote_name
from flowstone_gcp.bigquery_session import BigQueryConnection, BigQuerySession
from flowstone_gcp.bigquery_storage import open_batches
from flowstone_gcp.bigquery_tables import BigQueryTables
from flowstone_gcp.bigquery_values import SYNTAX, make_arrow

if TYPE_CHECKING:
    import google.cloud.bigquery as bigquery
    import pyarrow as pa
    from google.cloud.bigquery.table import RowIterator

    from flowstone.blocks.databases import Cursor, Row
    from flowstone.errors import DatabaseError
    from flowstone.records.access import DatabaseAccess, StoreAccess
    from flowstone_gcp.logins import GcpLogin

#: Comments at the beginning of a statement.
_COMMENTS = re.compile(r"\A(?:\s+|--[^\n]*|#[^\n]*|/\*.*?\*/)+", re.DOTALL)
#: The beginnings of statements that depend on statements before or after them.
_WHOLE = re.compile(
    r"(?:DECLARE|SET|IF|LOOP|WHILE|REPEAT|FOR|BREAK|LEAVE|CONTINUE|ITERATE|RAISE|RETURN|COMMIT"
    r"|ROLLBACK|BEGIN|CREATE\s+(?:OR\s+REPLACE\s+)?TEMP(?:ORARY)?)\b",
    re.IGNORECASE,
)


class WholeScript(str):
    """One or several statements that BigQuery runs as one job."""

    __slots__ = ()


class BigQueryDriver(ArrowDriver[BigQueryConnection], StoreDriver[BigQueryConnection]):
    """BigQuery, through google-cloud-bigquery and its Storage API.

    Attributes:
        session: runs the jobs.
        tables: works with whole tables.
    """

    placeholder_style = "qmark"
    transactions = False
    savepoints = False
    cancels_by_id = True
    syntax = SYNTAX
    column_types: Mapping[type, str] = {
        bool: "BOOL", int: "INT64", float: "FLOAT64", str: "STRING", bytes: "BYTES",
        Decimal: "NUMERIC", AwareDatetime: "TIMESTAMP", datetime: "DATETIME", date: "DATE",
        list: "JSON", dict: "JSON",
    }  # fmt: skip

    def __init__(self, login: GcpLogin, settings: BigQuerySettings) -> None:
        place = ".".join(filter(None, (settings.project or login.usual_project, settings.dataset)))
        super().__init__(f"BigQuery {place}".strip())
        self.records_queries = settings.cancel_on_kill
        self.session = BigQuerySession(login, settings, self.where, self.record_query)
        self.tables = BigQueryTables(self.session)
        self._settings = settings

    def make_access(self) -> DatabaseAccess:
        settings, login = self._settings, self.session.login
        project, _, dataset = (settings.dataset or "").rpartition(".")
        limit = settings.maximum_bytes_billed
        options = {
            "dataset": dataset,
            "location": settings.location,
            "endpoint": settings.endpoint,
            "priority": settings.priority,
            "maximum_bytes_billed": str(limit) if limit else None,
        }
        where = settings.project or project or None
        return make_database_access(login, where, options, self.make_access)

    # -- connections -----------------------------------------------------------------------------

    def connect(self) -> BigQueryConnection:
        """Check the credentials, and return a connection with the shared client."""
        self.session.login.ensure_token()
        return BigQueryConnection(self.session.client)

    def disconnect(self, connection: BigQueryConnection) -> None:
        """Do nothing: a connection has no socket."""

    def interrupt(self, connection: BigQueryConnection) -> None:
        """Cancel the job that the connection waits for."""
        connection.active.cancel()

    def cancel_by_id(self, query_id: str) -> None:
        """Cancel a job by its id, ``project:location.job``; ignore one that has ended."""
        self.session.runner.cancel(query_id)

    def translate_error(self, error: Exception, statement: str | None) -> DatabaseError | None:
        """Return Flowstone's error for one of Google's; None for other errors."""
        return translate(self.where, error, statement)

    # -- statements ------------------------------------------------------------------------------

    def split_script(self, script: str) -> list[str]:
        """Return the statements of a script.

        A script with variables, control flow, temporary tables or a transaction is returned as one
        statement, which BigQuery runs as one job.
        """
        statements = super().split_script(script)
        is_whole = any(_WHOLE.match(_COMMENTS.sub("", each)) for each in statements)
        return [WholeScript(script)] if is_whole and len(statements) > 1 else statements

    def execute(
        self, connection: BigQueryConnection, operation: str, values: Sequence[object]
    ) -> int:
        """Run one statement, and return the number of changed rows; 0 if that is unknown."""
        self.check_single(operation)
        job, _ = self.session.run_query(connection, operation, values)
        return int(job.num_dml_affected_rows or 0)

    def query(
        self, connection: BigQueryConnection, operation: str, values: Sequence[object]
    ) -> Cursor:
        """Run one statement, and return its rows, which are fetched page by page."""
        self.check_single(operation)
        _, rows = self.session.run_query(connection, operation, values)
        return BigQueryCursor(rows)

    def check_single(self, operation: str) -> None:
        """Refuse several statements, except a script that runs as one job.

        Raises:
            QueryInvalid: there are several statements.
        """
        count = 1 if isinstance(operation, WholeScript) else len(super().split_script(operation))
        if count > 1:
            problem = f"it has {count} statements, and only one can be run at a time"
            raise QueryInvalid(self.where, problem, "Use `execute_script` for all.", operation)

    # -- tables in and out -----------------------------------------------------------------------

    def quote_name(self, name: str) -> str:
        """Return a name quoted for statements, whatever characters it has."""
        return quote_name(name)

    def create_table(
        self, connection: BigQueryConnection, table: str, columns: Mapping[str, type]
    ) -> None:
        """Create a table for values of these types, if it does not exist."""
        from google.cloud.bigquery import SchemaField  # an optional dependency

        types = self.column_types
        fields = [SchemaField(name, types.get(kind, types[str])) for name, kind in columns.items()]
        self.tables.create(connection, self.session.places.find_table(table), fields)

    def open_arrow(
        self,
        connection: BigQueryConnection,
        operation: str,
        values: Sequence[object],
        batch_rows: int,
    ) -> pa.RecordBatchReader:
        """Run one statement, and return a reader of its rows through the Storage Read API.

        If that can't read the result, such as with an emulator or without the role
        roles/bigquery.readSessionUser, the rows are read over REST.
        """
        self.check_single(operation)
        return self.read_arrow(connection, operation, values, batch_rows)

    def read_arrow(
        self,
        connection: BigQueryConnection,
        operation: str,
        values: Sequence[object],
        batch_rows: int | None = None,
        config: bigquery.QueryJobConfig | None = None,
    ) -> pa.RecordBatchReader:
        """Same as `open_arrow`, with more configuration; several statements are allowed."""
        session = self.session
        size = min(batch_rows or session.settings.fetch_size, session.settings.fetch_size)
        job, rows = session.run_query(connection, operation, values, config=config, page_size=size)
        retry = session.login.retry()
        again = partial(job.result, page_size=size, retry=retry, job_retry=None)
        return open_batches(rows, again, session.login, session.settings.storage_endpoint)

    def insert(
        self,
        connection: BigQueryConnection,
        table: str,
        columns: Sequence[str],
        rows: Sequence[Row],
    ) -> None:
        """Add rows to a table with a load job, all or none."""
        self.insert_whole(connection, table, columns, [list(rows)])

    def insert_arrow(self, connection: BigQueryConnection, table: str, data: pa.Table) -> None:
        """Add the rows of an Arrow table with a load job, all or none."""
        self.insert_whole(connection, table, data.schema.names, [data])

    def insert_whole(
        self,
        connection: BigQueryConnection,
        table: str,
        columns: Sequence[str],
        parts: Iterable[pa.Table | list[Row]],
    ) -> int:
        """Add rows to a table with one load job, all or none, and return the number of rows.

        A retry of the task finds the job of the previous attempt, whose id depends on the rows.
        """

        def convert(part: pa.Table | list[Row], fields: Sequence[bigquery.SchemaField]) -> pa.Table:
            return make_arrow(fields, columns, part) if isinstance(part, list) else part

        target = self.session.places.find_table(table)
        makers = (partial(convert, part) for part in parts)
        return self.tables.insert(connection, target, makers)

    def dry_run(
        self, connection: BigQueryConnection, operation: str, values: Sequence[object]
    ) -> int:
        """Return the number of bytes that a statement would read."""
        return self.session.dry_run(connection, operation, values)

    def write_query(
        self,
        connection: BigQueryConnection,
        operation: str,
        values: Sequence[object],
        table: str,
        layout: TableLayout,
    ) -> int:
        """Write the rows of a query to a table, and return the number of rows."""
        from google.cloud.bigquery import QueryJobConfig  # an optional dependency

        self.check_single(operation)
        config = layout.apply(QueryJobConfig(destination=self.session.places.find_table(table)))
        _, rows = self.session.run_query(connection, operation, values, config=config)
        return int(rows.total_rows or 0)

    def load(
        self, connection: BigQueryConnection, table: str, source: object, layout: TableLayout
    ) -> int:
        """Load rows, a file or objects in Cloud Storage with one job; return the number of rows."""
        target = self.session.places.find_table(table)
        uris = find_uris(source)
        if uris:
            config = layout.apply(self.tables.make_load_config(find_format(uris[0])))
            return int(self.tables.load_uris(connection, target, uris, config).output_rows or 0)
        if isinstance(source, (str, Path)):
            return self.tables.load_path(connection, target, Path(source), layout)
        with take_rows(self.where, target.table_id, source) as tables:
            return self.tables.load_rows(connection, target, tables, layout)

    def append(self, table: str, rows: object) -> int:
        """Add rows with the Storage Write API, committed once; return the number of rows."""
        target = self.session.places.find_table(table)
        with take_rows(self.where, target.table_id, rows) as tables:
            return self.tables.append(target, tables)

    def extract(
        self,
        connection: BigQueryConnection,
        table: str,
        uris: Sequence[str],
        destination_format: str,
        compression: str | None,
    ) -> int:
        """Write a table to objects in Cloud Storage with one job; return the number of objects."""
        from google.cloud.bigquery import ExtractJobConfig  # an optional dependency

        config = ExtractJobConfig(destination_format=destination_format)
        if compression is not None:
            config.compression = compression
        source = self.session.places.find_table(table)
        job = self.tables.extract(connection, source, uris, config)
        return sum(job.destination_uri_file_counts or ())

    # -- rows that replace others ----------------------------------------------------------------

    def stage(self, connection: BigQueryConnection, table: str) -> str:
        """Create an empty table like another, in its dataset; BigQuery drops it after six hours."""
        staged = self.tables.stage(connection, self.session.places.find_table(table))
        parts = (staged.project, staged.dataset_id, staged.table_id)
        return ".".join(map(quote_name, parts))

    def unstage(self, connection: BigQueryConnection, staged: str) -> None:
        """Drop a table that `stage` created."""
        table, retry = self.session.places.find_table(staged), self.session.login.retry()
        connection.client.delete_table(table, not_found_ok=True, retry=retry)

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
        """Merge the rows of a table into another: insert new keys, and update existing ones."""
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
        """Load Parquet files from Cloud Storage with one job; return None for any other store."""
        if access.scheme != "gs":
            return None
        target = self.session.places.find_table(table)
        config = TableLayout(create=False).apply(self.tables.make_load_config(PARQUET))
        uris = [make_uri(access, path) for path in paths]
        return int(self.tables.load_uris(connection, target, uris, config).output_rows or 0)

    def unload_to(
        self,
        connection: BigQueryConnection,
        operation: str,
        values: Sequence[object],
        access: StoreAccess,
        folder: str,
    ) -> list[str] | None:
        """Write the rows of a query to Parquet files in Cloud Storage; None for any other store."""
        if access.scheme != "gs":
            return None
        self.check_single(operation)
        name = f"{folder.strip('/')}/part-*.parquet".lstrip("/")
        uri = make_uri(access, name).replace("\\", "\\\\").replace("'", "\\'")
        options = f"uri='{uri}', format='PARQUET', overwrite=false"
        statement = f"EXPORT DATA OPTIONS({options}) AS\n{operation}"
        job, _ = self.session.run_query(connection, statement, values)
        return [name.replace("*", f"{number:012}") for number in range(count_files(job))]


class BigQueryCursor:
    """The rows of a query, with one page in memory."""

    def __init__(self, rows: RowIterator) -> None:
        self.description = [(each.name,) for each in rows.schema or ()] or None
        self._rows = iter(rows)

    def fetchmany(self, size: int, /) -> list[Row]:
        """Return up to `size` rows."""
        found = []
        for row in self._rows:
            found.append(row.values())
            if len(found) == size:
                break
        return found

    def close(self) -> None:
        """Discard the remaining rows."""
        self._rows = iter(())


def make_uri(access: StoreAccess, path: str) -> str:
    """Return the URI of an object in Cloud Storage."""
    return "/".join(filter(None, ("gs:/", access.bucket, access.folder, path)))


def count_files(job: bigquery.QueryJob) -> int:
    """Return the number of files that a query with EXPORT DATA has written."""
    # The client has no attribute for it:
    # https://cloud.google.com/bigquery/docs/reference/rest/v2/Job#exportdatastatistics
    statistics = vars(job)["_properties"]["statistics"]["query"]
    return int(statistics.get("exportDataStatistics", {}).get("fileCount", 0))
