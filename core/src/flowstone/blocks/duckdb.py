"""DuckDBDatabase: a database for analysis, in one file of this machine or in memory."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from flowstone.blocks.databases.database import Database
from flowstone.blocks.databases.driver import Aware
from flowstone.errors import (
    DatabaseBusy,
    DatabaseDenied,
    DatabaseError,
    DatabaseUnreachable,
    IntegrityViolated,
    MissingExtra,
    QueryCancelled,
    QueryInvalid,
    TableMissing,
)

if TYPE_CHECKING:
    from flowstone.blocks.databases.driver import Row

MEMORY = ":memory:"
_MEND = "Mend the statement or its parameters."
_AGAIN = "Somebody else wrote the same; roll back, and try again."
#: By the name of DuckDB's exception or of one that it derives from; the first that fits counts.
_KINDS: dict[str, tuple[type[DatabaseError], str]] = {
    "InterruptException": (QueryCancelled, "Run it again if it is wanted."),
    "ConstraintException": (IntegrityViolated, "Mend the row, or the constraint."),
    "TransactionException": (DatabaseBusy, _AGAIN),
    "PermissionException": (DatabaseDenied, "Check who may read and write the file."),
    "IOException": (DatabaseUnreachable, "Check the path, the disk, and what the file is."),
    "HTTPException": (DatabaseUnreachable, "Check the address, and that it can be reached."),
    "OutOfMemoryException": (DatabaseError, "Ask for less at a time, or give DuckDB more memory."),
    "FatalException": (DatabaseError, "Close the block and open it again."),
    "InternalException": (DatabaseError, "This is an error of DuckDB's own: report it there."),
    "Error": (QueryInvalid, _MEND),
}
#: More special than the exception's kind, by a part of its words.
_WORDS: list[tuple[str, type[DatabaseError], str]] = [
    ("Could not set lock", DatabaseBusy, "Another process has the file open: let it close it."),
    ("read-only mode", DatabaseDenied, "Open it to write, or check who may."),
    ("Table with name", TableMissing, "Make the table first, or `insert(…, create=True)`."),
]
#: Kinds of exceptions whose words quote values.
_QUOTING = {"ConstraintException", "DataError", "InvalidInputException"}


class DuckDBDatabase(Database):
    """A database of DuckDB.

    One process at a time may write to a file; its threads share it. A database in memory belongs to
    one block, and is gone when the block is closed. DuckDB has no transactions inside another one.
    """

    _block_type_name: ClassVar[str | None] = "DuckDB Database"
    _block_type_slug: ClassVar[str | None] = "duckdb-database"
    _description: ClassVar[str | None] = "A database of DuckDB, in a file or in memory."
    _code_example: ClassVar[str | None] = (
        'DuckDBDatabase(path="sales.duckdb").save("sales")\n'
        'with DuckDBDatabase.load("sales") as sales:\n'
        '    sales.insert("orders", [{"item": "tea", "price": 3}], create=True)\n'
        '    print(sales.fetch_arrow("SELECT item, sum(price) FROM orders GROUP BY item"))'
    )

    path: str = Field(
        default=MEMORY,
        description="The file; ~ is your home, and it is made if it is not there. "
        "':memory:' keeps all in memory.",
    )
    read_only: bool = Field(default=False, description="Whether writing is refused.")
    config: dict[str, str | int | float | bool] = Field(
        default_factory=dict,
        description="Settings of DuckDB, as memory_limit and threads; no secrets, "
        "as they are shown.",
    )

    _style = "dollar"
    _savepoints = False
    _column_types: ClassVar[Mapping[type, str]] = {
        bool: "BOOLEAN", int: "BIGINT", float: "DOUBLE", str: "VARCHAR", bytes: "BLOB",
        Decimal: "DECIMAL(38, 10)", Aware: "TIMESTAMPTZ", datetime: "TIMESTAMP", date: "DATE",
        list: "JSON", dict: "JSON",
    }  # fmt: skip

    def _where(self) -> str:
        return f"DuckDB {self.path}"

    def _anchor(self) -> Any:
        try:
            import duckdb  # noqa: PLC0415 - an optional dependency
        except ImportError as error:
            raise MissingExtra("a DuckDBDatabase", "flowstone[duckdb]") from error
        memory = self.path == MEMORY
        path = MEMORY if memory else str(Path(self.path).expanduser().absolute())
        config: dict[str, str | bool | int | float | list[str]] = {**self.config}
        return duckdb.connect(path, read_only=self.read_only and not memory, config=config)

    def _connect(self, anchor: Any) -> _Connection:
        return _Connection(anchor.cursor())

    def _interrupt(self, connection: _Connection) -> None:
        connection.driver.interrupt()

    def _adapted(self, value: Any) -> Any:
        return dumps(value) if isinstance(value, dict) else value

    def _execute(self, connection: _Connection, operation: str, values: Sequence[Any]) -> int:
        return connection.execute(operation, values).changed()

    def _execute_many(
        self, connection: _Connection, operation: str, rows: Sequence[Sequence[Any]]
    ) -> int:
        return sum(self._execute(connection, operation, row) for row in rows)

    def _query(self, connection: _Connection, operation: str, values: Sequence[Any]) -> _Read:
        return connection.execute(operation, values)

    def _insert(
        self, connection: _Connection, table: str, columns: Sequence[str], rows: Sequence[Row]
    ) -> None:
        names = ", ".join(map(self._quoted, columns))
        lists = ", ".join(f"unnest(${place})" for place in range(1, len(columns) + 1))
        # A list for each column: eight times as fast as a value for each place.
        values = [[_told(value) for value in column] for column in zip(*rows, strict=True)]
        connection.execute(f"INSERT INTO {table} ({names}) SELECT {lists}", values)

    def _refused(self, error: Exception, statement: str | None) -> DatabaseError | None:
        kinds = [kind.__name__ for kind in type(error).__mro__]
        if not type(error).__module__.partition(".")[0].endswith("duckdb"):
            return None
        words, _, rest = str(error).partition("\n\n")
        kind, remedy = next(_KINDS[name] for name in (*kinds, "Error") if name in _KINDS)
        for part, other, advice in _WORDS:
            if part in words:
                kind, remedy = other, advice
        words = words.partition(" Error: ")[2] or words
        if _QUOTING.intersection(kinds):
            words = _unquoted(words)
        words = words.strip().replace("\n", "; ").rstrip(".!")
        return kind(self._where(), words, remedy, statement, _place(rest, statement))


class _Connection:
    """A connection of DuckDB, which has one result at a time; ours has many."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        self._reading: _Read | None = None

    def execute(self, operation: str, values: Sequence[Any]) -> _Read:
        if self._reading is not None:
            self._reading.finish()  # a new result would end it
        statements = self.driver.extract_statements(operation)
        if len(statements) != 1:
            raise _NotOne(len(statements))
        self.driver.execute(statements[0], list(values))
        self._reading = _Read(self.driver)
        return self._reading

    def close(self) -> None:
        self.driver.close()


