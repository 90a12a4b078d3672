"""Rows of PostgreSQL as Arrow, through ADBC, or through psycopg inside a transaction.

ADBC has its own connection, which does not see the uncommitted changes of psycopg's.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psycopg
import pyarrow as pa
from adbc_driver_postgresql import dbapi as adbc
from psycopg.conninfo import make_conninfo

from flowstone_sqlalchemy.errors import ReadFailed
from flowstone_sqlalchemy.measures import record_rows
from flowstone_sqlalchemy.postgres_connection import LOOK, only_reads
from flowstone_sqlalchemy.postgres_types import (
    Column,
    find_cast,
    find_name,
    make_column,
    make_decimal,
    make_encoder,
)
from flowstone_sqlalchemy.statements import DOLLAR, POSTGRES, replace_places

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from flowstone.blocks.databases import Cursor
    from flowstone_sqlalchemy.postgres_connection import PostgresConnection

#: Maximum bytes that ADBC fetches at a time; each column of a row is estimated at `WIDTH` bytes.
MOST, WIDTH = 16 * 1024 * 1024, 32
#: Arguments of psycopg that libpq does not have.
_OF_PSYCOPG = frozenset(
    {"autocommit", "context", "cursor_factory", "prepare_threshold", "row_factory"}
)


#: Types that psycopg parses, but that are text in Arrow.
_TEXTS = {"json": "text", "jsonb": "text", "_json": "text[]", "_jsonb": "text[]"}


class ArrowConnection:
    """An ADBC connection to the same database as a psycopg connection.

    Attributes:
        raw: ADBC's connection.
    """

    def __init__(self, arguments: Mapping[str, Any], *, looks: bool, pooled: bool) -> None:
        words = {key: value for key, value in arguments.items() if key not in _OF_PSYCOPG}
        # In a transaction, a pooler stays in one session, which preparing a statement needs.
        self.raw = adbc.connect(make_conninfo(**words), autocommit=not pooled)
        self.limit: int | None = None
        if looks:
            # Poolers refuse settings in the `options` of the connection.
            with suppress(Exception), self.raw.cursor() as cursor:  # not supported on some systems
                cursor.execute(f"SET client_connection_check_interval = '{LOOK}s'")
        elif pooled:
            self._begin()

    def _begin(self) -> None:
        """Begin the transaction, which ADBC would defer until a statement is executed."""
        try:
            with self.raw.cursor() as cursor:
                cursor.execute("SELECT 1")
        except BaseException:
            self.close()
            raise

    def set_limit(self, seconds: int | None) -> None:
        """Set the server's limit for statements, in seconds; None for no limit."""
        if seconds != self.limit:
            with self.raw.cursor() as cursor:
                cursor.execute(f"SET statement_timeout = {1000 * (seconds or 0)}")
            self.limit = seconds

    def works(self) -> bool:
        """Return whether the server still responds."""
        with suppress(Exception), self.raw.cursor() as cursor:  # otherwise another one is opened
            cursor.adbc_execute_schema("SELECT 1")
            return True
        return False

    def cancel(self) -> None:
        """Cancel its statement."""
        with suppress(Exception):  # it is idle, or closed
            self.raw.adbc_cancel()

    def close(self) -> None:
        """Close it, and cancel its statement."""
        self.cancel()
        with suppress(Exception):
            self.raw.close()


def open_reader(
    connection: PostgresConnection,
    operation: str,
    values: Sequence[object],
    batch_rows: int,
    *,
    whole: bool = False,
) -> pa.RecordBatchReader:
    """Run a statement, and return a reader of its rows.

    Args:
        connection: the connection.
        operation: the statement.
        values: the values of its parameters.
        batch_rows: approximate number of rows to fetch at a time.
        whole: whether all rows are in memory before the types of columns are chosen.
    """
    if connection.in_transaction or not only_reads(operation):
        source = _read_rows(connection, operation, values, batch_rows)
    else:
        source = _read_native(connection, _merge(connection, operation, values), batch_rows)
    columns: list[Column] = next(source)
    first = [*source] if whole else [batch for batch in (next(source, None),) if batch is not None]
    for place, column in enumerate(columns):
        column.decide([batch.column(place) for batch in first], whole=whole)
    schema = pa.schema([column.field for column in columns])
    made = _convert(columns, schema, first, source, batch_rows)
    return pa.RecordBatchReader.from_batches(schema, made)


