"""Rows to insert: dicts, Arrow, pandas, polars, and iterators of such tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from importlib.util import find_spec
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, TypeVar

from flowstone.blocks.databases.driver import ARROW_BATCH, AwareDatetime
from flowstone.errors import MissingExtra

if TYPE_CHECKING:
    import pyarrow as pa

    from flowstone.blocks.databases.driver import Row

T = TypeVar("T")
#: Packages whose frames are converted to rows if a driver does not accept Arrow.
_FRAMES = {"pyarrow", "polars", "pandas"}


class NoRows(ValueError):
    """The value does not contain rows.

    Attributes:
        remedy: what to pass instead.
    """

    def __init__(
        self,
        problem: str,
        remedy: str = "Pass dicts with the same keys, or a table; nothing was added.",
    ) -> None:
        super().__init__(problem)
        self.remedy = remedy


class GivenRows:
    """Rows to be inserted into a table; they can be read once, a part at a time.

    Attributes:
        columns: the names of the columns; empty if there are no rows and the names are unknown.
        kinds: the Python type of each column's values.
    """

    def __init__(self, given: object, size: int, *, use_arrow: bool) -> None:
        """Read the first batch, or the schema.

        Args:
            given: dicts, a table, or an iterator of tables.
            size: the number of rows per batch.
            use_arrow: whether to use Arrow batches when they have the same values as rows.

        Raises:
            NoRows: it has none of the supported types.
            MissingExtra: it supports Arrow's protocol, and pyarrow is not installed.
        """
        given, self._reader = _find_reader(given, use_arrow)
        self._batches: Iterator[tuple[list[str], list[Row]]] = iter(())
        if self._reader is not None and not (use_arrow and _tells_the_same(self._reader, given)):
            rows: object = given if _is_frame(given) else self._reader
            self._reader, given = None, rows
        if self._reader is not None:
            self.columns = list(self._reader.schema.names)
            self.kinds = find_arrow_kinds(self._reader.schema)
            return
        found = batch_rows(given, size)
        first = next(found, None)
        if first is None:
            self.columns, self.kinds = [], {}
        else:
            self.columns, self.kinds = first[0], find_kinds(*first)
            self._batches = chain([first], found)

    @property
    def is_arrow(self) -> bool:
        """Whether to read the rows from `tables`, not from `batches`."""
        return self._reader is not None

    def tables(self) -> Iterator[pa.Table]:
        """Yield the rows as Arrow tables; the last one may be smaller than the others."""
        assert self._reader is not None
        # They are read between calls of the driver, as they may come from the same connection.
        yield from gather(self._reader, ARROW_BATCH)

    def batches(self) -> Iterator[list[Row]]:
        """Yield the rows as tuples, in the order of `columns`.

        Raises:
            NoRows: a row has other columns than the first one.
        """
        for _, rows in self._batches:
            yield rows

    def parts(self) -> Iterator[pa.Table | list[Row]]:
        """Yield from `tables` or `batches`."""
        return self.tables() if self.is_arrow else self.batches()


def _find_reader(given: Any, use_arrow: bool) -> tuple[object, pa.RecordBatchReader | None]:
    """Return the value, and a reader of its batches; None if it must be read as rows."""
    if isinstance(given, (list, Iterator)) and not _speaks_arrow(given):
        items = iter(given)
        first = next(items, None)
        rest = items if first is None else chain([first], items)
        if first is None or not (_speaks_arrow(first) or _is_frame(first)):
            return (given if isinstance(given, list) else rest), None
        return rest, _chain_readers(rest)
    if _is_frame(given) and (not use_arrow or not can_use_arrow()):
        return given, None
    return given, _read(given) if _is_frame(given) or _speaks_arrow(given) else None


def _is_frame(given: object) -> bool:
    return type(given).__module__.partition(".")[0] in _FRAMES and hasattr(given, "columns")


def _speaks_arrow(given: object) -> bool:
    return hasattr(given, "__arrow_c_stream__") or hasattr(given, "__arrow_c_array__")


def _read(given: Any) -> pa.RecordBatchReader | None:
    """Return a table's reader; None if Arrow has no type for its values."""
    try:
        import pyarrow as pa  # an optional dependency
    except ImportError as error:
        raise MissingExtra(f"`insert` of a {type(given).__name__}", "flowstone[arrow]") from error
    package = type(given).__module__.partition(".")[0]
    try:
        if isinstance(given, pa.RecordBatchReader):
            found = given
        elif package == "polars":
            found = given.to_arrow().to_reader()
        elif package == "pandas":
            found = pa.Table.from_pandas(given, preserve_index=False).to_reader()
        elif hasattr(given, "__arrow_c_stream__"):
            found = pa.RecordBatchReader.from_stream(given)
        else:
            found = pa.Table.from_batches([pa.record_batch(given)]).to_reader()
    except (ValueError, TypeError, NotImplementedError, AttributeError):
        return None  # a column of mixed objects, or a duplicate column name
    return _without_views(found)


