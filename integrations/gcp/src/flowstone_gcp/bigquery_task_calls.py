"""The work of the BigQuery tasks, on a warehouse built from their arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast, overload

from flowstone import record_measures
from flowstone.blocks.databases.tables import pandas_frame_of_arrow
from flowstone.errors import DatabaseError, QueryInvalid, RowsInvalid
from flowstone_gcp.bigquery import BigQueryWarehouse
from flowstone_gcp.bigquery_driver import BigQueryDriver
from flowstone_gcp.bigquery_loads import NDJSON, find_format
from flowstone_gcp.credentials import GcpCredentials

if TYPE_CHECKING:
    import google.cloud.bigquery as bigquery

    from flowstone_gcp.bigquery_session import BigQueryConnection

T = TypeVar("T")
#: A parameter of the SDK, or a name, a type and a value.
QueryParameter = tuple[str | None, str, object] | object
#: Number of row errors that a message shows.
SHOWN = 3


class QueryRow(Sequence[object]):
    """A row of a query, with values by position, ``row[0]``, and by name, ``row["id"]``.

    It has the interface of the SDK's `Row`, is equal to a tuple of its values, and can be stored
    and sent to another process.
    """

    __slots__ = ("_names", "_values")

    def __init__(self, values: Iterable[object], names: Sequence[str]) -> None:
        """Create a row from its values, and the names of its columns in the same order."""
        self._values, self._names = tuple(values), tuple(names)

    @overload
    def __getitem__(self, key: int | str) -> object: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[object, ...]: ...
    def __getitem__(self, key: int | str | slice) -> object:
        if isinstance(key, str):
            if key not in self._names:
                raise KeyError(key)
            return self._values[self._names.index(key)]
        return self._values[key]

    def __len__(self) -> int:
        return len(self._values)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, QueryRow):
            return (self._names, self._values) == (other._names, other._values)
        return self._values == other

    def __hash__(self) -> int:
        return hash(self._values)

    def __repr__(self) -> str:
        return f"QueryRow({dict(self.items())!r})"

    def __getattr__(self, name: str) -> object:
        if name.startswith("_") or name not in self._names:
            raise AttributeError(f"the row has no column {name!r}")
        return self[name]

    def __reduce__(self) -> tuple[type[QueryRow], tuple[tuple[object, ...], tuple[str, ...]]]:
        return QueryRow, (self._values, self._names)

    def keys(self) -> Iterator[str]:
        """Return the names of the columns."""
        return iter(self._names)

    def values(self) -> tuple[object, ...]:
        """Return the values."""
        return self._values

    def items(self) -> Iterator[tuple[str, object]]:
        """Return names and values."""
        return zip(self._names, self._values, strict=True)

    def get(self, key: str, default: object = None) -> object:
        """Return the value of a column, or a default if there is no such column."""
        return self[key] if key in self._names else default


@dataclass(frozen=True, slots=True)
class BigQueryLoadResult:
    """The result of a load job, with the attributes of the SDK's `LoadJob`.

    Attributes:
        job_id: the id of the job.
        location: where it ran.
        project: the project that was billed.
        output_rows: number of rows written.
        output_bytes: number of bytes written.
        input_files: number of files read.
    """

    job_id: str
    location: str | None
    project: str
    output_rows: int
    output_bytes: int | None
    input_files: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A query, and what to do with its rows.

    Attributes:
        text: the SQL.
        parameters: objects of the SDK, or (name, type, value).
        most_bytes: a query that would read more is refused.
        destination: the table that the rows are written to.
        options: fields of the SDK's `QueryJobConfig`.
        as_frame: whether the rows are returned as a DataFrame.
    """

    text: str
    parameters: Sequence[QueryParameter]
    most_bytes: int | None
    destination: str | None
    options: Mapping[str, object]
    as_frame: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTable:
    """A table to create; see `bigquery_create_table`."""

    dataset: str
    table: str
    schema: Sequence[object] | None
    cluster_by: Sequence[str]
    partition_by: object
    external: object
    location: str | None


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file, and the number of bytes to load; None for all."""

    path: Path
    size: int | None


def reach(
    login: GcpCredentials | BigQueryWarehouse, project: str | None, location: str | None
) -> BigQueryWarehouse:
    """Return the warehouse for the arguments of a task."""
    if isinstance(login, BigQueryWarehouse):
        more = {"project": project, "location": location}
        given = {name: value for name, value in more.items() if value is not None}
        return login.model_copy(update=given) if given else login
    return BigQueryWarehouse(gcp_credentials=login, project=project, location=location)


def make_destination(dataset: str | None, table: str | None) -> str | None:
    """Return the name of a query's destination table; None if there is none.

    Raises:
        QueryInvalid: only one of the two is given.
    """
    if bool(dataset) != bool(table):
        problem = "only one of dataset and table is given"
        raise QueryInvalid("BigQuery", problem, "Pass both, or neither.")
    return f"{dataset}.{table}" if dataset and table else None


def run_query(warehouse: BigQueryWarehouse, query: Query) -> object:
    """Run a query, and return its rows, as objects of the SDK or as a DataFrame."""

    def work(connection: BigQueryConnection, driver: BigQueryDriver) -> object:
        session, config = driver.session, _make_query_config(driver, query)
        if query.most_bytes is not None:
            found = session.dry_run(connection, query.text, (), config)
            if found > query.most_bytes:
                problem = f"the query would read {found} bytes, and {query.most_bytes} are allowed"
                remedy = "Select columns, filter by partition, or raise dry_run_max_bytes."
                raise DatabaseError(driver.where, problem, remedy, query.text)
        if query.as_frame:
            with driver.read_arrow(connection, query.text, (), config=config) as reader:
                return pandas_frame_of_arrow(reader.read_all())
        _, rows = session.run_query(connection, query.text, (), config=config)
        return [QueryRow(row.values(), tuple(row.keys())) for row in rows]

    return _call(warehouse, work, query.text)


def create_table(warehouse: BigQueryWarehouse, new: NewTable) -> str:
    """Create a dataset and a table unless they exist, and return the table's name."""

    def work(connection: BigQueryConnection, driver: BigQueryDriver) -> str:
        import google.cloud.bigquery as bigquery  # an optional dependency

        if not new.schema and new.external is None:
            problem = f"the table {new.table!r} has neither a schema nor an external_config"
            raise QueryInvalid(driver.where, problem, "Pass one of them.")
        session = driver.session
        dataset = bigquery.Dataset(session.places.find_dataset(new.dataset))
        if new.location:
            dataset.location = new.location
        client, retry = connection.client, session.login.retry()
        client.create_dataset(dataset, exists_ok=True, retry=retry)
        made = driver.tables.create(
            connection,
            session.places.find_table(f"{new.dataset}.{new.table}"),
            cast("Sequence[bigquery.SchemaField]", new.schema or ()),
            partition_by=new.partition_by,
            cluster_by=new.cluster_by,
            external=cast("bigquery.ExternalConfig | None", new.external),
        )
        return str(made.table_id)

    return _call(warehouse, work, f"CREATE TABLE {new.dataset}.{new.table}")


