"""Rows and tables: dicts, Arrow, pandas and polars as rows, and rows as those."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from importlib.util import find_spec
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from flowstone.blocks.databases.driver import AwareDatetime
from flowstone.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from flowstone.blocks.databases.driver import Row

T = TypeVar("T")


class NoRows(ValueError):
    """What was given can't be taken as rows."""


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield items in lists of so many."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def batch_rows(given: Any, size: int) -> Iterator[tuple[list[str], list[Row]]]:
    """Yield rows in batches, each with the names of the columns.

    Raises:
        NoRows: it is none of the things that have rows, or a row differs from the first.
    """
    package = type(given).__module__.partition(".")[0]
    if package == "pyarrow" and hasattr(given, "schema"):
        yield from _of_arrow(given, size)
    elif package == "polars":
        yield from _slice_rows(list(given.columns), given.iter_rows(), size)
    elif package == "pandas":
        yield from _slice_rows([str(name) for name in given.columns], _of_pandas(given), size)
    elif isinstance(given, Iterable) and not isinstance(given, (Mapping, str, bytes)):
        yield from _of_dicts(given, size)
    else:
        raise NoRows(f"a {type(given).__name__} has no rows")


def _slice_rows(
    columns: list[str], rows: Iterable[Row], size: int
) -> Iterator[tuple[list[str], list[Row]]]:
    for batch in batches(rows, size):
        yield columns, batch


def _of_arrow(table: Any, size: int) -> Iterator[tuple[list[str], list[Row]]]:
    columns = list(table.schema.names)
    if hasattr(table, "to_batches"):
        parts = table.to_batches(max_chunksize=size)
    else:
        parts = [table] if hasattr(table, "slice") else table  # one batch, or a reader of them
    for part in parts:
        rows = zip(*(column.to_pylist() for column in part.columns), strict=True)
        yield from _slice_rows(columns, rows, size)


def _of_pandas(frame: Any) -> Iterator[Row]:
    # Objects: numbers of Python in place of numpy's; what is missing becomes None.
    objects = frame.astype(object).where(frame.notna(), None)
    for row in objects.itertuples(index=False, name=None):
        yield tuple(v.to_pydatetime() if hasattr(v, "to_pydatetime") else v for v in row)


def _of_dicts(rows: Iterable[object], size: int) -> Iterator[tuple[list[str], list[Row]]]:
    columns: list[str] | None = None
    for number, batch in enumerate(batches(rows, size)):
        found = []
        for place, row in enumerate(batch):
            if not isinstance(row, Mapping):
                raise NoRows(f"row {number * size + place} is a {type(row).__name__}, not a dict")
            if columns is None:
                columns = [*row]
                if not columns or not all(isinstance(name, str) for name in columns):
                    raise NoRows("the first row does not name its columns")
            if row.keys() != set(columns):
                others = sorted(map(repr, row.keys() ^ set(columns)))
                raise NoRows(
                    f"row {number * size + place} has other columns than the first: "
                    f"{', '.join(others)}"
                )
            found.append(tuple(row[name] for name in columns))
        assert columns is not None
        yield columns, found


def kinds(columns: Sequence[str], rows: Sequence[Row]) -> dict[str, type]:
    """Return the type of each column, of the first value that is not None; `str` without one."""
    found: dict[str, type] = {}
    for name, values in zip(columns, zip(*rows, strict=True), strict=True):
        types = {_kind(value) for value in values if value is not None}
        found[name] = float if types == {int, float} else next(iter(types), str)
    return found


def _kind(value: object) -> type:
    return (
        AwareDatetime if isinstance(value, datetime) and value.tzinfo is not None else type(value)
    )


def can_use_arrow() -> bool:
    """Tell whether pyarrow is installed."""
    return find_spec("pyarrow") is not None


def read_arrow(given: object) -> pa.RecordBatchReader | None:
    """Return a table as a reader of Arrow; None where it has to go by rows.

    That is where it is no table, or has what Arrow and rows don't tell in the same way.
    """
    package = type(given).__module__.partition(".")[0]
    if package not in {"pyarrow", "polars", "pandas"} or not can_use_arrow():
        return None
    import pyarrow as pa  # an optional dependency

    found: Any = given
    try:
        if package == "polars":
            found = found.to_arrow()
        elif package == "pandas":
            found = pa.Table.from_pandas(found, preserve_index=False)
    except (ValueError, TypeError, NotImplementedError):
        return None  # a column of mixed objects, or a name that is there twice
    if isinstance(found, pa.RecordBatch):
        found = pa.Table.from_batches([found])
    if isinstance(found, pa.Table):
        found = found.to_reader()
    if not isinstance(found, pa.RecordBatchReader) or not found.schema.names:
        return None
    # Dicts and lists of pandas would get one type, and with it keys that they don't have.
    nested = package != "pandas"
    return found if all(_is_plain(field.type, nested) for field in found.schema) else None


def _is_plain(kind: pa.DataType, nested: bool) -> bool:
    """Tell whether values of a type mean the same in Arrow as in rows of Python."""
    from pyarrow import types  # an optional dependency

    if types.is_dictionary(kind):
        return _is_plain(kind.value_type, nested)
    if types.is_struct(kind):
        return nested and all(_is_plain(field.type, nested) for field in kind)
    if types.is_list(kind) or types.is_large_list(kind):
        return nested and _is_plain(kind.value_type, nested)
    same = (
        types.is_null, types.is_boolean, types.is_integer, types.is_float32, types.is_float64,
        types.is_decimal128, types.is_string, types.is_large_string, types.is_binary,
        types.is_large_binary, types.is_date, types.is_timestamp, types.is_time,
    )  # fmt: skip
    return any(test(kind) for test in same)


def gather(reader: pa.RecordBatchReader, size: int) -> Iterator[pa.Table]:
    """Yield the batches of a reader in tables of at least so many rows, the last apart."""
    import pyarrow as pa  # an optional dependency

    parts: list[pa.RecordBatch] = []
    for part in reader:
        parts.append(part)
        if sum(each.num_rows for each in parts) >= size:
            yield pa.Table.from_batches(parts)
            parts = []
    if any(part.num_rows for part in parts):
        yield pa.Table.from_batches(parts)


def find_arrow_kinds(schema: pa.Schema) -> dict[str, type]:
    """Return the type that values of each column have in Python."""
    return {field.name: _find_arrow_kind(field.type) for field in schema}


def _find_arrow_kind(kind: pa.DataType) -> type:
    from pyarrow import types  # an optional dependency

    if types.is_dictionary(kind):
        return _find_arrow_kind(kind.value_type)
    if types.is_timestamp(kind):
        return datetime if kind.tz is None else AwareDatetime
    tests = {
        types.is_boolean: bool, types.is_integer: int, types.is_floating: float,
        types.is_decimal: Decimal, types.is_binary: bytes, types.is_large_binary: bytes,
        types.is_date: date, types.is_list: list, types.is_large_list: list, types.is_struct: dict,
    }  # fmt: skip
    return next((python for test, python in tests.items() if test(kind)), str)


def arrow_table(columns: Sequence[str], rows: Sequence[Row]) -> Any:
    """Return rows as a table of Arrow."""
    try:
        import pyarrow as pa  # an optional dependency
    except ImportError as error:
        raise MissingExtra("`fetch_arrow`", "flowstone[arrow]") from error
    values = zip(*rows, strict=True) if rows else ((),) * len(columns)
    return pa.Table.from_arrays([pa.array(list(each)) for each in values], names=list(columns))


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
