"""Frames of each kind: as pandas for Great Expectations, and their rows in the original kind."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
from pyarrow import types

from flowstone_great_expectations.errors import ValidationInvalid

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Mask = npt.NDArray[np.bool_]

_KINDS = "Pass a pandas or polars DataFrame, an Arrow table, a DatabaseSource or StoredFiles."
#: Arrow's types of integers and booleans, and pandas' nullable types for them.
_NULLABLE = {
    pa.int8(): pd.Int8Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.uint8(): pd.UInt8Dtype(),
    pa.uint16(): pd.UInt16Dtype(),
    pa.uint32(): pd.UInt32Dtype(),
    pa.uint64(): pd.UInt64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
}


class Frame(ABC):
    """In-memory data of one of the supported kinds.

    Attributes:
        data: the rows.
        given: the same rows, as they were passed.
    """

    def __init__(self, data: Any, given: Any = None) -> None:
        self.data = data
        self.given = data if given is None else given

    @abstractmethod
    def to_pandas(self) -> pd.DataFrame:
        """Return a pandas DataFrame for reading, with rows numbered from 0."""

    @abstractmethod
    def to_arrow(self, rows: Mask) -> pa.Table:
        """Return some of its rows as Arrow."""

    @abstractmethod
    def filter(self, rows: Mask) -> Any:
        """Return some of its rows, with the kind and column types of the input."""


class PandasFrame(Frame):
    """A DataFrame of pandas."""

    data: pd.DataFrame

    def to_pandas(self) -> pd.DataFrame:
        shallow = self.data.copy(deep=False)
        shallow.index = pd.RangeIndex(len(shallow))
        return shallow

    def to_arrow(self, rows: Mask) -> pa.Table:
        found = self.data.loc[rows]
        # Columns with mixed types, as in bad data, are written as text.
        fit = {name: _fit_column(found.iloc[:, at]) for at, name in enumerate(found.columns)}
        labels = not isinstance(self.data.index, pd.RangeIndex)
        return pa.Table.from_pandas(pd.DataFrame(fit, index=found.index), preserve_index=labels)

    def filter(self, rows: Mask) -> pd.DataFrame:
        return self.data.loc[rows]


class ArrowFrame(Frame):
    """A table of Arrow."""

    data: pa.Table

    def to_pandas(self) -> pd.DataFrame:
        table = _simplify(self.data)
        frame: pd.DataFrame = table.to_pandas(ignore_metadata=True)
        for at, name in enumerate(table.column_names):
            column = table.column(at)
            # A null would turn integers into floats, and make large ones equal.
            if column.null_count and column.type in _NULLABLE:
                frame[name] = column.to_pandas(types_mapper=_NULLABLE.get)
        return frame

    def to_arrow(self, rows: Mask) -> pa.Table:
        return self.data.filter(pa.array(rows))

    def filter(self, rows: Mask) -> pa.Table:
        return self.to_arrow(rows)


class RecordBatchFrame(ArrowFrame):
    """A record batch of Arrow."""

    def __init__(self, data: pa.RecordBatch) -> None:
        super().__init__(pa.Table.from_batches([data]), data)

    def filter(self, rows: Mask) -> pa.RecordBatch:
        batches = self.to_arrow(rows).combine_chunks().to_batches()
        return batches[0] if batches else pa.RecordBatch.from_pylist([], self.data.schema)


class PolarsFrame(Frame):
    """A DataFrame of polars."""

    def to_pandas(self) -> pd.DataFrame:
        return ArrowFrame(self.data.to_arrow()).to_pandas()

    def to_arrow(self, rows: Mask) -> pa.Table:
        found: pa.Table = self.filter(rows).to_arrow()
        return found

    def filter(self, rows: Mask) -> Any:
        return self.data.filter(sys.modules["polars"].Series(rows))


def take_frame(data: object) -> Frame:
    """Return in-memory data as a `Frame`.

    Raises:
        ValidationInvalid: its type is not supported, or two of its columns have the same name.
    """
    frame = _find_kind(data)
    names = [str(name) for name in getattr(frame.data, "column_names", frame.data.columns)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        problem = f"two columns have the name {twice[0]!r}"
        raise ValidationInvalid("the data", problem, "Rename one of them.")
    return frame


def _find_kind(data: object) -> Frame:
    if isinstance(data, pd.DataFrame):
        return PandasFrame(data)
    if isinstance(data, pa.Table):
        return ArrowFrame(data)
    if isinstance(data, pa.RecordBatch):
        return RecordBatchFrame(data)
    kind = type(data)
    module = kind.__module__.partition(".")[0]
    if module == "polars" and kind.__name__ == "DataFrame":
        return PolarsFrame(data)
    if module == "polars" and kind.__name__ == "LazyFrame":
        raise ValidationInvalid(
            "the data", "a LazyFrame has no rows yet", "Call `collect()` first."
        )
    if hasattr(data, "__arrow_c_stream__"):
        return ArrowFrame(pa.table(data))
    raise ValidationInvalid("the data", f"a {kind.__name__} can't be validated", _KINDS)


def _simplify(table: pa.Table) -> pa.Table:
    """Return a table with types that all versions of pyarrow give to pandas.

    Categories become their values, which Great Expectations can compare.
    """
    fields = [each.with_type(_simplify_type(each.type)) for each in table.schema]
    schema = pa.schema(fields)
    return table if schema.equals(table.schema) else table.cast(schema)


def _simplify_type(kind: pa.DataType) -> pa.DataType:
    if types.is_dictionary(kind):
        return _simplify_type(kind.value_type)
    return pa.large_string() if types.is_string_view(kind) else kind


def _fit_column(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return a column that Arrow can store: unchanged, or as text if its types are mixed."""
    if column.dtype != object:
        return column
    try:
        pa.array(column, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        return column.map(lambda value: None if value is None else str(value)).astype(object)
    return column
