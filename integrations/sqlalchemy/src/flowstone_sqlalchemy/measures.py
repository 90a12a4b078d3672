"""The measures of a run that reads and writes rows: ``rows_read`` and ``rows_written``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowstone import record_measures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowstone.blocks.databases import Cursor


class CountedRows:
    """The rows of a cursor; the number of fetched rows is recorded when it is closed.

    Attributes:
        description: the columns, as the cursor describes them.
    """

    def __init__(self, cursor: Cursor) -> None:
        self.description: Any = cursor.description
        self._cursor, self._count = cursor, 0

    def fetchmany(self, size: int, /) -> Sequence[Any]:
        """Return up to `size` rows."""
        rows = self._cursor.fetchmany(size)
        self._count += len(rows)
        return rows

    def close(self) -> None:
        """Discard the remaining rows, and record the number of fetched ones."""
        count, self._count = self._count, 0
        self._cursor.close()
        record_rows(read=count)


def record_rows(*, read: int = 0, written: int = 0) -> None:
    """Record rows that the current run has read or written, if any."""
    if read:
        record_measures(rows_read=read)
    if written:
        record_measures(rows_written=written)
