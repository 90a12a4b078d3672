"""Whole tables in BigQuery: create, load, append and extract."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from flowstone.errors import RowsInvalid
from flowstone_gcp.bigquery_loads import (
    FORMATS,
    NDJSON,
    PARQUET,
    TableLayout,
    apply_partitioning,
    find_format,
    plan_extract,
    plan_file_load,
    plan_uri_load,
    write_rows,
)
from flowstone_gcp.bigquery_storage import PendingStream
from flowstone_gcp.bigquery_values import fit_table, make_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path
    from typing import IO

    import google.cloud.bigquery as bigquery
    import pyarrow as pa

    from flowstone_gcp.bigquery_session import BigQueryConnection, BigQuerySession

P = ParamSpec("P")
T = TypeVar("T")
#: BigQuery drops a staging table after this time, if its process was killed.
STAGED = timedelta(hours=6)
ADDITION = "ALLOW_FIELD_ADDITION"


class BigQueryTables:
    """Works with whole tables, through the jobs of a session and the Storage Write API."""

    def __init__(self, session: BigQuerySession) -> None:
        self._session = session

    def create(
        self,
        connection: BigQueryConnection,
        target: bigquery.TableReference,
        fields: Sequence[bigquery.SchemaField],
        *,
        partition_by: object = None,
        cluster_by: Sequence[str] = (),
        external: bigquery.ExternalConfig | None = None,
        exists_ok: bool = True,
    ) -> bigquery.Table:
        """Create a table, and return it; return an existing one unchanged."""
        from google.cloud.bigquery import Table  # an optional dependency

        made = Table(target, schema=list(fields) or None)
        apply_partitioning(made, partition_by, cluster_by)
        if external is not None:
            made.external_data_configuration = external
        retry = self._session.login.retry()
        return connection.client.create_table(made, exists_ok=exists_ok, retry=retry)

    def stage(
        self, connection: BigQueryConnection, target: bigquery.TableReference
    ) -> bigquery.TableReference:
        """Create an empty table like another, in its dataset; BigQuery drops it after six hours."""
        import google.cloud.bigquery as bigquery  # an optional dependency

        session = self._session
        dataset = session.places.find_dataset(f"{target.project}.{target.dataset_id}")
        fields = [_relax(each) for each in session.places.fetch_schema(target)]
        staged = bigquery.TableReference(dataset, f"flowstone_{token_hex(8)}")
        made = bigquery.Table(staged, schema=fields)
        made.expires = datetime.now(UTC) + STAGED
        connection.client.create_table(made, retry=session.login.retry())
        return staged

    def insert(
        self,
        connection: BigQueryConnection,
        target: bigquery.TableReference,
        makers: Iterable[Callable[[Sequence[bigquery.SchemaField]], pa.Table]],
    ) -> int:
        """Add rows to an existing table with one load job; return the number of rows.

        Args:
            connection: the connection.
            target: the table.
            makers: each returns a part of the rows, given the table's schema.
        """
        fields = self._session.places.fetch_schema(target)
        rows = (self._fit(target, make, fields) for make in makers)
        layout = TableLayout(create=False, schema=fields)
        return self.load_rows(connection, target, rows, layout)

    def load_rows(
        self,
        connection: BigQueryConnection,
        target: bigquery.TableReference,
        tables: Iterable[pa.Table],
        layout: TableLayout,
    ) -> int:
        """Write rows with one load job, all or none; return the number of rows.

        Args:
            connection: the connection.
            target: the table.
            tables: the rows, of which one table at a time is in memory.
            layout: how the table is written; without a schema, it is that of the existing table, or
                derived from the first rows.
        """
        from google.cloud.bigquery import LoadJobConfig  # an optional dependency

        parts = iter(tables)
        first = next(parts, None)
        if first is None:
            return 0
        fields = self._find_fields(target, first, layout)
        used = self._choose(target, first, fields)
        config = self._session.complete(layout.apply(LoadJobConfig()))
        fitted = self._fit_all(target, first, parts, fields)
        with write_rows(fitted, used, config) as (file, made, count):
            self.load_file(connection, target, file, made)
        return count

    def load_file(
        self,
        connection: BigQueryConnection,
        target: bigquery.TableReference,
        file: IO[bytes],
        config: bigquery.LoadJobConfig,
    ) -> bigquery.LoadJob:
        """Load an open file with one job, and return the job."""
        session = self._session
        location = session.places.find_location(target)
        plan = plan_file_load(session.client, target, file, config, location)
        return session.run_job(connection, plan)

    def load_path(
        self,
        connection: BigQueryConnection,
        target: bigquery.TableReference,
        path: Path,
        layout: TableLayout,
    ) -> int:
        """Load a file with one job, in the format of its extension; return the number of rows.

        Raises:
            RowsInvalid: the file can't be read, or its extension is unknown.
        """
        kind = find_format(path.name)
        if kind is None:
            problem = f"{str(path)!r} has no file extension of a known format"
            remedy = f"Use one of {', '.join(FORMATS)}."
            raise RowsInvalid(self._session.where, problem, remedy)
        config = layout.apply(self.make_load_config(kind))
        if layout.schema is None and kind in {"CSV", NDJSON}:
            config.autodetect = True
        with self.open_file(path) as file:
            job = self.load_file(connection, target, file, config)
        return int(job.output_rows or 0)

    def open_file(self, path: Path) -> IO[bytes]:
        """Open a local file.

        Raises:
            RowsInvalid: the file can't be read.
        """
        try:
            return path.expanduser().open("rb")
        except OSError as error:
            problem = f"{str(path)!r} can't be read: {error.strerror}"
        raise RowsInvalid(self._session.where, problem, "Check the path, and its permissions.")

    def load_uris(
        self,
        connection: BigQueryConnection,
        target: bigquery.TableReference,
        uris: Sequence[str],
        config: bigquery.LoadJobConfig,
    ) -> bigquery.LoadJob:
        """Load objects in Cloud Storage with one job, and return the job."""
        session = self._session
        location = session.places.find_location(target)
        plan = plan_uri_load(session.client, target, uris, config, location)
        return session.run_job(connection, plan)

    def make_load_config(
        self, source_format: str | None, config: bigquery.LoadJobConfig | None = None
    ) -> bigquery.LoadJobConfig:
        """Return the configuration of a load job: the given one, with the block's settings."""
        from google.cloud.bigquery import LoadJobConfig, ParquetOptions  # an optional dependency

        made = LoadJobConfig() if config is None else deepcopy(config)
        if source_format is not None and made.source_format is None:
            made.source_format = source_format
        if made.source_format == PARQUET and made.parquet_options is None:
            made.parquet_options = ParquetOptions()
            made.parquet_options.enable_list_inference = True
        return self._session.complete(made)

    def append(self, target: bigquery.TableReference, tables: Iterable[pa.Table]) -> int:
        """Add rows with the Storage Write API, committed once; return the number of rows."""
        parts = iter(tables)
        first = next(parts, None)
        if first is None:
            return 0
        session = self._session
        fields = session.places.fetch_schema(target)
        self._choose(target, first, fields)
        stream = PendingStream(session.login, session.settings.storage_endpoint, target)
        return stream.write(self._fit_all(target, first, parts, fields))

    def extract(
        self,
        connection: BigQueryConnection,
        source: bigquery.TableReference,
        uris: Sequence[str],
        config: bigquery.ExtractJobConfig,
    ) -> bigquery.ExtractJob:
        """Write a table to objects in Cloud Storage with one job, and return the job."""
        session = self._session
        location = session.places.find_location(source)
        plan = plan_extract(session.client, source, uris, session.complete(config), location)
        return session.run_job(connection, plan)

    def _find_fields(
        self, target: bigquery.TableReference, first: pa.Table, layout: TableLayout
    ) -> Sequence[bigquery.SchemaField]:
        """Return the schema for writing rows."""
        from google.api_core.exceptions import NotFound  # an optional dependency

        if layout.schema is not None:
            return layout.schema
        found: list[bigquery.SchemaField] = []
        if layout.write_disposition != "WRITE_TRUNCATE":
            try:
                found = self._session.places.fetch_schema(target)
            except NotFound:
                if not layout.create:
                    raise
        if found and ADDITION not in layout.schema_update_options:
            return found
        known = {field.name.casefold() for field in found}
        more = self._fit(target, make_fields, first.schema)
        return [*found, *(field for field in more if field.name.casefold() not in known)]

    def _choose(
        self,
        target: bigquery.TableReference,
        rows: pa.Table,
        fields: Sequence[bigquery.SchemaField],
    ) -> list[bigquery.SchemaField]:
        """Return the fields for the columns of rows, in the order of the table."""
        names = {name.casefold() for name in rows.schema.names}
        known = {field.name.casefold() for field in fields}
        extra = [name for name in rows.schema.names if name.casefold() not in known]
        if extra:
            problem = f"into {target.table_id!r}: the table has no column {', '.join(extra)}"
            remedy = f"Remove it, or load it with schema_update_options=[{ADDITION!r}]."
            raise RowsInvalid(self._session.where, problem, remedy)
        return [field for field in fields if field.name.casefold() in names]

    def _fit_all(
        self,
        target: bigquery.TableReference,
        first: pa.Table,
        rest: Iterable[pa.Table],
        fields: Sequence[bigquery.SchemaField],
    ) -> Iterator[pa.Table]:
        yield self._fit(target, fit_table, first, fields)
        for table in rest:
            yield self._fit(target, fit_table, table, fields)

    def _fit(
        self,
        target: bigquery.TableReference,
        make: Callable[P, T],
        *given: P.args,
        **more: P.kwargs,
    ) -> T:
        try:
            return make(*given, **more)
        except ValueError as error:
            problem = str(error)
        remedy = "Fix the rows or the schema; nothing was added."
        raise RowsInvalid(self._session.where, f"into {target.table_id!r}: {problem}", remedy)


def _relax(found: bigquery.SchemaField) -> bigquery.SchemaField:
    """Return a nullable copy of a field, as a staged table may lack a column."""
    from google.cloud.bigquery import SchemaField  # an optional dependency

    mode = "NULLABLE" if found.mode == "REQUIRED" else found.mode
    return SchemaField(found.name, found.field_type, mode, fields=found.fields)