class _NotOne(Exception):
    __module__ = "duckdb"  # so it is translated with its other errors

    def __init__(self, count: int) -> None:
        super().__init__(f"it has {count} statements, and one at a time is run")


class _Read:
    """A result, which is in DuckDB until another statement is run on its connection."""

    def __init__(self, driver: Any) -> None:
        self._driver: Any = driver
        self._rest: list[Any] = []
        self.description: Any = driver.description

    def changed(self) -> int:
        """Return how many rows were changed, where the result is just that."""
        counts = self.description and len(self.description) == 1
        if not counts or self.description[0][0] != "Count":
            return 0
        rows = self.fetchmany(2)
        return int(rows[0][0]) if len(rows) == 1 and isinstance(rows[0][0], int) else 0

    def fetchmany(self, size: int, /) -> Sequence[Any]:
        if self._driver is not None:
            rows: Sequence[Any] = self._driver.fetchmany(size)
            return rows
        rows, self._rest = self._rest[:size], self._rest[size:]
        return rows

    def finish(self) -> None:
        """Take what is left into memory."""
        if self._driver is not None:
            driver, self._driver = self._driver, None
            self._rest = driver.fetchall() if self.description else []

    def close(self) -> None:
        self._driver, self._rest = None, []


def _told(value: Any) -> Any:
    # DuckDB's lists have one type of items; a text becomes a list, or JSON, as the column is.
    return dumps(value) if isinstance(value, list) else value


def _unquoted(words: str) -> str:
    """Return a message without the values in it: names of columns and of types stay."""
    words = re.sub(r'"([^":]*): .*"', r'"\1: …"', words, flags=re.DOTALL)
    words = re.sub(r"'.*'", "'…'", words, flags=re.DOTALL)
    return re.sub(r"(?<!\w)-?\d[\d.eE+]*", "…", words)


def _place(rest: str, statement: str | None) -> int | None:
    """Return where DuckDB's arrow points to; it may have cut the line that it shows."""
    shown = re.match(r"LINE (\d+): (.*)\n( *)\^", rest)
    lines = statement.splitlines(keepends=True) if statement else []
    if shown is None or int(shown[1]) > len(lines):
        return None
    number = int(shown[1]) - 1
    arrow = len(shown[3]) - len(f"LINE {shown[1]}: ")
    column = lines[number].find(shown[2][arrow:].removesuffix("..."))
    return sum(map(len, lines[:number])) + column if column >= 0 else None
