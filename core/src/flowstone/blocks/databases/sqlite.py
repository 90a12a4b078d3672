"""SqliteDatabase: a database in a local file, or in memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from json import dumps
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar
from urllib.parse import quote
from uuid import uuid4

from pydantic import Field

from flowstone.blocks.databases.database import Database
from flowstone.blocks.databases.driver import DBAPIDriver
from flowstone.errors import (
    DatabaseBusy,
    DatabaseDenied,
    DatabaseError,
    DatabaseUnreachable,
    IntegrityViolated,
    QueryCancelled,
    QueryInvalid,
    TableMissing,
)
from flowstone.records.access import DatabaseAccess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flowstone.blocks.databases.driver import Cursor

T = TypeVar("T")

MEMORY = ":memory:"
#: Seconds for which SQLite itself waits for a lock before we check whether to stop.
NAP = 0.1

_UNREADABLE = "Check the path, the disk, and that the file is an SQLite database."
_KINDS: dict[int, tuple[type[DatabaseError], str]] = {
    sqlite3.SQLITE_AUTH: (DatabaseDenied, "Check the file's permissions."),
    sqlite3.SQLITE_BUSY: (DatabaseBusy, "Find out what keeps a transaction open, and end it."),
    sqlite3.SQLITE_CANTOPEN: (DatabaseUnreachable, _UNREADABLE),
    sqlite3.SQLITE_CONSTRAINT: (IntegrityViolated, "Fix the row, or the constraint."),
    sqlite3.SQLITE_CORRUPT: (DatabaseUnreachable, _UNREADABLE),
    sqlite3.SQLITE_FULL: (DatabaseUnreachable, "Free some space on the disk."),
    sqlite3.SQLITE_INTERRUPT: (QueryCancelled, "Run it again if you still need it."),
    sqlite3.SQLITE_IOERR: (DatabaseUnreachable, _UNREADABLE),
    sqlite3.SQLITE_LOCKED: (DatabaseBusy, "Find out what keeps a transaction open, and end it."),
    sqlite3.SQLITE_NOTADB: (DatabaseUnreachable, _UNREADABLE),
    sqlite3.SQLITE_PERM: (DatabaseDenied, "Check the file's permissions."),
    sqlite3.SQLITE_READONLY: (
        DatabaseDenied,
        "Set read_only=False, or check the file's permissions.",
    ),
}
_READ_ONLY = {"mode": "ro"}
_FIX = "Fix the statement or its parameters."


class SqliteDatabase(Database):
    """An SQLite database.

    A file is in WAL mode: readers and one writer don't wait for each other. An in-memory database
    belongs to one block, whose threads share it, and is deleted when the block is closed. SQLite
    stores None, int, float, str and bytes; a bool is read back as an int, a Decimal, a date or a
    time as text in ISO form, a list or dict as JSON.
    """

    _block_type_name: ClassVar[str | None] = "SQLite Database"
    _description: ClassVar[str | None] = "An SQLite database in a file or in memory."
    _code_example: ClassVar[str | None] = (
        'SqliteDatabase(path="shop.db").save("shop")\n'
        'with SqliteDatabase.load("shop") as shop:\n'
        '    shop.insert("orders", [{"id": 1, "item": "tea"}], create=True)\n'
        '    print(shop.fetch_all("SELECT item FROM orders WHERE id = :id", {"id": 1}))'
    )

    path: str = Field(
        default=MEMORY,
        description="The file, created if it is missing; ~ is your home. "
        "':memory:' is an in-memory database.",
    )
    read_only: bool = Field(default=False, description="Whether to refuse writes.")
    busy_seconds: float = Field(
        default=30.0, ge=0, description="Seconds to wait for other writers."
    )

    def make_driver(self) -> SqliteDriver:
        """Return a driver for the file, or for a new in-memory database."""
        return SqliteDriver(self.path, read_only=self.read_only, busy_seconds=self.busy_seconds)


class SqliteConnection(sqlite3.Connection):
    """A connection with a flag that stops what it runs."""

    stopped = False


class SqliteDriver(DBAPIDriver[SqliteConnection]):
    """SQLite of the standard library, with one file or one in-memory database."""

    column_types: Mapping[type, str] = {
        bool: "INTEGER", int: "INTEGER", float: "REAL", str: "TEXT", bytes: "BLOB",
    }  # fmt: skip

    def __init__(self, path: str, *, read_only: bool = False, busy_seconds: float = 30.0) -> None:
        super().__init__(f"SQLite {path}")
        self._read_only, self._busy_seconds = read_only, busy_seconds
        self._in_memory = path == MEMORY
        self._path = str(Path(path).expanduser().absolute())
        if self._in_memory:
            self._uri = f"file:/flowstone-{uuid4().hex}?vfs=memdb"
        else:
            mode = "ro" if read_only else "rwc"
            self._uri = f"file:{quote(self._path)}?mode={mode}"
        self._anchor: SqliteConnection | None = None

    def make_access(self) -> DatabaseAccess:
        if self._in_memory:
            return super().make_access()
        return DatabaseAccess("sqlite", self._path, options=_READ_ONLY if self._read_only else {})

    def open(self) -> None:
        """Open a connection that keeps an in-memory database alive."""
        if self._in_memory:
            self._anchor = self._connect()

    def close(self) -> None:
        """Close the connection that keeps an in-memory database alive."""
        anchor, self._anchor = self._anchor, None
        if anchor is not None:
            anchor.close()

    def connect(self) -> SqliteConnection:
        """Open a connection, to a file in WAL mode."""
        connection = self._connect()
        if not self._in_memory and not self._read_only:
            try:
                self._wait(connection, lambda: connection.execute("PRAGMA journal_mode=WAL"))
            except BaseException:
                connection.close()
                raise
        return connection

    def _connect(self) -> SqliteConnection:
        connection = sqlite3.connect(
            self._uri, uri=True, timeout=min(NAP, self._busy_seconds), isolation_level=None,
            check_same_thread=False, factory=SqliteConnection,
        )  # fmt: skip
        connection.execute("PRAGMA foreign_keys=ON").close()
        return connection

    def interrupt(self, connection: SqliteConnection) -> None:
        """Stop what a connection runs, or is about to run, and its wait for locks."""
        connection.stopped = True
        connection.interrupt()

    def _wait(self, connection: SqliteConnection, work: Callable[[], T]) -> T:
        """Wait for locks with short timeouts: a wait in SQLite itself can't be stopped."""
        end = monotonic() + self._busy_seconds
        while True:
            try:
                return work()
            except sqlite3.OperationalError as error:
                busy = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or connection.stopped or monotonic() > end:
                    raise

    def execute(
        self, connection: SqliteConnection, operation: str, values: Sequence[object]
    ) -> int:
        """Run one statement, and return the number of changed rows; 0 if it is unknown."""
        run = super().execute
        return self._wait(connection, lambda: run(connection, operation, values))

    def query(
        self, connection: SqliteConnection, operation: str, values: Sequence[object]
    ) -> Cursor:
        """Run one statement, and return its rows."""
        run = super().query
        cursor = self._wait(connection, lambda: run(connection, operation, values))
        # Readers of an in-memory database block writers, even in the same thread, so fetch all
        # rows.
        return FetchedRows(cursor) if self._in_memory else cursor

    def begin(self, connection: SqliteConnection, savepoint: str | None) -> None:
        """Begin a transaction, or a nested one."""
        if savepoint is not None:
            super().begin(connection, savepoint)
        else:
            # A write lock at once: a transaction that reads first and writes later can't wait for
            # others.
            self.execute(connection, "BEGIN" if self._read_only else "BEGIN IMMEDIATE", ())

    def adapt(self, value: object) -> object:
        """Return a value as SQLite stores it."""
        if isinstance(value, datetime):
            return value.isoformat(" ")
        if isinstance(value, date):
            return value.isoformat()
        if isinstance(value, Decimal):
            return str(value)
        return dumps(value) if isinstance(value, (list, dict)) else value

    def translate_error(self, error: Exception, statement: str | None) -> DatabaseError | None:
        """Return the Flowstone error for one of SQLite's; None for any other."""
        if not isinstance(error, (sqlite3.Error, sqlite3.Warning, OverflowError, UnicodeError)):
            return None
        code = getattr(error, "sqlite_errorcode", None)
        kind, remedy = _KINDS.get((code or 0) & 0xFF, (QueryInvalid, _FIX))
        words = str(error).rstrip(".")
        if isinstance(error, UnicodeError):
            words = "a text has a lone surrogate, which UTF-8 can't encode"
        if kind is QueryInvalid and words.startswith("no such table"):
            kind, remedy = TableMissing, "Create the table first, or use `insert(…, create=True)`."
        return kind(self.where, words, remedy, statement, _place(words, statement))


class FetchedRows:
    """All rows of a cursor, which is closed."""

    def __init__(self, cursor: Any) -> None:
        self.description: Any = cursor.description
        self._rows: Iterator[Any] = iter(cursor.fetchall())
        cursor.close()

    def fetchmany(self, size: int, /) -> list[Any]:
        return [row for _, row in zip(range(size), self._rows, strict=False)]

    def close(self) -> None:
        self._rows = iter(())


def _place(words: str, statement: str | None) -> int | None:
    """Return the position of the word that a syntax error names, which SQLite does not report."""
    _, quoted, rest = words.partition('near "')
    word = rest.partition('": syntax error')[0]
    if not quoted or not word or statement is None or statement.count(word) != 1:
        return None
    return statement.index(word)
