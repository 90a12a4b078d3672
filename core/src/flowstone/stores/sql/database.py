"""The interfaces that stores over SQL need: a database, and liveness checks of processes."""

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

    In statements, ``?`` is always a placeholder, so that it can be replaced for a driver with other
    placeholders.
    """

    def execute(self, sql: str, parameters: Sequence[object] = ..., /) -> SqlCursor:
        """Execute a statement."""

    def executemany(self, sql: str, parameters: Iterable[Sequence[object]], /) -> SqlCursor:
        """Execute a statement once for each sequence of parameters."""


class SqlDatabase(Protocol):
    """A database that executes work passed as functions of a connection.

    They may be called more than once, so they must have no other side effects. As they make
    decisions based on what they read, and readers of events continue from the highest cursor, only
    one may write at a time: a database with concurrent writers takes a lock before each.
    """

    @property
    def dialect(self) -> Dialect:
        """The SQL that is specific to this database."""

    def read(self, work: Callable[[SqlConnection], T]) -> T:
        """Call `work`; each of its statements sees the current state of the database."""

    def write(self, work: Callable[[SqlConnection], T]) -> T:
        """Call `work` in a transaction.

        No other process or thread writes in the meantime.
        """

    def write_in_steps(self, work: Callable[[SqlConnection], bool]) -> None:
        """Call `work`, each time in a new transaction, until it returns False.

        Between two steps, other processes have time to write.
        """

    def close(self) -> None:
        """Close the connection for good."""


class Liveness(Protocol):
    """Checks which processes are alive, if that is possible from this machine."""

    def is_alive(self, holder: str) -> bool | None:
        """Return whether the holder of a lease is alive; None if it can't be checked from here."""

    def sweep(self) -> None:
        """Remove the marks of dead processes."""
