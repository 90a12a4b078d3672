"""Plans of load and extract jobs of BigQuery, and the files in which rows are sent."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from hashlib import md5
from io import BytesIO
from itertools import chain, islice
from pathlib import PurePosixPath
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, TypeVar

from flowstone.blocks.databases.given_rows import GivenRows, NoRows
from flowstone.errors import RowsInvalid
from flowstone_gcp.bigquery_jobs import JobPlan, JobRequest
from flowstone_gcp.bigquery_values import make_arrow
from flowstone_gcp.errors import is_passing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import google.cloud.bigquery as bigquery
    import pyarrow as pa

    from flowstone.blocks.databases import Row

Config = TypeVar("Config", "bigquery.LoadJobConfig", "bigquery.QueryJobConfig")
#: Up to this many bytes, rows are in memory; more of them are written to a temporary file.
IN_MEMORY = 32 * 1024 * 1024
#: Number of rows per batch.
BATCH = 50_000
#: Number of attempts of an upload; the job's id ensures that no rows are loaded twice.
UPLOADS = 3
PARQUET, NDJSON = "PARQUET", "NEWLINE_DELIMITED_JSON"
#: Formats of files, by extension.
FORMATS = {
    ".parquet": PARQUET, ".csv": "CSV", ".json": NDJSON, ".jsonl": NDJSON, ".ndjson": NDJSON,
    ".avro": "AVRO", ".orc": "ORC",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TableLayout:
    """How a load or a query writes its table.

    Attributes:
        write_disposition: ``WRITE_APPEND``, ``WRITE_TRUNCATE`` or ``WRITE_EMPTY``.
        create: whether the table is created if it does not exist.
        schema: the columns, as objects of google-cloud-bigquery.
        schema_update_options: ``ALLOW_FIELD_ADDITION``, ``ALLOW_FIELD_RELAXATION``.
        partition_by: a column of dates or times, or a TimePartitioning or RangePartitioning.
        cluster_by: columns.
    """

    write_disposition: str = "WRITE_APPEND"
    create: bool = True
    schema: Sequence[bigquery.SchemaField] | None = None
    schema_update_options: Sequence[str] = ()
    partition_by: object = None
    cluster_by: Sequence[str] = ()

    def apply(self, config: Config) -> Config:
        """Return a configuration of a load or query job with this layout."""
        config.write_disposition = self.write_disposition
        config.create_disposition = "CREATE_IF_NEEDED" if self.create else "CREATE_NEVER"
        if self.schema is not None and hasattr(type(config), "schema"):
            config.schema = list(self.schema)
        if self.schema_update_options:
            config.schema_update_options = list(self.schema_update_options)
        apply_partitioning(config, self.partition_by, self.cluster_by)
        return config


def apply_partitioning(
    target: bigquery.Table | bigquery.LoadJobConfig | bigquery.QueryJobConfig,
    partition_by: object,
    cluster_by: Sequence[str],
) -> None:
    """Set partitioning and clustering of a table or of a job's configuration."""
    import google.cloud.bigquery as bigquery  # an optional dependency

    if isinstance(partition_by, str):
        target.time_partitioning = bigquery.TimePartitioning(field=partition_by)
    elif isinstance(partition_by, bigquery.RangePartitioning):
        target.range_partitioning = partition_by
    elif partition_by is not None:
        target.time_partitioning = partition_by
    if cluster_by:
        target.clustering_fields = list(cluster_by)


def find_format(name: str) -> str | None:
    """Return the format of a file by its name; None if its extension is unknown."""
    path = PurePosixPath(name.lower().removesuffix(".gz"))
    return FORMATS.get(path.suffix)


def find_uris(source: object) -> list[str]:
    """Return the objects in Cloud Storage that a source names; none for any other source."""
    given = [source] if isinstance(source, str) else source
    if not isinstance(given, (list, tuple)) or not given:
        return []
    found = [uri for uri in given if isinstance(uri, str) and uri.startswith("gs://")]
    return found if len(found) == len(given) else []


@contextmanager
def take_rows(where: str, table: str, rows: object) -> Iterator[Iterable[pa.Table]]:
    """Yield rows of any kind as Arrow tables.

    Raises:
        RowsInvalid: these are not rows, or the values of a column have several types.
    """
    import pyarrow as pa  # an optional dependency

    try:
        given = GivenRows(rows, BATCH, use_arrow=True)
        if isinstance(rows, pa.Table) and not rows.num_rows:
            yield [rows]  # iterating over it would yield columns
        elif given.is_arrow:
            yield given.tables()
        else:
            yield _convert(given.columns, given.batches())
        return
    except (NoRows, pa.ArrowInvalid, pa.ArrowTypeError) as error:
        shown = isinstance(error, NoRows)  # Arrow's messages quote values
        problem = str(error) if shown else "values of a column have several types"
    remedy = "Pass dicts with the same keys, or a table; nothing was added."
    raise RowsInvalid(where, f"into {table!r}: {problem}", remedy)


def _convert(columns: Sequence[str], batches: Iterable[Sequence[Row]]) -> Iterator[pa.Table]:
    for rows in batches:
        yield make_arrow([], columns, rows)


