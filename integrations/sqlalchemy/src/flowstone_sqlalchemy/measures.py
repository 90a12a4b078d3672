"""What a run read and wrote, as its measures: ``rows_read`` and ``rows_written``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowstone import record_measures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowstone.blocks.databases import Cursor


class CountedRows:
    """The rows of a cursor; how many were fetched is recorded when it is closed.

    Attributes:
        description: the columns, as the cursor describes them.
    """

    def __init__(self, cursor: Cursor) -> None:
        self.description: Any = cursor.description
        self._cursor, self._count = cursor, 0

    def fetchmany(self, size: int, /) -> Sequence[Any]:
        """Return so many rows, or what is left of them."""
        rows = self._cursor.fetchmany(size)
        self._count += len(rows)
        return rows

    def close(self) -> None:
        """Let go of what is left, and record what was fetched."""
        count, self._count = self._count, 0
        self._cursor.close()
        record_rows(read=count)


def record_rows(*, read: int = 0, written: int = 0) -> None:
    """Record rows that the current run has read or written, if any."""
    if read:
        record_measures(rows_read=read)
    if written:
        record_measures(rows_written=written)
