"""DatabaseDriver: what a package implements for its database, and `Database` builds upon."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import closing, contextmanager, suppress
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from hashlib import sha256
from itertools import chain, islice
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from flowstone.blocks.databases.placeholders import render_placeholder
from flowstone.blocks.databases.sql_syntax import SqlSyntax, split_statements
from flowstone.context.external_work import record_external_end, record_external_start
from flowstone.errors import QueryInvalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import pyarrow as pa

    from flowstone.blocks.databases.placeholders import Style
    from flowstone.errors import DatabaseError
    from flowstone.records.access import DatabaseAccess

Row = tuple[Any, ...]

#: Number of Arrow rows fetched or sent at a time.
ARROW_BATCH = 100_000


class AwareDatetime(datetime):
    """Marks timezone-aware datetimes in `column_types`."""


class Cursor(Protocol):
    """The rows of a query, as a DB-API cursor."""

    @property
    def description(self) -> Any:
        """The columns, as sequences whose first item is the name; None without rows."""

    def fetchmany(self, size: int, /) -> Sequence[Any]:
        """Return the next rows, at most `size`."""

    def close(self) -> Any:
        """Discard the remaining rows."""


class DBAPIConnection(Protocol):
    """A connection as defined by DB-API 2.0."""

    def cursor(self) -> Any:
        """Return a new cursor."""

    def close(self) -> Any:
        """Close the connection; uncommitted changes are rolled back."""


C = TypeVar("C")
D = TypeVar("D", bound=DBAPIConnection)


class DatabaseDriver(ABC, Generic[C]):
    """The operations of one database; implement it, and return it from `Database.make_driver`.

    A block has its own driver from its first call until it is closed. Connections are of any type
    ``C``; each is used by one thread at a time, but not always by the same one. Methods raise the
    errors of the client library unchanged; `translate_error` converts them to Flowstone errors. To
    stop a running query, `interrupt` is called from another thread.

    Attributes of the class or of the driver describe what the database can do.

    Attributes:
        where: the database, for messages; must not contain secrets.
        placeholder_style: the style of placeholders: ``?``, ``%s``, ``:1`` or ``$1``.
        transactions: whether changes can be rolled back; otherwise each statement is independent.
        savepoints: whether a transaction can be nested in another one, and rolled back alone.
        cancels: whether `interrupt` can stop a running query; otherwise the caller waits for it.
        max_idle_connections: the maximum number of connections kept open for later calls.
        syntax: the syntax of quotes, comments and blocks in the dialect; see `SqlSyntax`.
        cancels_by_id: whether `cancel_by_id` can stop a query that another process has started.
        reattaches: whether the driver itself takes over or cancels the queries that earlier
            attempts of a run left running; otherwise they are cancelled before its next query.
        block: the name of the block in handles of its queries; set by `Database`.
        records_queries: whether handles of queries are recorded, so that a query whose process was
            killed can be cancelled.
        column_types: by Python type, the type of a column in a table that `insert` creates; types
            that are missing become the type of `str`.
    """

    placeholder_style: Style = "qmark"
    transactions: bool = True
    savepoints: bool = True
    cancels: bool = True
    max_idle_connections: int = 8
    syntax: SqlSyntax = SqlSyntax()
    cancels_by_id: bool = False
    reattaches: bool = False
    block: str = ""
    records_queries: bool = True
    column_types: Mapping[type, str] = {
        bool: "BOOLEAN",
        int: "BIGINT",
        float: "DOUBLE PRECISION",
        str: "TEXT",
        bytes: "BLOB",
        Decimal: "DECIMAL(38, 10)",
        AwareDatetime: "TIMESTAMP WITH TIME ZONE",
        datetime: "TIMESTAMP",
        date: "DATE",
    }

    def __init__(self, where: str) -> None:
        self.where = where

    def make_access(self) -> DatabaseAccess:
        """Return what another tool needs to connect to the database; override it if one can.

        Raises:
            QueryInvalid: only this block has access, as with an in-memory database.
        """
        problem = "other tools can't connect to it"
        raise QueryInvalid(self.where, problem, "Run queries through this block.")

    # -- connections -----------------------------------------------------------------------------

    def open(self) -> None:
        """Open what all connections share, before the first of them."""

    def close(self) -> None:
        """Close what `open` has opened; connections that are in use are closed later."""

    @abstractmethod
    def connect(self) -> C:
        """Open a connection that commits each statement, and that any thread may use."""

    @abstractmethod
    def disconnect(self, connection: C) -> None:
        """Close a connection; an open transaction is rolled back."""

    @abstractmethod
    def interrupt(self, connection: C) -> None:
        """Stop the connection's running query in the database.

        It is called from another thread, and repeatedly until the call has ended. The first call
        may come before the query has started.
        """

    @abstractmethod
    def translate_error(self, error: Exception, statement: str | None) -> DatabaseError | None:
        """Return the Flowstone error for one of the client library's; None for any other.

        The library's message may contain parameter values. `Database` masks the values of the
        statement's parameters; this method must omit any other.

        Args:
            error: the exception raised by one of the other methods.
            statement: the statement; None if the error is about the connection.
        """

    def cancel_by_id(self, query_id: str) -> None:
        """Cancel a query that any process has started; do nothing if it has ended.

        It may be called on a driver whose connections are all closed.

        Args:
            query_id: the id that was passed to `record_query`.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement cancel_by_id")

    @contextmanager
    def record_query(self, query_id: str) -> Iterator[None]:
        """Record a running query; use it around the wait for the query's end.

        The handle is stored before the block begins: `flowstone run cleanup` and a retry of the
        task use it to cancel what a killed process left running. If the block raises, the query is
        cancelled. Outside of a run nothing is recorded.

        Args:
            query_id: the database's id of the query.
        """
        if not self.records_queries:
            yield
            return
        handle = record_external_start("query", self.block, query_id)
        try:
            yield
        except BaseException:
            with suppress(Exception):  # it stays recorded as running; the first error is raised
                self.cancel_by_id(query_id)
                record_external_end(handle)
            raise
        record_external_end(handle)

    # -- statements ------------------------------------------------------------------------------

    def adapt(self, value: object) -> object:
        """Return the value of a parameter as a type that the client library accepts."""
        return value

    @abstractmethod
    def execute(self, connection: C, operation: str, values: Sequence[object]) -> int:
        """Run one statement, and return the number of changed rows; 0 if there is no such number.

        Args:
            connection: the connection to use.
            operation: the statement.
            values: its parameters, adapted.
        """

    @abstractmethod
    def query(self, connection: C, operation: str, values: Sequence[object]) -> Cursor:
        """Run one statement, and return its rows without loading all of them into memory.

        Other statements may run on the connection before all rows are fetched.

        Args:
            connection: the connection to use.
            operation: the statement.
            values: its parameters, adapted.
        """

    def split_script(self, script: str) -> list[str]:
        """Return the statements of a script; override it if the database runs whole scripts."""
        return split_statements(script, self.syntax)

    def execute_many(self, connection: C, operation: str, rows: Sequence[Sequence[object]]) -> int:
        """Run one statement once per row of parameters, and return the number of changed rows.

        Args:
            connection: the connection to use.
            operation: the statement.
            rows: the parameters of each execution, adapted.
        """
        return sum(self.execute(connection, operation, values) for values in rows)

    # -- transactions ----------------------------------------------------------------------------

    def begin(self, connection: C, savepoint: str | None) -> None:
        """Begin a transaction; with the name of a savepoint, a nested one."""
        self.execute(connection, f"SAVEPOINT {savepoint}" if savepoint else "BEGIN", ())

    def commit(self, connection: C, savepoint: str | None) -> None:
        """Commit the changes since `begin`."""
        self.execute(connection, f"RELEASE SAVEPOINT {savepoint}" if savepoint else "COMMIT", ())

    def rollback(self, connection: C, savepoint: str | None) -> None:
        """Roll back the changes since `begin`."""
        if savepoint is None:
            self.execute(connection, "ROLLBACK", ())
            return
        self.execute(connection, f"ROLLBACK TO SAVEPOINT {savepoint}", ())
        self.execute(connection, f"RELEASE SAVEPOINT {savepoint}", ())

    # -- tables ----------------------------------------------------------------------------------

    def quote_name(self, name: str) -> str:
        """Return the name of a table or column, quoted for a statement, whatever its characters."""
        escaped = name.replace('"', '""')
        return f'"{escaped}"'

    def create_table(self, connection: C, table: str, columns: Mapping[str, type]) -> None:
        """Create a table for values of these types, if there is none of that name.

        Args:
            connection: the connection to use.
            table: its name, quoted.
            columns: the Python type of each column by its name, which is not quoted.
        """
        types = self.column_types
        parts = [
            f"{self.quote_name(name)} {types.get(kind, types[str])}"
            for name, kind in columns.items()
        ]
        self.execute(connection, f"CREATE TABLE IF NOT EXISTS {table} ({', '.join(parts)})", ())

    def insert(
        self, connection: C, table: str, columns: Sequence[str], rows: Sequence[Row]
    ) -> None:
        """Add rows to a table; called in a transaction, once per batch.

        Override it if the database has a faster way.

        Args:
            connection: the connection to use.
            table: its name, quoted.
            columns: the names of the columns, not quoted.
            rows: the values in that order, adapted.
        """
        names = ", ".join(map(self.quote_name, columns))
        places = range(1, len(columns) + 1)
        marks = ", ".join(render_placeholder(self.placeholder_style, place) for place in places)
        statement = f"INSERT INTO {table} ({names}) VALUES ({marks})"
        self.execute_many(connection, statement, rows)

    def insert_part(
        self, connection: C, table: str, columns: Sequence[str], part: pa.Table | list[Row]
    ) -> int:
        """Add a part of many rows with `insert` or `insert_arrow`; return the number of rows.

        Args:
            connection: the connection to use.
            table: its name, quoted.
            columns: the names of the columns, not quoted.
            part: the rows: a table for an `ArrowDriver`, or tuples, adapted.
        """
        self.insert(connection, table, columns, part)
        return len(part)

    def insert_whole(
        self,
        connection: C,
        table: str,
        columns: Sequence[str],
        parts: Iterable[pa.Table | list[Row]],
    ) -> int:
        """Add rows to a table, all or none, and return their number.

        It is called instead of `insert` if there are no transactions. Several parts are inserted
        into a temporary table first, and copied from there by one statement; override it if the
        database accepts all of them in one call.

        Args:
            connection: the connection to use.
            table: its name, quoted.
            columns: the names of the columns, not quoted.
            parts: the rows: tables for an `ArrowDriver`, or tuples, adapted.
        """
        rest = iter(parts)
        first = list(islice(rest, 2))
        if len(first) < 2:
            return sum(self.insert_part(connection, table, columns, part) for part in first)
        staged = self.stage(connection, table)
        try:
            add = partial(self.insert_part, connection, staged, columns)
            count = sum(map(add, chain(first, rest)))
            names = ", ".join(map(self.quote_name, columns))
            statement = f"INSERT INTO {table} ({names}) SELECT {names} FROM {staged}"
            self.execute(connection, statement, ())
        finally:
            self.unstage(connection, staged)
        return count

    # -- rows that replace others ----------------------------------------------------------------

    def stage(self, connection: C, table: str) -> str:
        """Create an empty table like another one for a transaction; return its quoted name.

        Args:
            connection: the connection to use.
            table: the name of the other table, quoted.
        """
        name = self.quote_name(f"flowstone_{token_hex(8)}")
        statement = f"CREATE TEMPORARY TABLE {name} AS SELECT * FROM {table} WHERE 1 = 0"
        self.execute(connection, statement, ())
        return name

    def unstage(self, connection: C, staged: str) -> None:
        """Drop a table that `stage` has created."""
        self.execute(connection, f"DROP TABLE {staged}", ())

    def create_key(self, connection: C, table: str, keys: Sequence[str]) -> None:
        """Create the unique index that `merge` needs on key columns; do nothing if it needs none.

        It is called again for a table that has its index.

        Args:
            connection: the connection to use.
            table: its name, quoted.
            keys: the key columns, not quoted.
        """
        known = sha256("\0".join([table, *sorted(keys)]).encode(errors="surrogatepass"))
        name = self.quote_name(f"flowstone_key_{known.hexdigest()[:16]}")
        names = ", ".join(map(self.quote_name, keys))
        statement = f"CREATE UNIQUE INDEX IF NOT EXISTS {name} ON {table} ({names})"
        self.execute(connection, statement, ())

    def merge(
        self, connection: C, table: str, staged: str, columns: Sequence[str], keys: Sequence[str]
    ) -> None:
        """Insert the rows of a table into another, and update those whose key exists there.

        Args:
            connection: the connection to use.
            table: the name of the table to change, quoted.
            staged: the name of the table with the rows, whose keys are unique and not NULL.
            columns: the columns to set, not quoted.
            keys: those of the columns that are the key.
        """
        names = ", ".join(map(self.quote_name, columns))
        places = ", ".join(map(self.quote_name, keys))
        others = [self.quote_name(name) for name in columns if name not in keys]
        changes = ", ".join(f"{name} = excluded.{name}" for name in others)
        action = f"DO UPDATE SET {changes}" if others else "DO NOTHING"
        statement = (
            f"INSERT INTO {table} ({names}) SELECT {names} FROM {staged} WHERE 1 = 1 "
            f"ON CONFLICT ({places}) {action}"
        )
        self.execute(connection, statement, ())


