"""Rows and tables: dicts, Arrow, pandas and polars as rows, and rows as those."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from flowstone.blocks.databases.driver import Aware
from flowstone.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")
Row = tuple[Any, ...]


class NoRows(ValueError):
    """What was given can't be taken as rows."""


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield items in lists of so many."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def batched(given: Any, size: int) -> Iterator[tuple[list[str], list[Row]]]:
    """Yield rows in batches, each with the names of the columns.

    Raises:
        NoRows: it is none of the things that have rows, or a row differs from the first.
    """
    package = type(given).__module__.partition(".")[0]
    if package == "pyarrow" and hasattr(given, "schema"):
        yield from _of_arrow(given, size)
    elif package == "polars":
        yield from _sliced(list(given.columns), given.iter_rows(), size)
    elif package == "pandas":
        yield from _sliced([str(name) for name in given.columns], _of_pandas(given), size)
    elif isinstance(given, Iterable) and not isinstance(given, (Mapping, str, bytes)):
        yield from _of_dicts(given, size)
    else:
        raise NoRows(f"a {type(given).__name__} has no rows")


def _sliced(
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
        yield from _sliced(columns, rows, size)


def _of_pandas(frame: Any) -> Iterator[Row]:
    # Objects: numbers of Python in place of numpy's; what is missing becomes None.
    objects = frame.astype(object).where(frame.notna(), None)
    for row in objects.itertuples(index=False, name=None):
        yield tuple(v.to_pydatetime() if hasattr(v, "to_pydatetime") else v for v in row)


def _of_dicts(rows: Iterable[Any], size: int) -> Iterator[tuple[list[str], list[Row]]]:
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


def _kind(value: Any) -> type:
    return Aware if isinstance(value, datetime) and value.tzinfo is not None else type(value)


def arrow_table(columns: Sequence[str], rows: Sequence[Row]) -> Any:
    """Return rows as a table of Arrow."""
    try:
        import pyarrow as pa  # noqa: PLC0415 - an optional dependency
    except ImportError as error:
        raise MissingExtra("`fetch_arrow`", "flowstone[arrow]") from error
    values = zip(*rows, strict=True) if rows else ((),) * len(columns)
    return pa.Table.from_arrays([pa.array(list(each)) for each in values], names=list(columns))


def pandas_frame(columns: Sequence[str], rows: Sequence[Row]) -> Any:
    """Return rows as a DataFrame of pandas."""
    try:
        import pandas as pd  # noqa: PLC0415 - an optional dependency
    except ImportError as error:
        raise MissingExtra("`fetch_pandas`", "pandas") from error
    return pd.DataFrame.from_records(list(rows), columns=list(columns))


def polars_frame(columns: Sequence[str], rows: Sequence[Row]) -> Any:
    """Return rows as a DataFrame of polars."""
    try:
        import polars as pl  # noqa: PLC0415 - an optional dependency
    except ImportError as error:
        raise MissingExtra("`fetch_polars`", "polars") from error
    return pl.DataFrame(list(rows), schema=list(columns), orient="row", infer_schema_length=None)