def insert_stream(
    warehouse: BigQueryWarehouse, table: str, records: Sequence[Mapping[str, object]]
) -> None:
    """Send rows with tabledata.insertAll.

    Raises:
        RowsInvalid: some rows were refused.
    """

    def work(connection: BigQueryConnection, driver: BigQueryDriver) -> None:
        target, retry = driver.session.places.find_table(table), driver.session.login.retry()
        errors = connection.client.insert_rows_json(target, list(records), retry=retry)
        if errors:
            problem = f"into {table!r}: {len(errors)} of {len(records)} rows were refused: "
            shown = "; ".join(_describe(error) for error in errors[:SHOWN])
            remedy = "Fix these rows; the others may have been added."
            raise RowsInvalid(driver.where, problem + shown, remedy)
        record_measures(rows_written=len(records))

    _call(warehouse, work, f"INSERT INTO {table}")


def load_uris(
    warehouse: BigQueryWarehouse,
    table: str,
    uris: Sequence[str],
    schema: Sequence[object] | None,
    options: Mapping[str, object],
) -> BigQueryLoadResult:
    """Load objects in Cloud Storage, and return the job's result."""

    def work(connection: BigQueryConnection, driver: BigQueryDriver) -> BigQueryLoadResult:
        config = _make_load_config(driver, uris[0] if uris else "", schema, options)
        target = driver.session.places.find_table(table)
        return _describe_job(driver.tables.load_uris(connection, target, uris, config))

    return _call(warehouse, work, f"LOAD DATA INTO {table}")


