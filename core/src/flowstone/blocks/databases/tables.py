"""Rows that a database returned as tables: of Arrow, pandas and polars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowstone.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import ModuleType

    import pyarrow as pa

    from flowstone.blocks.databases.driver import Row


def arrow_table(columns: Sequence[str], rows: Sequence[Row]) -> pa.Table:
    """Return rows as a table of Arrow."""
    arrow = import_arrow("`fetch_arrow`")
    values = zip(*rows, strict=True) if rows else ((),) * len(columns)
    return arrow.Table.from_arrays(
        [arrow.array(list(each)) for each in values], names=list(columns)
    )


class MixedTypes(ValueError):
    """A column has values of different types."""


def record_batches(columns: Sequence[str], rows: Iterator[list[Row]]) -> Iterator[pa.RecordBatch]:
    """Yield batches of rows as record batches, all of the schema of the first.

    Raises:
        MixedTypes: a later value does not fit the type of the first ones.
    """
    arrow = import_arrow("`stream_arrow`")
    schema: pa.Schema | None = None
    for batch in rows:
        values = [list(column) for column in zip(*batch, strict=True)]
        if schema is None:
            table = arrow.RecordBatch.from_arrays(
                [arrow.array(each) for each in values], list(columns)
            )
            schema = table.schema
            yield table
            continue
        try:
            typed = [
                arrow.array(each, field.type) for each, field in zip(values, schema, strict=True)
            ]
        except (arrow.ArrowInvalid, arrow.ArrowTypeError) as error:
            raise MixedTypes(str(error)) from None
        yield arrow.RecordBatch.from_arrays(typed, schema=schema)
    if schema is None:
        yield arrow.RecordBatch.from_arrays([arrow.array([])] * len(columns), list(columns))


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
    """Return rows as a DataFrame of pandas."""
    return _import_pandas().DataFrame.from_records(list(rows), columns=list(columns))


def pandas_frame_of_arrow(table: pa.Table) -> Any:
    """Return a table of Arrow as a DataFrame of pandas."""
    from pyarrow import types  # an optional dependency

    _import_pandas()
    frame = table.to_pandas()
    for place, field in enumerate(table.schema):
        if types.is_nested(field.type):  # a list stays a list, where pandas makes arrays
            frame.isetitem(place, table.column(place).to_pylist())
    return frame


def polars_frame(columns: Sequence[str], rows: Sequence[Row]) -> Any:
    """Return rows as a DataFrame of polars."""
    frame = _import_polars().DataFrame
    return frame(list(rows), schema=list(columns), orient="row", infer_schema_length=None)


def polars_frame_of_arrow(table: pa.Table) -> Any:
    """Return a table of Arrow as a DataFrame of polars."""
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
