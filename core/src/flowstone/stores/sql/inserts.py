"""Inserts many rows with as few statements and parameters as possible."""

from __future__ import annotations

from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flowstone.stores.sql.run_table import Row

#: Numbers of rows that one statement inserts, largest first.
SIZES = (256, 64, 16, 4, 1)


class Insert(NamedTuple):
    """An insert into a table.

    Attributes:
        columns: the columns; the default of each nullable one is NULL.
        rest: the part of the statement after the values.
    """

    table: str
    columns: tuple[str, ...]
    rest: str

    def split(self, rows: Sequence[Row]) -> Iterator[tuple[str, list[object]]]:
        """Yield statements that insert these rows, with their parameters.

        With one statement for each row, a thread would release and reacquire the GIL for each. That
        takes twice the time, and far more beside busy threads.
        """
        start = 0
        for size in SIZES:
            while len(rows) - start >= size:
                yield self._insert(rows[start : start + size])
                start += size

    def _insert(self, rows: Sequence[Row]) -> tuple[str, list[object]]:
        """Return a statement that inserts these rows, and binds what all of them share once.

        Half of what there is to say of a task run is the same for all runs of its task. Columns
        that are NULL in all rows are left out: before it binds a None, Python's `sqlite3` looks
        for an adapter in vain, which takes as long as ten numbers.
        """
        columns = list(zip(*rows, strict=True))
        shared, own = list[int](), [0]  # by its first column each row is told from the others
        for place, column in enumerate(columns[1:], 1):
            first = column[0]
            if first != column[-1] or column.count(first) < len(rows):
                own.append(place)
            elif first is not None:
                shared.append(place)
        cells = chain.from_iterable(zip(*(columns[place] for place in own), strict=True))
        values = [*(rows[0][place] for place in shared), *cells]
        return _render(self, tuple(shared), tuple(own), len(rows)), values


@lru_cache(maxsize=256)
def _render(insert: Insert, shared: tuple[int, ...], own: tuple[int, ...], count: int) -> str:
    columns = ", ".join(insert.columns[place] for place in (*shared, *own))
    # SQLite and PostgreSQL give the columns of VALUES these names.
    selected = ", ".join([*("?" for _ in shared), *(f"column{n}" for n in range(1, len(own) + 1))])
    rows = ", ".join([f"({', '.join('?' * len(own))})"] * count)
    # Without "WHERE true", SQLite would take ON CONFLICT for the condition of a join.
    given = "FROM (VALUES", rows, ") AS given WHERE true"
    parts = f"INSERT INTO {insert.table} ({columns})", "SELECT", selected, *given, insert.rest
    return " ".join(parts)
