"""MySQL and MariaDB, over PyMySQL."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import date, datetime
from decimal import Decimal
from json import dumps
from secrets import token_hex
from time import monotonic
from typing import TYPE_CHECKING, Any

import pymysql
from pydantic import SecretStr
from pymysql.constants import CLIENT
from pymysql.cursors import Cursor as BufferedCursor
from pymysql.cursors import SSCursor

from flowstone import seconds_left
from flowstone.blocks.databases import AwareDatetime, DBAPIDriver
from flowstone.errors import DatabaseError, QueryInvalid
from flowstone.records.access import DatabaseAccess
from flowstone_sqlalchemy.errors import (
    BY_NUMBER,
    FIX,
    ConnectionLost,
    OurError,
    find_by_exception,
    leave_values_out,
)
from flowstone_sqlalchemy.limits import IDLE, find_limit, needs_change
from flowstone_sqlalchemy.measures import CountedRows, record_rows
from flowstone_sqlalchemy.sockets import has_input
from flowstone_sqlalchemy.statements import MYSQL, QMARK, replace_places

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowstone.blocks.databases import Cursor, Row

#: Error numbers of a lost connection.
LOST = frozenset({0, 1053, 1152, 1927, 2006, 2013, 2014, 2055, 4031})
#: Error numbers of a connection that can't be opened, and of TLS.
UNREACHED, TLS = frozenset({2002, 2003, 2013}), 2026
#: Seconds that a DDL statement waits for locks on its table.
LOCK_SECONDS = 10
#: The error number of a killed query.
KILLED = 1317
_NEAR = re.compile(r"near '(.*)' at line (\d+)", re.DOTALL)


class MySqlConnection:
    """A PyMySQL connection, which is opened again if it was lost.

    Attributes:
        raw: PyMySQL's connection.
        in_transaction: whether this package began a transaction.
        is_mariadb: whether the server is MariaDB.
    """

    raw: Any

    def __init__(self, arguments: Mapping[str, Any], *, guarded: bool = True) -> None:
        self._arguments, self._guarded = arguments, guarded
        self.in_transaction = False
        self._reading: MySqlRows | None = None
        self._open()

    def _open(self) -> None:
        flags = CLIENT.FOUND_ROWS | int(self._arguments.get("client_flag", 0))
        self.raw = _connect({**self._arguments, "autocommit": True, "client_flag": flags})
        self.is_mariadb = "mariadb" in str(self.raw.server_version).lower()
        self._limit: float | None = None
        self._used = monotonic()

    def cursor(self, kind: type[Any] = BufferedCursor) -> Any:
        """Return a new cursor."""
        return self.raw.cursor(kind)

    def close(self) -> None:
        """Close it."""
        result = getattr(self.raw, "_result", None)
        if result is not None:  # a half-read one would read on when it is garbage-collected
            result.unbuffered_active = False
        self.raw.close()

    def prepare(self, seconds: float | None) -> None:
        """Reopen it if it was lost, finish a half-read result, and set the server's limit."""
        if not self.in_transaction and self._is_lost():
            with suppress(Exception):
                self.close()
            self._reading = None
            self._open()
        self._used = monotonic()
        self.finish_reading()
        limit = find_limit(seconds) if self._guarded else None
        if needs_change(self._limit, limit):
            self._set_limit(limit or 0)
            self._limit = limit

    def _set_limit(self, seconds: int) -> None:
        # MySQL's limit applies to queries only, MariaDB's to all statements.
        name, unit = ("max_statement_time", 1) if self.is_mariadb else ("max_execution_time", 1000)
        with closing(self.raw.cursor()) as cursor:
            cursor.execute(f"SET SESSION {name} = {seconds * unit}")

    @property
    def _socket(self) -> Any:
        return getattr(self.raw, "_sock", None)

    def _is_lost(self) -> bool:
        if not self.raw.open:
            return True
        is_idle = not has_input(self._socket) and monotonic() - self._used < IDLE
        if self._reading is not None or is_idle:
            return False
        try:
            self.raw.ping(reconnect=False)
        except (pymysql.Error, OSError):
            return True
        return False

    def kill_query(self) -> None:
        """Kill the connection's query, from another connection."""
        thread = int(self.raw.server_thread_id[0])
        with (
            closing(_connect(self._arguments)) as other,
            closing(other.cursor()) as cursor,
        ):
            cursor.execute(f"KILL QUERY {thread}")

    @contextmanager
    def watch_connection(self, when: str = ConnectionLost.INSIDE) -> Iterator[None]:
        """Raise an error about the transaction if the connection is lost in this block."""
        try:
            yield
        except (pymysql.OperationalError, pymysql.InterfaceError) as error:
            if self.in_transaction and find_number(error) in LOST:
                raise ConnectionLost(when, error) from None
            raise

    def end(self) -> None:
        """Note that a transaction has ended."""
        self.in_transaction = False

    def read(self, rows: MySqlRows) -> None:
        """Note the rows that are being read: another statement has to wait for their end."""
        self._reading = rows

    def finish_reading(self) -> None:
        """Read the remaining rows of the current result into memory."""
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.finish()

    def forget_reading(self, rows: MySqlRows) -> None:
        """Note that rows have been read completely, or discarded."""
        if self._reading is rows:
            self._reading = None


