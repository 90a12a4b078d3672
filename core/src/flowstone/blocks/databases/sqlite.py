"""SqliteDatabase: a database in one file of this machine, or in memory."""

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

from pydantic import Field, PrivateAttr

from flowstone.blocks.databases.database import Database
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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

MEMORY = ":memory:"
#: So long SQLite itself waits for a lock before we look whether to go on.
NAP = 0.1

_UNREADABLE = "Check the path, the disk, and that the file is a database of SQLite."
_KINDS: dict[int, tuple[type[DatabaseError], str]] = {
    sqlite3.SQLITE_AUTH: (DatabaseDenied, "Check who may read and write the file."),
    sqlite3.SQLITE_BUSY: (DatabaseBusy, "Look for who keeps a transaction open, and end it."),
    sqlite3.SQLITE_CANTOPEN: (DatabaseUnreachable, _UNREADABLE),
    sqlite3.SQLITE_CONSTRAINT: (IntegrityViolated, "Mend the row, or the constraint."),
    sqlite3.SQLITE_CORRUPT: (DatabaseUnreachable, _UNREADABLE),
    sqlite3.SQLITE_FULL: (DatabaseUnreachable, "Make room on the disk."),
    sqlite3.SQLITE_INTERRUPT: (QueryCancelled, "Run it again if it is wanted."),
    sqlite3.SQLITE_IOERR: (DatabaseUnreachable, _UNREADABLE),
    sqlite3.SQLITE_LOCKED: (DatabaseBusy, "Look for who keeps a transaction open, and end it."),
    sqlite3.SQLITE_NOTADB: (DatabaseUnreachable, _UNREADABLE),
    sqlite3.SQLITE_PERM: (DatabaseDenied, "Check who may read and write the file."),
    sqlite3.SQLITE_READONLY: (DatabaseDenied, "Open it to write, or check who may."),
}
_MEND = "Mend the statement or its parameters."


class _Connection(sqlite3.Connection):
    stopped = False


class SqliteDatabase(Database):
    """A database of SQLite.

    A file is in WAL mode: readers and one writer do not wait for each other. A database in memory
    belongs to one block, whose threads share it, and is gone when the block is closed. SQLite
    keeps None, int, float, str and bytes; a bool comes back as an int, a Decimal, a date or a time
    as text in ISO form, a list or dict as JSON.
    """

    _block_type_name: ClassVar[str | None] = "SQLite Database"
    _description: ClassVar[str | None] = "A database of SQLite, in a file or in memory."
    _code_example: ClassVar[str | None] = (
        'SqliteDatabase(path="shop.db").save("shop")\n'
        'with SqliteDatabase.load("shop") as shop:\n'
        '    shop.insert("orders", [{"id": 1, "item": "tea"}], create=True)\n'
        '    print(shop.fetch_all("SELECT item FROM orders WHERE id = :id", {"id": 1}))'
    )

    path: str = Field(
        default=MEMORY,
        description="The file; ~ is your home, and it is made if it is not there. "
        "':memory:' keeps all in memory.",
    )
    read_only: bool = Field(default=False, description="Whether writing is refused.")
    busy_seconds: float = Field(
        default=30.0, ge=0, description="How long to wait for others who are writing."
    )

    _token: str = PrivateAttr(default_factory=lambda: uuid4().hex)

    _column_types: ClassVar[Mapping[type, str]] = {
        bool: "INTEGER", int: "INTEGER", float: "REAL", str: "TEXT", bytes: "BLOB",
    }  # fmt: skip

    def _where(self) -> str:
        return f"SQLite {self.path}"

    def _anchor(self) -> sqlite3.Connection | None:
        # A database in memory lives as long as a connection to it: this is the one that stays.
        return self._file() if self.path == MEMORY else None

    def _connect(self, anchor: sqlite3.Connection | None) -> sqlite3.Connection:  # noqa: ARG002
        connection = self._file()
        if self.path != MEMORY and not self.read_only:
            try:
                self._patient(connection, lambda: connection.execute("PRAGMA journal_mode=WAL"))
            except BaseException:
                connection.close()
                raise
        return connection

    def _file(self) -> _Connection:
        if self.path == MEMORY:
            uri = f"file:/flowstone-{self._token}?vfs=memdb"
        else:
            mode = "ro" if self.read_only else "rwc"
            uri = f"file:{quote(str(Path(self.path).expanduser().absolute()))}?mode={mode}"
        connection = sqlite3.connect(
            uri, uri=True, timeout=min(NAP, self.busy_seconds), isolation_level=None,
            check_same_thread=False, factory=_Connection,
        )  # fmt: skip
        connection.execute("PRAGMA foreign_keys=ON").close()
        return connection

    def _interrupt(self, connection: _Connection) -> None:
        connection.stopped = True
        connection.interrupt()

    def _patient(self, connection: Any, work: Callable[[], T]) -> T:
        """Wait for locks of others, in naps: while SQLite itself waits, it can't be stopped."""
        end = monotonic() + self.busy_seconds
        while True:
            try:
                return work()
            except sqlite3.OperationalError as error:
                busy = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or connection.stopped or monotonic() > end:
                    raise

    def _execute(self, connection: Any, operation: str, values: Sequence[Any]) -> int:
        run = super()._execute
        return self._patient(connection, lambda: run(connection, operation, values))

    def _query(self, connection: Any, operation: str, values: Sequence[Any]) -> Any:
        run = super()._query
        cursor = self._patient(connection, lambda: run(connection, operation, values))
        if self.path != MEMORY:
            return cursor
        # Readers in memory keep writers out, even of the same thread: none is left reading.
        return _Read(cursor)

    def _begin(self, connection: Any, savepoint: str | None) -> None:
        if savepoint is not None:
            super()._begin(connection, savepoint)
        else:
            # At once a writer: one that reads first and writes later can't wait for others.
            self._execute(connection, "BEGIN" if self.read_only else "BEGIN IMMEDIATE", ())

    def _adapted(self, value: Any) -> Any:
        if isinstance(value, datetime):
            return value.isoformat(" ")
        if isinstance(value, date):
            return value.isoformat()
        if isinstance(value, Decimal):
            return str(value)
        return dumps(value) if isinstance(value, (list, dict)) else value

    def _refused(self, error: Exception, statement: str | None) -> DatabaseError | None:
        if not isinstance(error, (sqlite3.Error, sqlite3.Warning, OverflowError, UnicodeError)):
            return None
        code = getattr(error, "sqlite_errorcode", None)
        kind, remedy = _KINDS.get((code or 0) & 0xFF, (QueryInvalid, _MEND))
        words = str(error).rstrip(".")
        if isinstance(error, UnicodeError):
            words = "a text has half a surrogate pair, which UTF-8 can't tell"
        if kind is QueryInvalid and words.startswith("no such table"):
            kind, remedy = TableMissing, "Make the table first, or `insert(…, create=True)`."
        return kind(self._where(), words, remedy, statement, _place(words, statement))


class _Read:
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
    """Return where the word is that a syntax error names; SQLite itself does not tell."""
    _, quoted, rest = words.partition('near "')
    word = rest.partition('": syntax error')[0]
    if not quoted or not word or statement is None or statement.count(word) != 1:
        return None
    return statement.index(word)