def _convert(
    columns: Sequence[Column],
    schema: pa.Schema,
    first: Sequence[pa.RecordBatch],
    source: Iterator[Any],
    batch_rows: int,
) -> Iterator[pa.RecordBatch]:
    count = 0

    def convert(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        nonlocal count
        for batch in batches:
            count += batch.num_rows
            pairs = zip(columns, batch.columns, strict=True)
            made = [column.convert(array) for column, array in pairs]
            found = pa.RecordBatch.from_arrays(made, schema=schema)
            for start in range(0, found.num_rows, batch_rows):
                yield found.slice(start, batch_rows)

    try:
        yield from convert(first)
        yield from convert(source)
    finally:
        source.close()  # type: ignore[attr-defined]
        record_rows(read=count)


# -- by ADBC -----------------------------------------------------------------------------------


def _merge(connection: PostgresConnection, operation: str, values: Sequence[object]) -> str:
    """Return a statement with its values as literals, quoted by psycopg: COPY has no parameters."""
    text = _strip(operation)
    if values:
        literals = [psycopg.sql.Literal(value).as_string(connection.raw) for value in values]
        text = replace_places(text, POSTGRES, DOLLAR, literals.__getitem__)
    return text


def _strip(operation: str) -> str:
    """Return a statement in a form that can be put in parentheses."""
    text = operation.strip()
    while text.endswith(";"):
        text = text[:-1].rstrip()
    return f"{text}\n" if "--" in text else text


def _read_native(connection: PostgresConnection, query: str, batch_rows: int) -> Iterator[Any]:
    """Yield the columns, then ADBC's batches."""
    arrow = connection.take_arrow()
    finished = False
    cursor = arrow.raw.cursor()
    try:
        fields = list(cursor.adbc_execute_schema(query))
        casts = [find_cast(find_name(field)) for field in fields]
        hint = min(MOST, batch_rows * WIDTH * max(1, len(fields)))
        cursor.adbc_statement.set_options(**{"adbc.postgresql.batch_size_hint_bytes": str(hint)})
        cursor.execute(_cast(query, casts) if any(casts) else query)
        reader = cursor.fetch_record_batch()
        columns = [Column.of(field) for field in reader.schema]
        for column, field in zip(columns, fields, strict=True):
            column.name = field.name
        yield columns
        yield from _read_batches(reader)
        finished = True
    finally:
        if not finished:
            arrow.cancel()
        with suppress(Exception):  # a half-read result fails
            cursor.close()
        connection.give_back_arrow(arrow, usable=finished)


def _read_batches(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """Yield batches; translate errors of the server, of which Arrow has only the message."""
    while True:
        try:
            batch = reader.read_next_batch()
        except StopIteration:
            return
        except (OSError, pa.ArrowException) as error:
            words = str(error)
        else:
            yield batch
            continue
        raise ReadFailed(words)


def _cast(query: str, casts: Sequence[str | None]) -> str:
    """Return a query for the same rows, with some columns cast to types that Arrow has."""
    names = [f"c{place}" for place in range(len(casts))]
    parts = [name + (f"::{cast}" if cast else "") for name, cast in zip(names, casts, strict=True)]
    return f"SELECT {', '.join(parts)} FROM ({query}) AS q({', '.join(names)})"  # noqa: S608 - its own names


# -- by rows -----------------------------------------------------------------------------------


def _read_rows(
    connection: PostgresConnection, operation: str, values: Sequence[object], batch_rows: int
) -> Iterator[Any]:
    """Yield the columns, then batches that are built from psycopg's rows."""
    cursor = connection.query(operation, values, batch_rows)
    try:
        names = [each.name for each in cursor.description or ()]
        kinds = _find_kinds(connection, cursor)
        casts = [find_cast(kind) or _TEXTS.get(kind) for kind in kinds]
        if any(casts) and only_reads(operation):  # a server-side cursor, which has read nothing yet
            cursor.close()
            cursor = connection.query(_cast(_strip(operation), casts), values, batch_rows)
            kinds = _find_kinds(connection, cursor)
        columns, types = [], []
        for name, each, kind in zip(names, cursor.description or (), kinds, strict=True):
            decimal = make_decimal(each.precision or 0, each.scale or 0)
            column, inner = make_column(name, kind, decimal)
            columns.append(column)
            types.append(pa.list_(inner) if column.is_list else inner)
        yield columns
        encoders = list(map(make_encoder, kinds))
        while rows := cursor.fetchmany(batch_rows):
            each_column = zip(zip(*rows, strict=True), columns, encoders, types, strict=True)
            arrays = [
                pa.array(_encode(values, encoder, column.is_list), type=kind)
                for values, column, encoder, kind in each_column
            ]
            yield pa.RecordBatch.from_arrays(arrays, names=names)
    finally:
        cursor.close()


def _find_kinds(connection: PostgresConnection, cursor: Cursor) -> list[str]:
    """Return PostgreSQL's names of the column types of a result."""
    types, kinds = connection.raw.adapters.types, []
    for each in cursor.description or ():
        found = types.get(each.type_code)
        is_array = found is not None and found.array_oid == each.type_code
        kinds.append("unknown" if found is None else ("_" if is_array else "") + found.name)
    return kinds


def _encode(values: Sequence[Any], encoder: Any, is_list: bool) -> Sequence[Any]:
    if encoder is None:
        return values
    return [
        None if value is None
        else [None if each is None else encoder(each) for each in value] if is_list
        else encoder(value)
        for value in values
    ]  # fmt: skip
