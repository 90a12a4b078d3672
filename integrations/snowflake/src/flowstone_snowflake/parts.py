"""A part of a query's result, which any process can read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowstone_snowflake.arrow import unify
from flowstone_snowflake.names import fold_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from snowflake.connector.result_batch import ResultBatch


class ResultPart:
    """Rows that are downloaded when they are read; it can be pickled.

    Attributes:
        rows: the number of rows.
    """

    def __init__(self, raw: ResultBatch, description: Sequence[Any]) -> None:
        self.rows = raw.rowcount
        self._raw, self._description = raw, [tuple(column) for column in description]

    def __repr__(self) -> str:
        # The URL of the rows is in the raw part, and gives access to them.
        return f"{type(self).__name__}(rows={self.rows})"

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return [fold_name(column[0]) for column in self._description]

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """Yield the rows, as tuples."""
        if not self.rows:
            return
        for row in self._raw.create_iter():
            if isinstance(row, Exception):
                raise row
            found: Any = row
            yield tuple(bytes(v) if isinstance(v, bytearray) else v for v in found)

    def to_arrow(self) -> Any:
        """Return the rows as an Arrow table."""
        return unify(self._raw.to_arrow(), self._description)

    def to_pandas(self) -> Any:
        """Return the rows as a pandas DataFrame."""
        return self.to_arrow().to_pandas()

    def to_polars(self) -> Any:
        """Return the rows as a polars DataFrame."""
        import polars as pl  # an optional dependency

        return pl.from_arrow(self.to_arrow())