def plan_file_load(
    client: bigquery.Client,
    destination: bigquery.TableReference,
    file: IO[bytes],
    config: bigquery.LoadJobConfig,
    location: str | None,
) -> JobPlan[bigquery.LoadJob]:
    """Return the plan of a job that loads an open file, from its current position."""
    start = file.tell()
    digest, size = _digest(file, destination)
    file.seek(start)

    def upload(request: JobRequest) -> bigquery.LoadJob:
        left = UPLOADS
        while True:
            file.seek(start)
            try:
                return client.load_table_from_file(
                    file,
                    destination,
                    size=size,
                    num_retries=0,
                    job_id=request.id,
                    location=request.location,
                    job_config=config,
                    timeout=request.timeout,
                )
            except Exception as error:
                left -= 1
                if not left or not is_passing(error):
                    raise
                request.note()

    return JobPlan(kind="load", config=config, start=upload, location=location, digest=digest)


def plan_uri_load(
    client: bigquery.Client,
    destination: bigquery.TableReference,
    uris: Sequence[str],
    config: bigquery.LoadJobConfig,
    location: str | None,
) -> JobPlan[bigquery.LoadJob]:
    """Return the plan of a job that loads objects in Cloud Storage."""

    def start(request: JobRequest) -> bigquery.LoadJob:
        return client.load_table_from_uri(
            list(uris),
            destination,
            job_id=request.id,
            location=request.location,
            job_config=config,
            retry=request.retry,
        )

    digest = json.dumps([str(destination), *uris])
    return JobPlan(kind="load", config=config, start=start, location=location, digest=digest)


def plan_extract(
    client: bigquery.Client,
    source: bigquery.TableReference,
    uris: Sequence[str],
    config: bigquery.ExtractJobConfig,
    location: str | None,
) -> JobPlan[bigquery.ExtractJob]:
    """Return the plan of a job that writes a table to objects in Cloud Storage."""

    def start(request: JobRequest) -> bigquery.ExtractJob:
        return client.extract_table(
            source,
            list(uris),
            job_id=request.id,
            location=request.location,
            job_config=config,
            retry=request.retry,
        )

    digest = json.dumps([str(source), *uris])
    return JobPlan(kind="extract", config=config, start=start, location=location, digest=digest)


@contextmanager
def write_rows(
    tables: Iterable[pa.Table],
    fields: Sequence[bigquery.SchemaField],
    config: bigquery.LoadJobConfig,
) -> Iterator[tuple[IO[bytes], bigquery.LoadJobConfig, int]]:
    """Yield a file of rows, a configuration of a load job for it, and the number of rows.

    The format is Parquet, or JSON if a column is of type JSON, which Parquet files can't load.

    Args:
        tables: the rows.
        fields: the schema of the columns.
        config: the configuration of the job; it is copied.
    """
    config = deepcopy(config)
    config.schema = list(fields)
    parts = iter(tables)
    first, more = next(parts), list(islice(parts, 1))
    is_small = not more and first.nbytes <= IN_MEMORY
    rows = chain([first], more, parts)
    # Not a SpooledTemporaryFile, whose mode google-cloud-bigquery refuses.
    with BytesIO() if is_small else TemporaryFile() as file:
        if any(_has_json(field) for field in fields):
            config.source_format = NDJSON
            count = _write_json(rows, fields, file)
        else:
            config.source_format = PARQUET
            config.parquet_options = _make_parquet_options()
            count = _write_parquet(rows, first.schema, file)
        file.seek(0)
        yield file, config, count


def _write_parquet(tables: Iterable[pa.Table], schema: pa.Schema, file: IO[bytes]) -> int:
    from pyarrow import parquet  # an optional dependency

    count = 0
    with parquet.ParquetWriter(file, schema) as writer:
        for table in tables:
            writer.write_table(table)
            count += table.num_rows
    return count


def _make_parquet_options() -> bigquery.ParquetOptions:
    from google.cloud.bigquery import ParquetOptions  # an optional dependency

    options = ParquetOptions()
    options.enable_list_inference = True  # otherwise lists become records of records
    return options


def _has_json(field: bigquery.SchemaField) -> bool:
    return field.field_type == "JSON" or any(_has_json(inner) for inner in field.fields)


def _write_json(
    tables: Iterable[pa.Table], fields: Sequence[bigquery.SchemaField], file: IO[bytes]
) -> int:
    count, texts = 0, {field.name for field in fields if field.field_type == "JSON"}
    for batch in chain.from_iterable(table.to_batches(10_000) for table in tables):
        for row in batch.to_pylist():
            for name in texts & row.keys():
                if isinstance(row[name], str):
                    row[name] = json.loads(row[name])
            file.write(json.dumps(row, default=_encode).encode() + b"\n")
            count += 1
    return count


def _encode(value: object) -> object:
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, (date, datetime, time)):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"a {type(value).__name__} can't be loaded")


def _digest(file: IO[bytes], destination: bigquery.TableReference) -> tuple[str, int]:
    """Return a digest of a file and its table, and the file's size."""
    found, size = md5(str(destination).encode(), usedforsecurity=False), 0
    while part := file.read(1024 * 1024):
        found.update(part)
        size += len(part)
    return found.hexdigest(), size