def _connect(arguments: Mapping[str, Any]) -> Any:
    """Open a PyMySQL connection; the connect timeout also applies to each read of the handshake."""
    raw: Any = pymysql.connect(**{"read_timeout": arguments.get("connect_timeout"), **arguments})
    raw._read_timeout = arguments.get("read_timeout")  # noqa: SLF001 - a query may take longer
    return raw


class MySqlRows:
    """The rows of a statement, as the server sends them; read before another one runs."""

    def __init__(self, connection: MySqlConnection, cursor: Any) -> None:
        self.description: Any = cursor.description
        self._connection, self._cursor = connection, cursor
        self._rest: list[Any] = []
        self._in_server = True

    def fetchmany(self, size: int, /) -> Sequence[Any]:
        if not self._in_server:
            rows, self._rest = self._rest[:size], self._rest[size:]
            return rows
        rows = list(self._cursor.fetchmany(size)) if self.description else []
        if len(rows) < size:
            self.finish()
            self._connection.forget_reading(self)
        return rows

    def finish(self) -> None:
        """Read the remaining rows into memory."""
        if self._in_server:
            self._rest = list(self._cursor.fetchall()) if self.description else []
            self._in_server = False
            self._cursor.close()

    def close(self) -> None:
        """Discard the remaining rows, which the server would send anyway."""
        self._connection.forget_reading(self)
        self._rest = []
        if not self._in_server:
            return
        self._in_server = False
        if self.description:
            self._connection.kill_query()
            with suppress(pymysql.Error):
                self._cursor.close()
            with suppress(pymysql.Error), closing(self._connection.raw.cursor()) as cursor:
                cursor.execute("DO 0")  # receives a kill that arrived after the end
        else:
            self._cursor.close()


