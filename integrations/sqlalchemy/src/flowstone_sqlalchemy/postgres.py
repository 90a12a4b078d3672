"""PostgreSQL: psycopg for statements and rows, ADBC for Arrow, binary COPY to load tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from psycopg.types.json import Jsonb
from pydantic import SecretStr

from flowstone import seconds_left
from flowstone.blocks.databases import ArrowDriver, AwareDatetime
from flowstone.errors import DatabaseError, QueryInvalid
from flowstone.records.access import DatabaseAccess
from flowstone_sqlalchemy import postgres_copy
from flowstone_sqlalchemy.errors import ConnectionLost, OurError
from flowstone_sqlalchemy.measures import CountedRows, record_rows
from flowstone_sqlalchemy.postgres_arrow import open_reader
from flowstone_sqlalchemy.postgres_connection import PostgresConnection
from flowstone_sqlalchemy.postgres_errors import translate
from flowstone_sqlalchemy.statements import POSTGRES

if TYPE_CHECKING:
    import pyarrow as pa

    from flowstone.blocks.databases import Cursor, Row

#: Statements whose row count is the number of changed rows.
_CHANGING = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE", "COPY"})
#: Number of rows per batch of a result that is fetched as a whole.
WHOLE = 1_000_000
#: Parameters of libpq that other tools need, too.
_SHARED = ("sslmode", "sslrootcert", "sslcert", "sslkey", "options")


class PostgresDriver(ArrowDriver[PostgresConnection]):
    """PostgreSQL, over psycopg and ADBC."""

    placeholder_style = "dollar"
    syntax = POSTGRES
    column_types: Mapping[type, str] = {
        bool: "BOOLEAN", int: "BIGINT", float: "DOUBLE PRECISION", str: "TEXT", bytes: "BYTEA",
        Decimal: "NUMERIC", AwareDatetime: "TIMESTAMP WITH TIME ZONE", datetime: "TIMESTAMP",
        date: "DATE", list: "JSONB", dict: "JSONB",
    }  # fmt: skip

    def __init__(
        self,
        where: str,
        arguments: Mapping[str, Any],
        *,
        pooled: bool = False,
        guarded: bool = True,
        size: int = 1000,
    ) -> None:
        super().__init__(where)
        self._arguments, self._size = arguments, size
        self._pooled, self._guarded = pooled, guarded

    def make_access(self) -> DatabaseAccess:
        given = self._arguments
        port = given.get("port")
        return DatabaseAccess(
            "postgresql",
            str(given.get("dbname") or given.get("user") or ""),
            given.get("host"),
            int(port) if port and str(port).isdigit() else None,
            given.get("user"),
            options={name: str(given[name]) for name in _SHARED if name in given},
            secrets={"password": SecretStr(given["password"])} if given.get("password") else {},
        )

    # -- connections -----------------------------------------------------------------------------

    def connect(self) -> PostgresConnection:
        """Open a connection that commits each statement."""
        return PostgresConnection(self._arguments, pooled=self._pooled, guarded=self._guarded)

    def disconnect(self, connection: PostgresConnection) -> None:
        """Close a connection; its open transaction is rolled back."""
        connection.close()

    def interrupt(self, connection: PostgresConnection) -> None:
        """Cancel the connection's statement on the server."""
        connection.interrupt()

    def translate_error(self, error: Exception, statement: str | None) -> DatabaseError | None:
        """Return Flowstone's error for one of psycopg's or ADBC's; None for other errors."""
        return translate(self.where, error, statement)

    # -- statements ------------------------------------------------------------------------------

    def adapt(self, value: object) -> object:
        """Return a value in psycopg's form: a dict as JSON."""
        return Jsonb(value) if isinstance(value, dict) else value

    def execute(
        self, connection: PostgresConnection, operation: str, values: Sequence[object]
    ) -> int:
        """Run one statement, and return the number of changed rows; 0 if that is unknown."""
        connection.prepare(seconds_left())
        # With binary results, the server refuses a second statement after a semicolon.
        with connection.watch_connection():
            cursor = connection.raw.execute(operation, values or None, binary=True)
        word = (cursor.statusmessage or "").partition(" ")[0]
        count = max(0, cursor.rowcount) if word in _CHANGING else 0
        record_rows(written=count)
        return count

    def execute_many(
        self, connection: PostgresConnection, operation: str, rows: Sequence[Sequence[object]]
    ) -> int:
        """Run one statement for each row of values, and return the number of changed rows."""
        connection.prepare(seconds_left())
        with connection.watch_connection(), connection.raw.cursor() as cursor:
            cursor.executemany(operation, rows)
            count = max(0, cursor.rowcount)
        record_rows(written=count)
        return count

    def query(
        self, connection: PostgresConnection, operation: str, values: Sequence[object]
    ) -> Cursor:
        """Run one statement, and return its rows, of which only some are in memory."""
        connection.prepare(seconds_left())
        with connection.watch_connection():
            return CountedRows(connection.query(operation, values, self._size))

    # -- transactions ----------------------------------------------------------------------------

    def begin(self, connection: PostgresConnection, savepoint: str | None) -> None:
        """Begin a transaction, or a savepoint, which can be rolled back on its own."""
        super().begin(connection, savepoint)
        connection.begin()

    def commit(self, connection: PostgresConnection, savepoint: str | None) -> None:
        """Commit the changes since `begin`."""
        if savepoint is not None:
            super().commit(connection, savepoint)
            return
        with connection.watch_connection(ConnectionLost.COMMITTING):
            done = connection.raw.execute("COMMIT").statusmessage
        connection.end()
        if done == "ROLLBACK":
            problem = "the transaction was rolled back, because a statement in it had failed"
            remedy = "Let its error leave the block, or run the statement in a nested transaction."
            raise OurError(QueryInvalid(self.where, problem, remedy))

    def rollback(self, connection: PostgresConnection, savepoint: str | None) -> None:
        """Roll back the changes since `begin`."""
        if savepoint is not None:
            super().rollback(connection, savepoint)
            connection.forget_limit()
            return
        try:
            connection.raw.execute("ROLLBACK")
        finally:
            connection.end()

    # -- tables ----------------------------------------------------------------------------------

    def insert(
        self,
        connection: PostgresConnection,
        table: str,
        columns: Sequence[str],
        rows: Sequence[Row],
    ) -> None:
        """Add rows to a table, with COPY if the table allows it."""
        connection.prepare(seconds_left())
        with connection.watch_connection():
            target = postgres_copy.find_target(connection.raw, table)
            if target.takes_copy:
                names = list(map(self.quote_name, columns))
                postgres_copy.copy_rows(connection.raw, table, columns, names, rows, target)
                record_rows(written=len(rows))
                return
        super().insert(connection, table, columns, rows)

    def insert_arrow(self, connection: PostgresConnection, table: str, data: pa.Table) -> None:
        """Add the rows of an Arrow table to a table, with binary COPY if its types allow it."""
        connection.prepare(seconds_left())
        with connection.watch_connection():
            target = postgres_copy.find_target(connection.raw, table)
            names = list(map(self.quote_name, data.schema.names))
            if postgres_copy.copy_table(connection.raw, table, names, data, target):
                record_rows(written=data.num_rows)
                return
        for batch in data.to_batches(max_chunksize=self._size):
            rows = zip(*(column.to_pylist() for column in batch.columns), strict=True)
            adapted = [tuple(map(self.adapt, row)) for row in rows]
            self.insert(connection, table, data.schema.names, adapted)

    def open_arrow(
        self,
        connection: PostgresConnection,
        operation: str,
        values: Sequence[object],
        batch_rows: int,
    ) -> pa.RecordBatchReader:
        """Run one statement, and return a reader of its rows; outside transactions, with ADBC."""
        connection.prepare(seconds_left())
        with connection.watch_connection():
            return open_reader(connection, operation, values, batch_rows)

    def fetch_arrow(
        self, connection: PostgresConnection, operation: str, values: Sequence[object]
    ) -> pa.Table:
        """Run one statement, and return all its rows."""
        connection.prepare(seconds_left())
        with (
            connection.watch_connection(),
            open_reader(connection, operation, values, WHOLE, whole=True) as reader,
        ):
            return reader.read_all()