def load_file(
    warehouse: BigQueryWarehouse,
    table: str,
    file: LocalFile,
    schema: Sequence[object] | None,
    options: Mapping[str, object],
) -> BigQueryLoadResult:
    """Load a file, and return the job's result."""

    def work(connection: BigQueryConnection, driver: BigQueryDriver) -> BigQueryLoadResult:
        config = _make_load_config(driver, file.path.name, schema, options)
        target = driver.session.places.find_table(table)
        with driver.tables.open_file(file.path) as opened:
            content = opened if file.size is None else BytesIO(opened.read(file.size))
            return _describe_job(driver.tables.load_file(connection, target, content, config))

    return _call(warehouse, work, f"LOAD DATA INTO {table}")


def _call(
    warehouse: BigQueryWarehouse,
    work: Callable[[BigQueryConnection, BigQueryDriver], T],
    operation: str,
) -> T:
    """Call a function on a connection of a warehouse, like the warehouse's methods."""
    with warehouse.use_connection() as (calls, connection):
        driver = calls.driver
        assert isinstance(driver, BigQueryDriver)
        return calls.call(connection, partial(work, connection.raw, driver), operation)


def _make_query_config(driver: BigQueryDriver, query: Query) -> bigquery.QueryJobConfig:
    import google.cloud.bigquery as bigquery  # an optional dependency

    config = _make_config(driver, bigquery.QueryJobConfig, query.options)
    if query.parameters:
        config.query_parameters = [
            bigquery.ScalarQueryParameter(*each) if isinstance(each, (tuple, list)) else each
            for each in query.parameters
        ]
    if query.destination is not None:
        config.destination = driver.session.places.find_table(query.destination)
    return config


def _make_load_config(
    driver: BigQueryDriver,
    name: str,
    schema: Sequence[object] | None,
    options: Mapping[str, object],
) -> bigquery.LoadJobConfig:
    import google.cloud.bigquery as bigquery  # an optional dependency

    config = _make_config(driver, bigquery.LoadJobConfig, options)
    if schema is not None:
        config.schema = list(cast("Sequence[bigquery.SchemaField]", schema))
    kind = config.source_format or find_format(name) or "CSV"
    if config.autodetect is None and not config.schema and kind in {"CSV", NDJSON}:
        config.autodetect = True
    return driver.tables.make_load_config(kind, config)


def _make_config(
    driver: BigQueryDriver, kind: Callable[..., T], options: Mapping[str, object]
) -> T:
    try:
        return kind(**options)
    except (AttributeError, TypeError, ValueError) as error:
        problem = f"job_config can't be used: {error}"
    raise QueryInvalid(driver.where, problem, "Use the names of the SDK's job configuration.")


def _describe(error: Mapping[str, object]) -> str:
    """Return the place of a refused row, without values that BigQuery quotes."""
    entries = cast("list[dict[str, str]]", error.get("errors") or [{}])
    where, reason = entries[0].get("location") or "?", entries[0].get("reason")
    return f"row {error.get('index')}, column {where!r}: {reason}"


def _describe_job(job: bigquery.LoadJob) -> BigQueryLoadResult:
    return BigQueryLoadResult(
        job_id=str(job.job_id),
        location=job.location,
        project=str(job.project),
        output_rows=int(job.output_rows or 0),
        output_bytes=job.output_bytes,
        input_files=job.input_files,
    )
