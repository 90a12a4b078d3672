"""DatabaseDriver: what a package writes for its database; `Database` makes all else of it."""

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
    from flowstone.records.access import DatabaseAccess, StoreAccess

Row = tuple[Any, ...]

#: Rows of Arrow that are fetched or sent at a time.
ARROW_BATCH = 100_000


class AwareDatetime(datetime):
    """Marks timezone-aware datetimes in `column_types`."""


class Cursor(Protocol):
    """The rows of a query, as DB-API cursors have them."""

    @property
    def description(self) -> Any:
        """The columns, each a sequence whose first item is the name; None without rows."""

    def fetchmany(self, size: int, /) -> Sequence[Any]:
        """Return the next rows, at most `size`."""

    def close(self) -> Any:
        """Discard the remaining rows."""


class DBAPIConnection(Protocol):
    """A connection as DB-API 2.0 has it."""

    def cursor(self) -> Any:
        """Return a new cursor."""

    def close(self) -> Any:
        """Close the connection; what is not committed is rolled back."""


C = TypeVar("C")
D = TypeVar("D", bound=DBAPIConnection)


class DatabaseDriver(ABC, Generic[C]):
    """The operations of one database; a package writes it, and `Database.make_driver` returns it.

    A block has a driver of its own from its first call until it is closed. Connections are of
    whatever type ``C`` suits; each is used by one thread at a time, and not always by the same one.
    Methods raise the errors of the client library as they are; `translate_error` converts them
    to Flowstone errors. A query that runs is stopped by `interrupt`, from another thread.

    Attributes of the class or of the driver describe what the database can do.

    Attributes:
        where: which database it is, for messages; no secret is in it.
        placeholder_style: how placeholders are written: ``?``, ``%s``, ``:1`` or ``$1``.
        transactions: whether what is done can be taken back; without, each statement stands alone.
        savepoints: whether a transaction can be begun inside another, and taken back alone.
        cancels: whether `interrupt` can stop what runs; without, it is waited for.
        max_idle_connections: how many connections are kept open for the next call.
        syntax: how the dialect writes quotes, comments and blocks; see `SqlSyntax`.
        cancels_by_id: whether `cancel_by_id` can stop a query that another process has begun.
        reattaches: whether the driver itself takes over or cancels the queries that earlier
            attempts of a run left running; else they are cancelled before its next query.
        block: how handles of its queries name the block; set by `Database`.
        records_queries: whether handles of queries are recorded, so that one whose process was
            killed can be cancelled.
        column_types: what a column is made as, in a table that `insert` creates, by the type of its
            values; types that are not there are made as `str` is.
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
        """Return what another tool needs to reach the database; override where one can.

        Raises:
            QueryInvalid: only this block reaches it, as a database in memory.
        """
        problem = "other tools can't connect to it"
        raise QueryInvalid(self.where, problem, "Run queries through this block.")

    # -- connections -----------------------------------------------------------------------------

    def open(self) -> None:
        """Open what all connections share, before the first of them."""

    def close(self) -> None:
        """Close what `open` has opened; connections that are in use are closed after it."""

    @abstractmethod
    def connect(self) -> C:
        """Open a connection that commits each statement, and that any thread may use."""

    @abstractmethod
    def disconnect(self, connection: C) -> None:
        """Close a connection; a transaction that is open in it is rolled back."""

    @abstractmethod
    def interrupt(self, connection: C) -> None:
        """Stop in the database what the connection runs.

        It is called from another thread, and again until the call has ended. It may come before
        the query has begun.
        """

    @abstractmethod
    def translate_error(self, error: Exception, statement: str | None) -> DatabaseError | None:
        """Return our error for one of the client library's; None for anybody else's.

        Values of parameters may be in the library's words. What is a parameter of the statement
        is masked by `Database`; anything else is left out here.

        Args:
            error: what one of the other methods has raised.
            statement: what was to be run; None where it is about the connection.
        """

    def cancel_by_id(self, query_id: str) -> None:
        """Cancel a query that any process has begun; one that has ended is left alone.

        It is called on a driver whose connections may all be closed.

        Args:
            query_id: as `record_query` was given it.
        """
        raise NotImplementedError(f"{type(self).__name__} sets cancels_by_id and has no way to")

    @contextmanager
    def record_query(self, query_id: str) -> Iterator[None]:
        """Record a query that runs in the database; use it around the wait for its end.

        The handle is stored before the block begins: `flowstone run cleanup` and a retry of the
        task use it to cancel what a killed process left running. If the block raises, the query is
        cancelled. Outside of a run nothing is recorded.

        Args:
            query_id: what the database knows it by.
        """
        if not self.records_queries:
            yield
            return
        handle = record_external_start("query", self.block, query_id)
        try:
            yield
        except BaseException:
            with suppress(Exception):  # it stays recorded as running, and its own error is raised
                self.cancel_by_id(query_id)
                record_external_end(handle)
            raise
        record_external_end(handle)

    # -- statements ------------------------------------------------------------------------------

    def adapt(self, value: object) -> object:
        """Return the value of a parameter as the client library takes it."""
        return value

    @abstractmethod
    def execute(self, connection: C, operation: str, values: Sequence[object]) -> int:
        """Run one statement, and return how many rows it changed; 0 where that says nothing."""

    @abstractmethod
    def query(self, connection: C, operation: str, values: Sequence[object]) -> Cursor:
        """Run one statement, and return its rows, of which not all are in memory.

        Other statements may run on the connection before all of them are fetched.
        """

    def split_script(self, script: str) -> list[str]:
        """Return the statements of a script; override it where the database takes scripts whole."""
        return split_statements(script, self.syntax)

    def execute_many(self, connection: C, operation: str, rows: Sequence[Sequence[object]]) -> int:
        """Run one statement with each of these, and return how many rows were changed."""
        return sum(self.execute(connection, operation, values) for values in rows)

    # -- transactions ----------------------------------------------------------------------------

    def begin(self, connection: C, savepoint: str | None) -> None:
        """Begin a transaction; with the name of a savepoint, a part that is taken back alone."""
        self.execute(connection, f"SAVEPOINT {savepoint}" if savepoint else "BEGIN", ())

    def commit(self, connection: C, savepoint: str | None) -> None:
        """Keep what was done since `begin`."""
        self.execute(connection, f"RELEASE SAVEPOINT {savepoint}" if savepoint else "COMMIT", ())

    def rollback(self, connection: C, savepoint: str | None) -> None:
        """Take back what was done since `begin`."""
        if savepoint is None:
            self.execute(connection, "ROLLBACK", ())
            return
        self.execute(connection, f"ROLLBACK TO SAVEPOINT {savepoint}", ())
        self.execute(connection, f"RELEASE SAVEPOINT {savepoint}", ())

    # -- tables ----------------------------------------------------------------------------------

    def quote_name(self, name: str) -> str:
        """Return a name of a table or column as it stands in a statement, whatever is in it."""
        escaped = name.replace('"', '""')
        return f'"{escaped}"'

    def create_table(self, connection: C, table: str, columns: Mapping[str, type]) -> None:
        """Make a table for values of these types, if there is none of that name.

        Args:
            connection: where.
            table: its name, quoted.
            columns: the type of values by the name of the column, which is not quoted.
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
        """Add rows to a table; it is called in a transaction, for one batch after another.

        Override it where the database has a faster way.

        Args:
            connection: where.
            table: its name, quoted.
            columns: the names of the columns, which are not quoted.
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
        """Add a part of many rows by `insert`, or by `insert_arrow`, and return how many."""
        self.insert(connection, table, columns, part)
        return len(part)

    def insert_whole(
        self,
        connection: C,
        table: str,
        columns: Sequence[str],
        parts: Iterable[pa.Table | list[Row]],
    ) -> int:
        """Add rows to a table, all or none, and return how many.

        It is called instead of `insert` where there are no transactions. Several parts go to a
        table of their own first, and from there by one statement; override it where the database
        takes all of them in one call.

        Args:
            connection: where.
            table: its name, quoted.
            columns: the names of the columns, which are not quoted.
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
        """Make an empty table like another for the time of a transaction; return its quoted name.

        Args:
            connection: where.
            table: the name of the other, quoted.
        """
        name = self.quote_name(f"flowstone_{token_hex(8)}")
        statement = f"CREATE TEMPORARY TABLE {name} AS SELECT * FROM {table} WHERE 1 = 0"
        self.execute(connection, statement, ())
        return name

    def unstage(self, connection: C, staged: str) -> None:
        """Drop a table that `stage` made."""
        self.execute(connection, f"DROP TABLE {staged}", ())

    def create_key(self, connection: C, table: str, keys: Sequence[str]) -> None:
        """Let columns of a table be unique together, as `merge` needs it; may do nothing.

        It is called again for a table that has its index.
        """
        known = sha256("\0".join([table, *sorted(keys)]).encode(errors="surrogatepass"))
        name = self.quote_name(f"flowstone_key_{known.hexdigest()[:16]}")
        names = ", ".join(map(self.quote_name, keys))
        statement = f"CREATE UNIQUE INDEX IF NOT EXISTS {name} ON {table} ({names})"
        self.execute(connection, statement, ())

    def merge(
        self, connection: C, table: str, staged: str, columns: Sequence[str], keys: Sequence[str]
    ) -> None:
        """Insert the rows of a table into another, and update those whose key is there.

        Args:
            connection: where.
            table: the name of the table that is changed, quoted.
            staged: that of the one with the rows, whose keys differ and have no NULL.
            columns: the columns to set, which are not quoted.
            keys: those among them that are the key.
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
    """A driver over a client library that follows DB-API 2.0, with connections in autocommit."""

    def disconnect(self, connection: D) -> None:
        """Close a connection; a transaction that is open in it is rolled back."""
        connection.close()

    def execute(self, connection: D, operation: str, values: Sequence[object]) -> int:
        """Run one statement, and return how many rows it changed; 0 where that says nothing."""
        with closing(connection.cursor()) as cursor:
            cursor.execute(operation, values)
            return max(0, int(cursor.rowcount))  # -1: there is no such number

    def execute_many(self, connection: D, operation: str, rows: Sequence[Sequence[object]]) -> int:
        """Run one statement with each of these, and return how many rows were changed."""
        with closing(connection.cursor()) as cursor:
            cursor.executemany(operation, rows)
            return max(0, int(cursor.rowcount))

    def query(self, connection: D, operation: str, values: Sequence[object]) -> Cursor:
        """Run one statement, and return its rows, of which not all are in memory."""
        cursor: Any = connection.cursor()
        try:
            cursor.execute(operation, values)
        except BaseException:
            cursor.close()
            raise
        found: Cursor = cursor
        return found


class ArrowDriver(DatabaseDriver[C]):
    """A driver that hands out and takes tables of Arrow, with no row of Python between.

    `Database` uses it for whole tables, in and out, where pyarrow is installed. What comes out has
    the Python types and values that the rows of `query` have.
    """

    @abstractmethod
    def open_arrow(
        self, connection: C, operation: str, values: Sequence[object], batch_rows: int
    ) -> pa.RecordBatchReader:
        """Run one statement, and return a reader of its rows, of which not all are in memory.

        Other statements may run on the connection before all of them are read.

        Args:
            connection: where.
            operation: the statement.
            values: of its parameters, adapted.
            batch_rows: about how many rows to fetch at a time.
        """

    def fetch_arrow(self, connection: C, operation: str, values: Sequence[object]) -> pa.Table:
        """Run one statement, and return all its rows."""
        with self.open_arrow(connection, operation, values, ARROW_BATCH) as reader:
            return reader.read_all()

    @abstractmethod
    def insert_arrow(self, connection: C, table: str, data: pa.Table) -> None:
        """Add rows to a table; it is called in a transaction, for one batch after another.

        Args:
            connection: where.
            table: its name, quoted.
            data: the rows; the names of its columns are not quoted.
        """

    def insert_part(
        self, connection: C, table: str, columns: Sequence[str], part: pa.Table | list[Row]
    ) -> int:
        """Add a part of many rows by `insert`, or by `insert_arrow`, and return how many."""
        if isinstance(part, list):
            return super().insert_part(connection, table, columns, part)
        self.insert_arrow(connection, table, part)
        return int(part.num_rows)


class StoreDriver(DatabaseDriver[C]):
    """A driver whose database reads and writes object stores by jobs of its own.

    `Database` asks it first, and streams Parquet through this process where it says None.
    """

    @abstractmethod
    def copy_from(
        self, connection: C, table: str, access: StoreAccess, paths: Sequence[str]
    ) -> int | None:
        """Load Parquet files; it is called in a transaction, where there are any.

        Args:
            connection: where.
            table: its name, quoted.
            access: how to reach the store.
            paths: of the files, within the folder of ``access``.

        Returns:
            How many rows were added; None where the database can't read from such a store.
        """

    @abstractmethod
    def unload_to(
        self,
        connection: C,
        operation: str,
        values: Sequence[object],
        access: StoreAccess,
        folder: str,
    ) -> list[str] | None:
        """Write the rows of a query to Parquet files.

        Args:
            connection: where.
            operation: the query.
            values: of its parameters, adapted.
            access: how to reach the store.
            folder: where the files go, within the folder of ``access``.

        Returns:
            The paths of the files; None where the database can't write to such a store.
        """
