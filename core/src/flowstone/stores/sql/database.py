"""What the stores over SQL need of a database, and of what sees whether processes live."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from flowstone.stores.sql.dialect import Dialect
    from flowstone.stores.sql.run_table import Row

T = TypeVar("T")


class SqlCursor(Protocol):
    """The result of a statement."""

    @property
    def rowcount(self) -> int:
        """The number of changed rows."""

    def fetchone(self) -> Row | None:
        """Return the next row, or None."""

    def fetchall(self) -> list[Row]:
        """Return the remaining rows."""

    def __iter__(self) -> Iterator[Row]:
        """Yield the remaining rows."""


class SqlConnection(Protocol):
    """Executes statements; `sqlite3.Connection` is one.

    In all of them ``?`` stands for a parameter, and for nothing else, so that it can be replaced
    for a driver with another placeholder.
    """

    def execute(self, sql: str, parameters: Sequence[object] = ..., /) -> SqlCursor:
        """Execute a statement."""

    def executemany(self, sql: str, parameters: Iterable[Sequence[object]], /) -> SqlCursor:
        """Execute a statement for each of several parameters."""


class SqlDatabase(Protocol):
    """A database whose work is given as functions of a connection.

    They may be called more than once, so they change nothing but the database. They decide by what
    they read, and a reader of events continues from the highest cursor. So no two are written with
    at a time: a database that could do that takes a lock before each.
    """

    @property
    def dialect(self) -> Dialect:
        """The SQL that only this database has."""

    def read(self, work: Callable[[SqlConnection], T]) -> T:
        """Call `work`; each of its statements sees the database as it is then."""

    def write(self, work: Callable[[SqlConnection], T]) -> T:
        """Call `work` in a transaction of its own: all of it happens, or nothing.

        No other is written with meanwhile, by whichever process.
        """

    def write_in_steps(self, work: Callable[[SqlConnection], bool]) -> None:
        """Call `work`, each time in a transaction of its own, until it returns False.

        Between two steps others have the time to write.
        """

    def close(self) -> None:
        """Close the connection for good."""


class Liveness(Protocol):
    """Sees which processes are alive, where that can be seen from here."""

    def is_alive(self, holder: str) -> bool | None:
        """Say whether the holder of a lease lives; None where that can't be seen from here."""

    def sweep(self) -> None:
        """Remove the marks of dead processes."""
