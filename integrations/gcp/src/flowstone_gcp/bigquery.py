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

    Statements run as jobs, whose ids are made of the current run and its attempt: a request whose
    answer was lost starts no second job. Jobs run where the data is.
    """

    _block_type_name: ClassVar[str | None] = "BigQuery Warehouse"
    _description: ClassVar[str | None] = "Google's BigQuery."
    _code_example: ClassVar[str | None] = (
        'BigQueryWarehouse(dataset="shop", maximum_bytes_billed=10**10).save("shop")\n'
        'BigQueryWarehouse.load("shop").fetch_all("SELECT id FROM orders WHERE day = ?", [day])'
    )

    gcp_credentials: GcpCredentials = Field(
        default_factory=GcpCredentials,
        description="The login; by default, application default credentials.",
    )
    project: str | None = Field(
        default=None, description="The project that jobs run in; by default the login's."
    )
    dataset: str | None = Field(
        default=None, description="The dataset of table names without one; project.dataset too."
    )
    location: str | None = Field(
        default=None, description="Where jobs run, such as EU; by default where the dataset is."
    )
    maximum_bytes_billed: int | None = Field(
        default=None, gt=0, description="A query that would be billed for more bytes fails."
    )
    labels: dict[str, str] = Field(
        default_factory=dict, description="Labels of each job, besides those of the run."
    )
    priority: Literal["INTERACTIVE", "BATCH"] = Field(
        default="INTERACTIVE",
        description="Whether queries start at once, or when there is capacity.",
    )
    use_query_cache: bool = Field(
        default=True, description="Whether BigQuery may answer with an earlier result."
    )
    fetch_size: int = Field(default=10_000, gt=0, description="Rows of a page over REST.")
    cancel_on_kill: bool = Field(
        default=True,
        description="Whether a query ends with a run that is killed. If not, a retry waits for it.",
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
        """Return how many bytes a statement would read, without running it or a charge.

        Raises:
            QueryInvalid: BigQuery does not understand it.
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
        """Write the rows of a query to a table, all or none; return how many the query has.

        Args:
            operation: the query.
            table: ``table``, ``dataset.table`` or ``project.dataset.table``; made if there is none.
                ``table$20260131`` is a partition.
            parameters: the values: a sequence for ``?``, a mapping for ``:name``.
            write_disposition: ``WRITE_EMPTY``, ``WRITE_APPEND`` or ``WRITE_TRUNCATE``.
            schema_update_options: ``ALLOW_FIELD_ADDITION`` and ``ALLOW_FIELD_RELAXATION``.
            partition_by: a column of dates or times, or the client's TimePartitioning or
                RangePartitioning; for a new table.
            cluster_by: columns; for a new table.

        Raises:
            QueryInvalid: BigQuery does not understand the query, or the table is not empty.
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
        """Load rows or files into a table by one job, all or none; return how many rows.

        Args:
            table: ``table``, ``dataset.table`` or ``project.dataset.table``; made if there is none.
                ``table$20260131`` is a partition.
            source: rows as `insert` takes them; the path of a file of Parquet, CSV, JSON lines,
                Avro or ORC; or objects of Cloud Storage: ``gs://bucket/2026/*.parquet``, or a list.
            write_disposition: ``WRITE_APPEND``, ``WRITE_TRUNCATE`` or ``WRITE_EMPTY``.
            schema: the columns; by default the table's, the file's, or what fits the rows.
            schema_update_options: ``ALLOW_FIELD_ADDITION`` and ``ALLOW_FIELD_RELAXATION``.
            partition_by: a column of dates or times, or the client's TimePartitioning or
                RangePartitioning; for a new table.
            cluster_by: columns; for a new table.

        Raises:
            RowsInvalid: these are no rows, or they don't fit the table; nothing was added.
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
        """Add rows to a table by the Storage Write API; return how many.

        They are sent to a pending stream, and committed once: all are seen, or none. That takes
        less than a second, where a load job takes some, and counts in no quota of jobs.

        Args:
            table: ``table``, ``dataset.table`` or ``project.dataset.table``.
            rows: as `insert` takes them.

        Raises:
            RowsInvalid: these are no rows, or they don't fit the table; nothing was added.
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
        """Write a table to objects of Cloud Storage by one job; return how many objects.

        Args:
            table: ``table``, ``dataset.table`` or ``project.dataset.table``.
            uris: ``gs://bucket/day/part-*.parquet``; the star stands for numbers.
            destination_format: ``PARQUET``, ``CSV``, ``NEWLINE_DELIMITED_JSON`` or ``AVRO``.
            compression: ``SNAPPY``, ``ZSTD`` or ``GZIP``, as the format has it.

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
        """Make a table, and return its full name: ``project.dataset.table``.

        Args:
            table: ``table``, ``dataset.table`` or ``project.dataset.table``.
            schema: the columns, as the client's `SchemaField`.
            partition_by: a column of dates or times, or the client's TimePartitioning or
                RangePartitioning.
            cluster_by: columns.
            exists_ok: whether a table that is there is left as it is.

        Raises:
            QueryInvalid: there is such a table.
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
        """Return the `google.cloud.bigquery.Client` that the statements go through."""
        with self._open() as (_, _, driver):
            return driver.session.client

    def get_connection(self) -> Connection:
        """Return a connection of `google.cloud.bigquery.dbapi`; its jobs are Google's own."""
        from google.cloud.bigquery.dbapi import Connection  # an optional dependency

        return Connection(self.get_client())

    def reset_cursors(self) -> None:
        """Do nothing: each fetch runs its query again."""

    @contextmanager
    def _open(self) -> Iterator[tuple[DriverCalls, PooledConnection, BigQueryDriver]]:
        with self.use_connection() as (calls, connection):
            assert isinstance(calls.driver, BigQueryDriver)
            yield calls, connection, calls.driver
