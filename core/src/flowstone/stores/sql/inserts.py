"""Inserts of many rows: as few statements as will do, which bind as little as will do."""

from __future__ import annotations

from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flowstone.stores.sql.run_table import Row

#: So many rows are inserted by one statement, the most that there are first.
SIZES = (256, 64, 16, 4, 1)


class Insert(NamedTuple):
    """An insert into a table.

    Attributes:
        columns: of each row; NULL is what each has by default that may be NULL.
        rest: of the statement, behind the values.
    """

    table: str
    columns: tuple[str, ...]
    rest: str

    def split(self, rows: Sequence[Row]) -> Iterator[tuple[str, list[object]]]:
        """Yield statements that insert these rows, with their parameters.

        With a statement for each row, a thread would give Python's lock up and wait for it again
        at each one, while the program computes. That costs twice the time, and far more beside
        busy threads.
        """
        start = 0
        for size in SIZES:
            while len(rows) - start >= size:
                yield self._insert(rows[start : start + size])
                start += size

    def _insert(self, rows: Sequence[Row]) -> tuple[str, list[object]]:
        """Return a statement that inserts these rows, without the columns that are NULL in all.

        Before it binds a None, Python's `sqlite3` looks for an adapter in vain, which takes as
        long as ten numbers. Nearly half of what there is to say of a task run is NULL.
        """
        columns = list(zip(*rows, strict=True))
        kept = tuple(
            place
            for place, values in enumerate(columns)
            if values[0] is not None or values.count(None) < len(rows)
        )
        values = chain.from_iterable(zip(*(columns[place] for place in kept), strict=True))
        return _render(self, kept, len(rows)), list(values)


@lru_cache(maxsize=256)
def _render(insert: Insert, kept: tuple[int, ...], count: int) -> str:
    columns = ", ".join(insert.columns[place] for place in kept)
    row = f"({', '.join('?' * len(kept))})"
    parts = f"INSERT INTO {insert.table} ({columns})", "VALUES", ", ".join([row] * count)
    return " ".join((*parts, insert.rest))