class MySqlDriver(DBAPIDriver[MySqlConnection]):
    """MySQL and MariaDB, over PyMySQL."""

    placeholder_style = "qmark"
    syntax = MYSQL
    column_types: Mapping[type, str] = {
        bool: "BOOLEAN", int: "BIGINT", float: "DOUBLE", str: "LONGTEXT", bytes: "LONGBLOB",
        Decimal: "DECIMAL(38, 10)", AwareDatetime: "VARCHAR(32)", datetime: "DATETIME(6)",
        date: "DATE", list: "JSON", dict: "JSON",
    }  # fmt: skip

    def __init__(self, where: str, arguments: Mapping[str, Any], *, guarded: bool = True) -> None:
        super().__init__(where)
        self._arguments, self._guarded = arguments, guarded

    def make_access(self) -> DatabaseAccess:
        given = self._arguments
        password = given.get("password")
        return DatabaseAccess(
            "mysql",
            str(given.get("database") or ""),
            given.get("host"),
            given.get("port"),
            given.get("user"),
            secrets={"password": SecretStr(password)} if password else {},
        )

    # -- connections -----------------------------------------------------------------------------

    def connect(self) -> MySqlConnection:
        """Open a connection that commits each statement."""
        return MySqlConnection(self._arguments, guarded=self._guarded)

    def interrupt(self, connection: MySqlConnection) -> None:
        """Kill a connection's query, from another connection."""
        connection.kill_query()

    # -- statements ------------------------------------------------------------------------------

    def quote_name(self, name: str) -> str:
        """Return a name of a table or column in backticks, which work in every SQL mode."""
        escaped = name.replace("`", "``")
        return f"`{escaped}`"

    def adapt(self, value: object) -> object:
        """Return a value in PyMySQL's form; MySQL has no times with a zone, so they are text."""
        if isinstance(value, (dict, list)):
            return dumps(value)
        if isinstance(value, datetime) and value.tzinfo is not None:
            return value.isoformat(" ")
        return value

    def execute(self, connection: MySqlConnection, operation: str, values: Sequence[object]) -> int:
        """Run one statement, and return the number of changed rows; 0 if that is unknown."""
        with self._cursor(connection, BufferedCursor) as cursor:
            cursor.execute(_render(operation, values), values or None)
            count = 0 if cursor.description else max(0, int(cursor.rowcount))
        record_rows(written=count)
        return count

    def execute_many(
        self, connection: MySqlConnection, operation: str, rows: Sequence[Sequence[object]]
    ) -> int:
        """Run one statement for each row of values, and return the number of changed rows."""
        with self._cursor(connection, BufferedCursor) as cursor:
            statement = _render(operation, rows[0]) if rows else operation
            count = max(0, int(cursor.executemany(statement, rows) or 0))
        record_rows(written=count)
        return count

    def query(
        self, connection: MySqlConnection, operation: str, values: Sequence[object]
    ) -> Cursor:
        """Run one statement, and return its rows, of which only some are in memory."""
        with self._cursor(connection, SSCursor, keep=True) as cursor:
            cursor.execute(_render(operation, values), values or None)
            rows = MySqlRows(connection, cursor)
            connection.read(rows)
            return CountedRows(rows)

    @contextmanager
    def _cursor(
        self, connection: MySqlConnection, kind: type[Any], *, keep: bool = False
    ) -> Iterator[Any]:
        """Yield a cursor, and close it at the end; with `keep`, only after an error."""
        connection.prepare(seconds_left())
        with connection.watch_connection():
            cursor = connection.cursor(kind)
            try:
                yield cursor
            except Exception:
                with suppress(pymysql.Error):
                    cursor.close()
                raise
            if not keep:
                cursor.close()

    # -- transactions ----------------------------------------------------------------------------

    def begin(self, connection: MySqlConnection, savepoint: str | None) -> None:
        """Begin a transaction, or a savepoint, which can be rolled back on its own."""
        super().begin(connection, savepoint)
        connection.in_transaction = True

    def commit(self, connection: MySqlConnection, savepoint: str | None) -> None:
        """Commit the changes since `begin`."""
        if savepoint is not None:
            super().commit(connection, savepoint)
            return
        connection.finish_reading()
        with connection.watch_connection(ConnectionLost.COMMITTING):
            connection.raw.commit()
        connection.end()

    def rollback(self, connection: MySqlConnection, savepoint: str | None) -> None:
        """Roll back the changes since `begin`."""
        if savepoint is not None:
            super().rollback(connection, savepoint)
            return
        try:
            connection.finish_reading()
            connection.raw.rollback()
        finally:
            connection.end()

    # -- tables ----------------------------------------------------------------------------------

    def create_table(
        self, connection: MySqlConnection, table: str, columns: Mapping[str, type]
    ) -> None:
        """Create a table if it does not exist; an open transaction continues."""
        with self._open_aside(connection) as aside:
            super().create_table(aside, table, columns)

    def create_key(self, connection: MySqlConnection, table: str, keys: Sequence[str]) -> None:
        """Create a unique index on columns, unless there is one; an open transaction continues."""
        if self._is_key(connection, table, keys):
            return
        name = self.quote_name(f"flowstone_key_{token_hex(8)}")
        names = ", ".join(map(self.quote_name, keys))
        with self._open_aside(connection) as aside:
            self.execute(aside, f"CREATE UNIQUE INDEX {name} ON {table} ({names})", ())

    @contextmanager
    def _open_aside(self, connection: MySqlConnection) -> Iterator[MySqlConnection]:
        """Yield another connection: DDL would commit the transaction of this one."""
        if not connection.in_transaction:
            yield connection
            return
        with closing(self.connect()) as aside:
            # Otherwise it would wait for a transaction on the table, which may be the caller's.
            self.execute(aside, f"SET SESSION lock_wait_timeout = {LOCK_SECONDS}", ())
            yield aside

    def insert(
        self, connection: MySqlConnection, table: str, columns: Sequence[str], rows: Sequence[Row]
    ) -> None:
        """Add rows to a table, many per statement."""
        names = ", ".join(map(self.quote_name, columns))
        marks = ", ".join(["%s"] * len(columns))
        # Names are quoted, and PyMySQL interprets percent signs in them.
        head = f"INSERT INTO {table} ({names})".replace("%", "%%")
        with self._cursor(connection, BufferedCursor) as cursor:
            cursor.executemany(f"{head} VALUES ({marks})", rows)
        record_rows(written=len(rows))

    def stage(self, connection: MySqlConnection, table: str) -> str:
        """Create an empty table like another, in which any column may be NULL."""
        name = self.quote_name(f"flowstone_{token_hex(8)}")
        # An outer join, as columns copied directly from a table keep the NOT NULL of its keys.
        rows = f"SELECT it.* FROM (SELECT 1 AS one) AS o LEFT JOIN {table} AS it ON 1 = 0 LIMIT 0"  # noqa: S608 - it is quoted
        self.execute(connection, f"CREATE TEMPORARY TABLE {name} AS {rows}", ())
        return name

    def unstage(self, connection: MySqlConnection, staged: str) -> None:
        """Drop a table that `stage` created; without TEMPORARY, it would commit."""
        self.execute(connection, f"DROP TEMPORARY TABLE {staged}", ())

    def merge(
        self,
        connection: MySqlConnection,
        table: str,
        staged: str,
        columns: Sequence[str],
        keys: Sequence[str],
    ) -> None:
        """Merge the rows of a table into another: insert new keys, and update existing ones."""
        self._check_key(connection, table, keys)
        names = ", ".join(map(self.quote_name, columns))
        others = [self.quote_name(name) for name in columns if name not in keys]
        first = self.quote_name(keys[0])
        changes = [f"{name} = {staged}.{name}" for name in others] or [f"{first} = {table}.{first}"]
        statement = (
            f"INSERT INTO {table} ({names}) SELECT {names} FROM {staged} "  # noqa: S608 - names are quoted
            f"ON DUPLICATE KEY UPDATE {', '.join(changes)}"
        )
        self.execute(connection, statement, ())

    def _check_key(self, connection: MySqlConnection, table: str, keys: Sequence[str]) -> None:
        """Refuse columns that are not a unique key: rows would be added twice without an error."""
        if not self._is_key(connection, table, keys):
            problem = f"the keys {', '.join(map(repr, keys))} are not a unique key of {table}"
            remedy = "Create a unique index on them, or name the columns of an existing one."
            raise OurError(QueryInvalid(self.where, problem, remedy))

    def _is_key(self, connection: MySqlConnection, table: str, keys: Sequence[str]) -> bool:
        """Return whether columns are a unique key."""
        with self._cursor(connection, BufferedCursor) as cursor:
            cursor.execute(f"SHOW INDEX FROM {table}")
            found: dict[str, set[str]] = {}
            for row in cursor.fetchall():
                if not row[1]:  # it is unique
                    found.setdefault(row[2], set()).add(row[4].lower())
        return {name.lower() for name in keys} in found.values()

    def translate_error(self, error: Exception, statement: str | None) -> DatabaseError | None:
        """Return Flowstone's error for one of PyMySQL's; None for other errors."""
        if isinstance(error, OurError):
            return error.found
        if isinstance(error, ConnectionLost):
            return error.translate(self.where, statement)
        if not isinstance(error, (pymysql.Error, pymysql.Warning, OverflowError, UnicodeError)):
            if type(error).__name__ in {"TypeError", "ValueError"} and statement is not None:
                return QueryInvalid(self.where, "a value has no form in MySQL", FIX, statement)
            return None
        number = find_number(error)
        if number is None:
            kind, remedy = find_by_exception(error) or (QueryInvalid, FIX)
            return kind(self.where, leave_values_out(str(error)), remedy, statement)
        words = " ".join(str(error.args[1]).split()).rstrip(".") if len(error.args) > 1 else ""
        words, position = _find_position(words, statement)
        if number == 0:
            words = "the connection is closed"
        usual = find_by_exception(error) if number >= 2000 else None
        # PyMySQL has one number for everything that prevents a connection.
        key = TLS if number in UNREACHED and "SSL" in words else number
        kind, remedy = BY_NUMBER.get(key) or usual or (QueryInvalid, FIX)
        said = f"{leave_values_out(words)} (error {number})"
        return kind(self.where, said, remedy, statement, position)


def find_number(error: BaseException) -> int | None:
    """Return the error number of a MySQL error; None if it has none."""
    return error.args[0] if error.args and isinstance(error.args[0], int) else None


def _render(operation: str, values: Sequence[object]) -> str:
    """Return a statement with PyMySQL's placeholders."""
    if not values:
        return operation  # it is sent unchanged
    return replace_places(operation, MYSQL, QMARK, lambda _: "%s", _escape)


def _escape(text: str) -> str:
    return text.replace("%", "%%")


def _find_position(words: str, statement: str | None) -> tuple[str, int | None]:
    """Return a message without the quoted part of the statement, and its position."""
    found = _NEAR.search(words)
    if found is None:
        return words, None
    shown = found[1].split()[0] if found[1].split() else ""
    position = None
    if statement and shown and statement.count(shown) == 1:
        position = statement.index(shown)
    near = f"near {shown!r} " if position is not None else ""
    return words[: found.start()] + f"{near}at line {found[2]}", position
