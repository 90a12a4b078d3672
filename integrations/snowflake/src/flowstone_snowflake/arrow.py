"""Results as Arrow, with one type per column, even if the types of the parts differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowstone.errors import QueryInvalid
from flowstone_snowflake.names import fold_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa
    from snowflake.connector.cursor import SnowflakeCursor

FIXED = 0
#: Number of decimal digits that always fit into 64 bits.
DIGITS = 18


def read_batches(cursor: SnowflakeCursor, batch_rows: int) -> pa.RecordBatchReader:
    """Return the rows of a cursor as a reader, which closes it at the end.

    Integers have 64 bits; if those of the first part don't fit, they are decimals.

    Args:
        cursor: a cursor whose query has ended.
        batch_rows: maximum number of rows of a batch.
    """
    import pyarrow as pa  # an optional dependency

    tables = _read_tables(cursor)
    first = next(tables)
    schema = _find_schema(first, list(cursor.description or ()))

    def read() -> Iterator[pa.RecordBatch]:
        try:
            yield from _cast(first, schema).to_batches(max_chunksize=batch_rows)
            for table in tables:
                yield from _cast(table, schema).to_batches(max_chunksize=batch_rows)
        finally:
            cursor.close()

    return pa.RecordBatchReader.from_batches(schema, read())


def unify(table: pa.Table, columns: Sequence[Any]) -> pa.Table:
    """Return a table with the types that `read_batches` uses."""
    return _cast(table, _find_schema(table, columns))


def _read_tables(cursor: SnowflakeCursor) -> Iterator[pa.Table]:
    """Yield at least one table."""
    import pyarrow as pa  # an optional dependency
    from snowflake.connector.errors import NotSupportedError  # is installed: there is a cursor

    try:
        tables = cursor.fetch_arrow_batches()
        first = next(tables, None)
    except NotSupportedError:
        # The result of a statement that is not a query is JSON.
        names = [each[0] for each in cursor.description or ()]
        rows: Sequence[Any] = cursor.fetchall()
        columns = zip(*rows, strict=True) if rows else ((),) * len(names)
        yield pa.Table.from_arrays([pa.array(list(each)) for each in columns], names=names)
        return
    yield cursor.fetch_arrow_all(force_return_table=True) if first is None else first
    yield from tables


def _find_schema(table: pa.Table, columns: Sequence[Any]) -> pa.Schema:
    import pyarrow as pa  # an optional dependency

    return pa.schema(
        [
            pa.field(fold_name(column[0]), _find_type(table.column(place), column))
            for place, column in enumerate(columns)
        ]
    )


def _find_type(values: pa.ChunkedArray, column: Any) -> pa.DataType:
    import pyarrow as pa  # an optional dependency

    code, precision, scale = column[1], column[4], column[5]
    found = values.type
    if code == FIXED and pa.types.is_string(found):
        return pa.int64()
    if code == FIXED and scale:
        return pa.decimal128(precision or 38, scale)
    if code == FIXED:
        return pa.int64() if _fits(values, precision) else pa.decimal128(38, 0)
    if pa.types.is_timestamp(found):
        return pa.timestamp("us", "UTC" if found.tz else None)
    plain = {1: pa.float64(), 3: pa.date32(), 11: pa.binary(), 12: pa.time64("us"), 13: pa.bool_()}
    if code in plain:
        return plain[code]
    return found if pa.types.is_nested(found) else pa.string()


def _fits(values: pa.ChunkedArray, precision: int | None) -> bool:
    import pyarrow as pa  # an optional dependency

    if pa.types.is_integer(values.type) or (precision or 38) <= DIGITS:
        return True
    try:
        values.cast("int64")
    except pa.ArrowInvalid:
        return False
    return True


def _cast(table: pa.Table, schema: pa.Schema) -> pa.Table:
    import pyarrow as pa  # an optional dependency

    columns = []
    for field, values in zip(schema, table.columns, strict=True):
        # Fractions below a microsecond are truncated: Python's types lack them.
        is_safe = not pa.types.is_timestamp(field.type) and not pa.types.is_time(field.type)
        try:
            columns.append(values.cast(field.type, safe=is_safe))
        except pa.ArrowInvalid as error:
            raise QueryInvalid(
                "Snowflake",
                f"column {field.name!r} has numbers that exceed 64 bits, after smaller ones",
                "Cast it in the query: to NUMBER(38, 1), or to VARCHAR.",
            ) from error
    return pa.Table.from_arrays(columns, schema=schema)
