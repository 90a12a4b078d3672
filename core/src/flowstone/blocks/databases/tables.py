"""Query results as tables: Arrow, pandas and polars."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from flowstone.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import ModuleType

    import pyarrow as pa

    from flowstone.blocks.databases.driver import Row


class MixedTypes(ValueError):
    """The values of a column have no common Arrow type; the message contains no values."""


def arrow_table(columns: Sequence[str], rows: Sequence[Row]) -> pa.Table:
    """Return rows as an Arrow table.

    Raises:
        MixedTypes: the values of a column have no common type.
        MissingExtra: pyarrow is not installed.
    """
    arrow = import_arrow("`fetch_arrow`")
    return arrow.Table.from_arrays(_make_arrays(columns, rows), names=list(columns))


def record_batches(columns: Sequence[str], rows: Iterator[list[Row]]) -> Iterator[pa.RecordBatch]:
    """Yield batches of rows as record batches, all with the schema of the first one.

    Raises:
        MixedTypes: the values of a column have no common type, or not that of the first batch.
        MissingExtra: pyarrow is not installed.
    """
    arrow = import_arrow("`stream_arrow`")
    arrays = _make_arrays(columns, next(rows, []))
    schema = arrow.schema(
        [(name, _widen(array.type)) for name, array in zip(columns, arrays, strict=True)]
    )
    yield arrow.RecordBatch.from_arrays(_fit_arrays(arrays, schema), schema=schema)
    for batch in rows:
        arrays = _fit_arrays(_make_arrays(columns, batch), schema)
        yield arrow.RecordBatch.from_arrays(arrays, schema=schema)


def _make_arrays(columns: Sequence[str], rows: Sequence[Row]) -> list[pa.Array]:
    import pyarrow as pa  # an optional dependency, which the callers have checked

    found = []
    values = zip(*rows, strict=True) if rows else [()] * len(columns)
    for name, column in zip(columns, values, strict=True):
        try:
            found.append(pa.array(list(column)))
        except (ValueError, TypeError, OverflowError):  # including Arrow's own, which quote values
            raise MixedTypes(f"column {name!r} has values of several types") from None
    return found


def _fit_arrays(arrays: Sequence[pa.Array], schema: pa.Schema) -> list[pa.Array]:
    return [_fit(array, field) for array, field in zip(arrays, schema, strict=True)]


def _fit(array: pa.Array, field: pa.Field) -> pa.Array:
    """Return an array with the type of a field, but only if none of its values changes."""
    from pyarrow import types  # an optional dependency

    kind = array.type
    becomes_float = types.is_integer(kind) and types.is_floating(field.type)
    if kind == field.type:
        return array
    if types.is_null(kind) or kind.id == field.type.id or becomes_float:
        with suppress(ValueError):  # including Arrow's own
            return array.cast(field.type)
    raise MixedTypes(f"column {field.name!r} has {field.type} in its first rows, and {kind} later")


def _widen(kind: pa.DataType) -> pa.DataType:
    """Return a type with room for later values: a decimal with as many digits as possible."""
    import pyarrow as pa  # an optional dependency, which the callers have checked

    return pa.decimal128(38, kind.scale) if pa.types.is_decimal128(kind) else kind


def import_arrow(wanted: str) -> ModuleType:
    """Return pyarrow.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import pyarrow as pa  # an optional dependency
    except ImportError as error:
        raise MissingExtra(wanted, "flowstone[arrow]") from error
    found: ModuleType = pa
    return found


def pandas_frame(columns: Sequence[str], rows: Sequence[Row]) -> Any:
    """Return rows as a pandas DataFrame."""
    return _import_pandas().DataFrame.from_records(list(rows), columns=list(columns))


def pandas_frame_of_arrow(table: pa.Table) -> Any:
    """Return an Arrow table as a pandas DataFrame."""
    from pyarrow import types  # an optional dependency

    _import_pandas()
    frame = table.to_pandas()
    for place, field in enumerate(table.schema):
        if types.is_nested(field.type):  # a list stays a list, where pandas would make an array
            frame.isetitem(place, table.column(place).to_pylist())
    return frame


def polars_frame(columns: Sequence[str], rows: Sequence[Row]) -> Any:
    """Return rows as a polars DataFrame."""
    frame = _import_polars().DataFrame
    return frame(list(rows), schema=list(columns), orient="row", infer_schema_length=None)


def polars_frame_of_arrow(table: pa.Table) -> Any:
    """Return an Arrow table as a polars DataFrame."""
    return _import_polars().from_arrow(table)


def _import_pandas() -> Any:
    try:
        import pandas as pd  # an optional dependency
    except ImportError as error:
        raise MissingExtra("`fetch_pandas`", "pandas") from error
    return pd


def _import_polars() -> Any:
    try:
        import polars as pl  # an optional dependency
    except ImportError as error:
        raise MissingExtra("`fetch_polars`", "polars") from error
    return pl