class DBAPIDriver(DatabaseDriver[D]):
    """A driver for a client library that follows DB-API 2.0; connections are in autocommit mode."""

    def disconnect(self, connection: D) -> None:
        """Close a connection; an open transaction is rolled back."""
        connection.close()

    def execute(self, connection: D, operation: str, values: Sequence[object]) -> int:
        """Run one statement, and return the number of changed rows; 0 if it is unknown."""
        with closing(connection.cursor()) as cursor:
            cursor.execute(operation, values)
            return max(0, int(cursor.rowcount))  # -1 if the number is unknown

    def execute_many(self, connection: D, operation: str, rows: Sequence[Sequence[object]]) -> int:
        """Run one statement once per row of parameters, and return the number of changed rows."""
        with closing(connection.cursor()) as cursor:
            cursor.executemany(operation, rows)
            return max(0, int(cursor.rowcount))

    def query(self, connection: D, operation: str, values: Sequence[object]) -> Cursor:
        """Run one statement, and return its rows, which are not all in memory."""
        cursor: Any = connection.cursor()
        try:
            cursor.execute(operation, values)
        except BaseException:
            cursor.close()
            raise
        found: Cursor = cursor
        return found


class ArrowDriver(DatabaseDriver[C]):
    """A driver that returns and accepts Arrow tables without creating Python rows.

    `Database` uses it to read and write whole tables if pyarrow is installed. The values have the
    same Python types as in the rows of `query`.
    """

    @abstractmethod
    def open_arrow(
        self, connection: C, operation: str, values: Sequence[object], batch_rows: int
    ) -> pa.RecordBatchReader:
        """Run one statement, and return a reader of its rows, which are not all in memory.

        Other statements may run on the connection before all rows are read.

        Args:
            connection: the connection to use.
            operation: the statement.
            values: its parameters, adapted.
            batch_rows: the approximate number of rows to fetch at a time.
        """

    def fetch_arrow(self, connection: C, operation: str, values: Sequence[object]) -> pa.Table:
        """Run one statement, and return all of its rows.

        Args:
            connection: the connection to use.
            operation: the statement.
            values: its parameters, adapted.
        """
        with self.open_arrow(connection, operation, values, ARROW_BATCH) as reader:
            return reader.read_all()

    @abstractmethod
    def insert_arrow(self, connection: C, table: str, data: pa.Table) -> None:
        """Add rows to a table; called in a transaction, once per batch.

        Args:
            connection: the connection to use.
            table: its name, quoted.
            data: the rows; the names of its columns are not quoted.
        """

    def insert_part(
        self, connection: C, table: str, columns: Sequence[str], part: pa.Table | list[Row]
    ) -> int:
        """Add a part of many rows with `insert` or `insert_arrow`; return the number of rows."""
        if isinstance(part, list):
            return super().insert_part(connection, table, columns, part)
        self.insert_arrow(connection, table, part)
        return int(part.num_rows)