def _chain_readers(given: Iterable[object]) -> pa.RecordBatchReader:
    """Return one reader for the tables of an iterator; its schema is that of the first table."""
    import pyarrow as pa  # installed, as `_read` has read the first table

    parts = iter(given)
    first = _read_part(next(parts), 0)
    schema = first.schema

    def read() -> Iterator[pa.RecordBatch]:
        yield from first
        for number, part in enumerate(parts, 1):
            table = _read_part(part, number).read_all()
            if set(table.schema.names) != set(schema.names):
                raise NoRows(f"table {number} has other columns than the first")
            try:
                yield from table.select(schema.names).cast(schema).to_batches()
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                raise NoRows(f"table {number} has other types than the first") from error

    return pa.RecordBatchReader.from_batches(schema, read())


def _read_part(part: object, number: int) -> pa.RecordBatchReader:
    found = _read(part) if _is_frame(part) or _speaks_arrow(part) else None
    if found is None:
        raise NoRows(f"table {number} is a {type(part).__name__} that Arrow can't read")
    return found


def _without_views(reader: pa.RecordBatchReader) -> pa.RecordBatchReader:
    """Return a reader without view types for text, which most databases don't accept."""
    import pyarrow as pa  # an optional dependency

    schema = reader.schema
    for place, field in enumerate(schema):
        if pa.types.is_string_view(field.type):
            schema = schema.set(place, field.with_type(pa.large_string()))
        elif pa.types.is_binary_view(field.type):
            schema = schema.set(place, field.with_type(pa.large_binary()))
    if schema.equals(reader.schema):
        return reader
    try:
        return reader.cast(schema)
    except pa.ArrowTypeError:  # older versions don't cast views
        batches = (_convert_views(batch, schema) for batch in reader)
        return pa.RecordBatchReader.from_batches(schema, batches)


def _convert_views(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    import pyarrow as pa  # an optional dependency

    columns = [
        column if column.type == field.type else pa.array(column.to_pylist(), field.type)
        for column, field in zip(batch.columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _tells_the_same(reader: pa.RecordBatchReader, given: object) -> bool:
    """Return whether Arrow has the same values as rows: pandas dicts would get additional keys."""
    nested = type(given).__module__.partition(".")[0] != "pandas"
    return bool(reader.schema.names) and all(
        _is_plain(field.type, nested) for field in reader.schema
    )


def take_batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield items in lists of that size."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def batch_rows(given: Any, size: int) -> Iterator[tuple[list[str], list[Row]]]:
    """Yield rows in batches, each with the names of the columns.

    Raises:
        NoRows: it has none of the supported types, or a row differs from the first one.
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
    for batch in take_batches(rows, size):
        yield columns, batch


def _of_arrow(table: Any, size: int) -> Iterator[tuple[list[str], list[Row]]]:
    columns = list(table.schema.names)
    if hasattr(table, "to_batches"):
        parts = table.to_batches(max_chunksize=size)
    else:
        parts = [table] if hasattr(table, "slice") else table  # one batch, or a reader of several
    for part in parts:
        rows = zip(*(column.to_pylist() for column in part.columns), strict=True)
        yield from _slice_rows(columns, rows, size)


def _of_pandas(frame: Any) -> Iterator[Row]:
    # As objects: Python numbers instead of numpy's; missing values become None.
    objects = frame.astype(object).where(frame.notna(), None)
    for row in objects.itertuples(index=False, name=None):
        yield tuple(v.to_pydatetime() if hasattr(v, "to_pydatetime") else v for v in row)


def _of_dicts(rows: Iterable[object], size: int) -> Iterator[tuple[list[str], list[Row]]]:
    columns: list[str] | None = None
    for number, batch in enumerate(take_batches(rows, size)):
        found = []
        for place, row in enumerate(batch):
            if not isinstance(row, Mapping):
                raise NoRows(f"row {number * size + place} is a {type(row).__name__}, not a dict")
            if columns is None:
                columns = [*row]
                if not columns or not all(isinstance(name, str) for name in columns):
                    raise NoRows("the first row has no column names")
            if row.keys() != set(columns):
                others = sorted(map(repr, row.keys() ^ set(columns)))
                raise NoRows(
                    f"row {number * size + place} has other columns than the first: "
                    f"{', '.join(others)}"
                )
            found.append(tuple(row[name] for name in columns))
        assert columns is not None
        yield columns, found


def find_kinds(columns: Sequence[str], rows: Sequence[Row]) -> dict[str, type]:
    """Return the type of each column's first value that is not None; `str` if there is none."""
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
    """Return whether pyarrow is installed."""
    return find_spec("pyarrow") is not None


def _is_plain(kind: pa.DataType, nested: bool) -> bool:
    """Return whether values of a type are the same in Arrow as in Python rows."""
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
    """Yield the batches of a reader as tables of at least `size` rows; the last may be smaller."""
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
    """Return the Python type of each column's values."""
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
