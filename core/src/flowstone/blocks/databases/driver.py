"""What a provider of a database writes: a connection, its errors, and how a query is stopped."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import closing
from datetime import date, datetime
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowstone.blocks.databases.placeholders import Style
    from flowstone.errors import DatabaseError

Row = tuple[Any, ...]

_numbers = count(1)


class Aware(datetime):
    """Stands for times with a zone, where columns are made for types of values."""


class Cursor(Protocol):
    """The rows of a query, as DB-API cursors have them."""

    @property
    def description(self) -> Any:
        """The columns, each a sequence whose first item is the name; None without rows."""

    def fetchmany(self, size: int, /) -> Sequence[Any]:
        """Return so many rows, or what is left of them."""

    def close(self) -> Any:
        """Let go of what is left of the rows."""


class Driver(ABC):
    """The few operations on one connection that a provider of a database writes.

    They raise the driver's own errors, which `_refused` turns into ours. What is here is made for
    connections that follow DB-API 2.0 in autocommit; a driver that does not overrides more.
    """

    #: How the driver wants placeholders: ``?``, ``%s``, ``:1`` or ``$1``.
    _style: ClassVar[Style] = "qmark"
    #: Connections that are kept open for the next call.
    _keep: ClassVar[int] = 8
    #: Whether a transaction can be begun inside another, and taken back alone.
    _savepoints: ClassVar[bool] = True
    #: What a column is made as, in a table that `insert` creates, by the type of its values.
    _column_types: ClassVar[Mapping[type, str]] = {
        bool: "BOOLEAN",
        int: "BIGINT",
        float: "DOUBLE PRECISION",
        str: "TEXT",
        bytes: "BLOB",
        Decimal: "DECIMAL(38, 10)",
        Aware: "TIMESTAMP WITH TIME ZONE",
        datetime: "TIMESTAMP",
        date: "DATE",
    }

    @abstractmethod
    def _where(self) -> str:
        """Return which database it is, for messages; no secret is in it."""

    @abstractmethod
    def _connect(self, anchor: Any) -> Any:
        """Open a connection that commits each statement, and that any thread may use.

        Args:
            anchor: what `_anchor` has opened.
        """

    @abstractmethod
    def _interrupt(self, connection: Any) -> None:
        """Stop in the database what the connection runs; it is called from another thread."""

    @abstractmethod
    def _refused(self, error: Exception, statement: str | None) -> DatabaseError | None:
        """Return our error for one of the driver's; None for what is none of the driver's.

        Values of parameters may be in the driver's words. What is a parameter of the statement is
        masked by the interface; anything else is left out here.
        """

    def _anchor(self) -> Any:
        """Open what has to stay open as long as a connection is; None for nothing.

        `_disconnect` closes it, too.
        """
        return None

    @staticmethod
    def _disconnect(connection: Any) -> None:
        connection.close()

    def _adapted(self, value: Any) -> Any:
        """Return a value as the driver takes it."""
        return value

    def _execute(self, connection: Any, operation: str, values: Sequence[Any]) -> int:
        """Run one statement, and return how many rows it changed."""
        with closing(connection.cursor()) as cursor:
            cursor.execute(operation, values)
            return max(0, int(cursor.rowcount))  # -1: there is no such number

    def _execute_many(self, connection: Any, operation: str, rows: Sequence[Sequence[Any]]) -> int:
        """Run one statement with each of these, and return how many rows were changed."""
        with closing(connection.cursor()) as cursor:
            cursor.executemany(operation, rows)
            return max(0, int(cursor.rowcount))

    def _query(self, connection: Any, operation: str, values: Sequence[Any]) -> Cursor:
        """Run one statement, and return its rows; not all of them are in memory."""
        cursor = connection.cursor()
        try:
            cursor.execute(operation, values)
        except BaseException:
            cursor.close()
            raise
        found: Cursor = cursor
        return found

    def _begin(self, connection: Any, savepoint: str | None) -> None:
        """Begin a transaction, or a part of one that can be taken back alone."""
        self._execute(connection, "BEGIN" if savepoint is None else f"SAVEPOINT {savepoint}", ())

    def _commit(self, connection: Any, savepoint: str | None) -> None:
        undone = "COMMIT" if savepoint is None else f"RELEASE SAVEPOINT {savepoint}"
        self._execute(connection, undone, ())

    def _rollback(self, connection: Any, savepoint: str | None) -> None:
        if savepoint is None:
            self._execute(connection, "ROLLBACK", ())
            return
        self._execute(connection, f"ROLLBACK TO SAVEPOINT {savepoint}", ())
        self._execute(connection, f"RELEASE SAVEPOINT {savepoint}", ())

    def _quoted(self, name: str) -> str:
        """Return a name of a table or column as it stands in a statement, whatever is in it."""
        escaped = name.replace('"', '""')
        return f'"{escaped}"'

    def _insert(
        self, connection: Any, table: str, columns: Sequence[str], rows: Sequence[Row]
    ) -> None:
        """Add rows to a table, whose name is quoted already; override where bulk is faster."""
        names = ", ".join(map(self._quoted, columns))
        marks = ", ".join(self._mark(place) for place in range(1, len(columns) + 1))
        self._execute_many(connection, f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)  # noqa: S608 - names are quoted

    def _mark(self, place: int) -> str:
        marks = {"qmark": "?", "format": "%s", "numeric": f":{place}", "dollar": f"${place}"}
        return marks[self._style]

    def _create(self, connection: Any, table: str, columns: Mapping[str, type]) -> None:
        """Make a table, if there is none of that name, for values of these types."""
        known = self._column_types
        parts = [
            f"{self._quoted(name)} {known.get(kind, known[str])}" for name, kind in columns.items()
        ]
        self._execute(connection, f"CREATE TABLE IF NOT EXISTS {table} ({', '.join(parts)})", ())


def savepoint_name() -> str:
    """Return a name that no other savepoint of this process has."""
    return f"flowstone_{next(_numbers)}"
