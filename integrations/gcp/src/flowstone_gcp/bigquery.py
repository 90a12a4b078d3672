"""BigQueryWarehouse: BigQuery as a database."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, field_validator

from flowstone.blocks import Database
from flowstone.blocks.databases.cancellation import make_stoppable
from flowstone_gcp.bigquery_driver import BigQueryDriver
from flowstone_gcp.bigquery_loads import TableLayout
from flowstone_gcp.bigquery_places import BigQuerySettings
from flowstone_gcp.credentials import GcpCredentials, clean_endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import google.cloud.bigquery as bigquery
    from google.cloud.bigquery import RangePartitioning, SchemaField, TimePartitioning
    from google.cloud.bigquery.dbapi import Connection

    from flowstone.blocks.databases import DriverCalls
    from flowstone.blocks.databases.placeholders import Parameters
    from flowstone.blocks.databases.pool import PooledConnection

    Partitioning = str | TimePartitioning | RangePartitioning | None

WriteDisposition = Literal["WRITE_APPEND", "WRITE_TRUNCATE", "WRITE_EMPTY"]


class BigQueryWarehouse(Database):
    """BigQuery in one project, with a default dataset.

    Statements run as jobs, whose ids are derived from the current run and its attempt: a request
    whose response was lost starts no second job. Jobs run where the data is.
    """

    _block_type_name: ClassVar[str | None] = "BigQuery Warehouse"
    _description: ClassVar[str | None] = "Google's BigQuery."
    _code_example: ClassVar[str | None] = (
        'BigQueryWarehouse(dataset="shop", maximum_bytes_billed=10**10).save("shop")\n'
        'BigQueryWarehouse.load("shop").fetch_all("SELECT id FROM orders WHERE day = ?", [day])'
    )

    gcp_credentials: GcpCredentials = Field(
        default_factory=GcpCredentials,
        description="The credentials; by default, application default credentials.",
    )
    project: str | None = Field(
        default=None, description="The project in which jobs run; by default the credentials'."
    )
    dataset: str | None = Field(
        default=None, description="The dataset of table names without one; may be project.dataset."
    )
    location: str | None = Field(
        default=None, description="Where jobs run, such as EU; by default where the dataset is."
    )
    maximum_bytes_billed: int | None = Field(
        default=None, gt=0, description="A query that would be billed for more bytes fails."
    )
    labels: dict[str, str] = Field(
        default_factory=dict, description="Labels of each job, in addition to those of the run."
    )
    priority: Literal["INTERACTIVE", "BATCH"] = Field(
        default="INTERACTIVE",
        description="Whether queries start at once, or when there is capacity.",
    )
    use_query_cache: bool = Field(
        default=True, description="Whether BigQuery may return a cached result."
    )
    fetch_size: int = Field(default=10_000, gt=0, description="Number of rows per page over REST.")
    cancel_on_kill: bool = Field(
        default=True,
        description="Whether a query is cancelled if its run is killed; if not, retries await it.",
    )
    endpoint: str | None = Field(
        default=None, description="The URL of BigQuery, such as that of an emulator."
    )
    storage_endpoint: str | None = Field(
        default=None, description="The address of the Storage API of an emulator, without TLS."
    )

    @field_validator("endpoint", "storage_endpoint")
    @classmethod
    def _is_a_url(cls, value: str | None) -> str | None:
        return clean_endpoint(value)

    def make_driver(self) -> BigQueryDriver:
        """Return a driver for the fields."""
        names = BigQuerySettings.__dataclass_fields__
        values = {name: getattr(self, name) for name in names}
        return BigQueryDriver(self.gcp_credentials.get_login(), BigQuerySettings(**values))

    # -- queries ---------------------------------------------------------------------------------

    def dry_run(self, operation: str, parameters: Parameters = None) -> int:
        """Return the number of bytes that a statement would read, without running it.

        Raises:
            QueryInvalid: the statement is invalid.
            TableMissing: there is no such table.
        """
        with self._open() as (calls, connection, driver):
            return calls.run(connection, operation, parameters, driver.dry_run)

    def write_query(
        self,
        operation: str,
        table: str,
        parameters: Parameters = None,
        *,
        write_disposition: WriteDisposition = "WRITE_EMPTY",
        schema_update_options: Sequence[str] = (),
        partition_by: Partitioning = None,
        cluster_by: Sequence[str] = (),
    ) -> int:
        """Write the rows of a query to a table, all or none; return the number of rows.

        Args:
            operation: the query.
            table: ``table``, ``dataset.table`` or ``project.dataset.table``; created if it does not
                exist. ``table$20260131`` is a partition.
            parameters: the values: a sequence for ``?``, a mapping for ``:name``.
            write_disposition: ``WRITE_EMPTY``, ``WRITE_APPEND`` or ``WRITE_TRUNCATE``.
            schema_update_options: ``ALLOW_FIELD_ADDITION`` and ``ALLOW_FIELD_RELAXATION``.
            partition_by: a column of dates or times, or the client's TimePartitioning or
                RangePartitioning; for a new table.
            cluster_by: columns; for a new table.

        Raises:
            QueryInvalid: the query is invalid, or the table is not empty.
        """
        layout = TableLayout(
            write_disposition=write_disposition,
            schema_update_options=schema_update_options,
            partition_by=partition_by,
            cluster_by=cluster_by,
        )
        with self._open() as (calls, connection, driver):
            write = partial(driver.write_query, table=table, layout=layout)
            return calls.run(connection, operation, parameters, write)

    # -- tables ----------------------------------------------------------------------------------

    def load_table(
        self,
        table: str,
        source: object,
        *,
        write_disposition: WriteDisposition = "WRITE_APPEND",
        schema: Sequence[SchemaField] | None = None,
        schema_update_options: Sequence[str] = (),
        partition_by: Partitioning = None,
        cluster_by: Sequence[str] = (),
    ) -> int:
        """Load rows or files into a table with one job, all or none; return the number of rows.

        Args:
            table: ``table``, ``dataset.table`` or ``project.dataset.table``; created if it does not
                exist. ``table$20260131`` is a partition.
            source: rows in any form that `insert` accepts; the path of a file of Parquet, CSV, JSON
                lines, Avro or ORC; or objects: ``gs://bucket/2026/*.parquet``, or a list.
            write_disposition: ``WRITE_APPEND``, ``WRITE_TRUNCATE`` or ``WRITE_EMPTY``.
            schema: the columns; by default those of the table, the file or the rows.
            schema_update_options: ``ALLOW_FIELD_ADDITION`` and ``ALLOW_FIELD_RELAXATION``.
            partition_by: a column of dates or times, or the client's TimePartitioning or
                RangePartitioning; for a new table.
            cluster_by: columns; for a new table.

        Raises:
            RowsInvalid: the source has no rows, or they don't fit the table; nothing was added.
            TableMissing: there is no such dataset.
        """
        layout = TableLayout(
            write_disposition=write_disposition,
            schema=schema,
            schema_update_options=schema_update_options,
            partition_by=partition_by,
            cluster_by=cluster_by,
        )
        with self._open() as (calls, connection, driver):
            work = partial(driver.load, connection.raw, table, source, layout)
            return calls.call(connection, work, f"LOAD DATA INTO {table}")

    def append_rows(self, table: str, rows: object) -> int:
        """Add rows to a table with the Storage Write API; return the number of rows.

        They are sent to a pending stream, and committed once: all are visible, or none. That takes
        less than a second, while a load job takes seconds, and does not count in quotas of jobs.

        Args:
            table: ``table``, ``dataset.table`` or ``project.dataset.table``.
            rows: rows in any form that `insert` accepts.

        Raises:
            RowsInvalid: these are not rows, or they don't fit the table; nothing was added.
            TableMissing: there is no such table.
        """
        with self._open() as (calls, connection, driver):
            work = partial(driver.append, table, rows)
            return calls.call(connection, work, f"INSERT INTO {table}")

    def extract_table(
        self,
        table: str,
        uris: str | Sequence[str],
        *,
        destination_format: str = "PARQUET",
        compression: str | None = None,
    ) -> int:
        """Write a table to objects in Cloud Storage with one job; return the number of objects.

        Args:
            table: ``table``, ``dataset.table`` or ``project.dataset.table``.
            uris: ``gs://bucket/day/part-*.parquet``; the star is replaced by numbers.
            destination_format: ``PARQUET``, ``CSV``, ``NEWLINE_DELIMITED_JSON`` or ``AVRO``.
            compression: ``SNAPPY``, ``ZSTD`` or ``GZIP``, if the format supports it.

        Raises:
            TableMissing: there is no such table.
        """
        given = [uris] if isinstance(uris, str) else list(uris)
        with self._open() as (calls, connection, driver):
            extract = partial(driver.extract, connection.raw, table, given)
            work = partial(extract, destination_format, compression)
            return calls.call(connection, work, f"EXPORT DATA FROM {table}")

    def create_table(
        self,
        table: str,
        schema: Sequence[SchemaField],
        *,
        partition_by: Partitioning = None,
        cluster_by: Sequence[str] = (),
        exists_ok: bool = False,
    ) -> str:
        """Create a table, and return its full name: ``project.dataset.table``.

        Args:
            table: ``table``, ``dataset.table`` or ``project.dataset.table``.
            schema: the columns, as the client's `SchemaField`.
            partition_by: a column of dates or times, or the client's TimePartitioning or
                RangePartitioning.
            cluster_by: columns.
            exists_ok: whether an existing table is left unchanged instead of raising an error.

        Raises:
            QueryInvalid: the table exists already.
            TableMissing: there is no such dataset.
        """
        with self._open() as (calls, connection, driver):
            target = driver.session.places.find_table(table)
            work = partial(
                driver.tables.create,
                connection.raw,
                target,
                schema,
                partition_by=partition_by,
                cluster_by=cluster_by,
                exists_ok=exists_ok,
            )
            made = calls.call(connection, work, f"CREATE TABLE {table}")
            return f"{made.project}.{made.dataset_id}.{made.table_id}"

    adry_run, awrite_query = make_stoppable(dry_run), make_stoppable(write_query)
    aload_table, aappend_rows = make_stoppable(load_table), make_stoppable(append_rows)
    aextract_table, acreate_table = make_stoppable(extract_table), make_stoppable(create_table)

    # -- the client ------------------------------------------------------------------------------

    def get_client(self) -> bigquery.Client:
        """Return the `google.cloud.bigquery.Client` that runs the statements."""
        with self._open() as (_, _, driver):
            return driver.session.client

    def get_connection(self) -> Connection:
        """Return a connection of `google.cloud.bigquery.dbapi`; Google's client runs its jobs."""
        from google.cloud.bigquery.dbapi import Connection  # an optional dependency

        return Connection(self.get_client())

    def reset_cursors(self) -> None:
        """Do nothing: each fetch runs its query again."""

    @contextmanager
    def _open(self) -> Iterator[tuple[DriverCalls, PooledConnection, BigQueryDriver]]:
        with self.use_connection() as (calls, connection):
            assert isinstance(calls.driver, BigQueryDriver)
            yield calls, connection, calls.driver
