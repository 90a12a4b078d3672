"""SnowflakeDriver: the driver of `Database`, over the connector."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from functools import partial
from json import dumps
from typing import TYPE_CHECKING, Any
from uuid import UUID

from flowstone import record_measures, runtime, seconds_left
from flowstone.blocks.databases import ArrowDriver, AwareDatetime, SqlSyntax, StoreDriver
from flowstone.errors import DatabaseError
from flowstone_snowflake.arrow import read_batches
from flowstone_snowflake.bindings import JsonText, bind, bind_rows
from flowstone_snowflake.clouds import make_loads, make_location, make_unload
from flowstone_snowflake.errors import is_unknown_query, translate
from flowstone_snowflake.loads import read_answer
from flowstone_snowflake.measures import make_tag, measure
from flowstone_snowflake.names import fold_name, quote_name, quote_text
from flowstone_snowflake.sessions import SnowflakeSession
from flowstone_snowflake.staging import copy_table

if TYPE_CHECKING:
    import pyarrow as pa
    from snowflake.connector import SnowflakeConnection
    from snowflake.connector.cursor import SnowflakeCursor

    from flowstone.blocks.databases import Row
    from flowstone.records.access import DatabaseAccess, StoreAccess

#: Maximum number of values in one statement: with more, the connector creates a stage for them,
#: which ends a transaction.
MOST_VALUES = 50_000
#: Values of an INSERT that parses JSON: Snowflake limits a list to 16,384 expressions.
MOST_PARSED = 10_000
#: Seconds by which the server's limit exceeds the run's.
GRACE = 60
BINARY = 11


@dataclass(frozen=True)
class DriverSettings:
    """How statements are run.

    Attributes:
        make_access: returns the address and credentials for other tools.
        poll_seconds: seconds between two polls of a query that has run for more than 45 seconds.
        query_tag: the tag of each statement; see `make_tag`.
        cancel_on_kill: whether queries are recorded, and limited by the run's timeout.
        statement_timeout_seconds: the user's own limit; None without one.
        measures: whether bytes, credits and times of queries are looked up in the query history.
    """

    make_access: Callable[[], DatabaseAccess]
    poll_seconds: float = 1.0
    query_tag: str | None = None
    cancel_on_kill: bool = True
    statement_timeout_seconds: int | None = None
    measures: bool = True


class SnowflakeDriver(ArrowDriver[SnowflakeSession], StoreDriver[SnowflakeSession]):
    """Snowflake, over sessions of its connector."""

    placeholder_style = "qmark"
    savepoints = False
    cancels_by_id = True
    syntax = SqlSyntax(backslash_escapes=True, slash_comments=True, blocks=True)
    column_types: Mapping[type, str] = {
        bool: "BOOLEAN", int: "NUMBER(38, 0)", float: "FLOAT", str: "VARCHAR", bytes: "BINARY",
        Decimal: "NUMBER(38, 10)", AwareDatetime: "TIMESTAMP_TZ", datetime: "TIMESTAMP_NTZ",
        date: "DATE", time: "TIME", list: "VARIANT", dict: "VARIANT",
    }  # fmt: skip

    def __init__(
        self, where: str, connect: Callable[[], SnowflakeConnection], settings: DriverSettings
    ) -> None:
        """Create a driver without sessions.

        Args:
            where: the account and database, for messages.
            connect: opens a connection of the connector.
            settings: how statements are run.
        """
        super().__init__(where)
        self.settings = settings
        self.records_queries = settings.cancel_on_kill
        self._connect = connect
        self._region: str | None = None
        self._running: dict[str, SnowflakeSession] = {}

    def make_access(self) -> DatabaseAccess:
        """Return the address and credentials for other tools."""
        return self.settings.make_access()

    # -- sessions --------------------------------------------------------------------------------

    def connect(self) -> SnowflakeSession:
        """Open a session that commits each statement."""
        return SnowflakeSession(self._connect, self.where, self.settings.poll_seconds)

    def disconnect(self, connection: SnowflakeSession) -> None:
        """Close a session; its open transaction is rolled back."""
        connection.close()

    def interrupt(self, connection: SnowflakeSession) -> None:
        """Abort the query that a session runs."""
        connection.stop()

    def cancel_by_id(self, query_id: str) -> None:
        """Cancel a query, started by any process; ignore one that has ended."""
        running = self._running.get(query_id)
        if running is not None:
            if running.ended == query_id:
                return
            with suppress(Exception):
                if running.abort(query_id):
                    return
        with closing(self._connect()) as raw, raw.cursor() as cursor:
            try:
                cursor.execute(f"SELECT SYSTEM$CANCEL_QUERY({quote_text(query_id)})")
            except Exception as error:
                if not is_unknown_query(error):
                    raise

    def translate_error(self, error: Exception, statement: str | None) -> DatabaseError | None:
        """Return Flowstone's error for one of the connector's; None for other errors."""
        return translate(self.where, error, statement)

    # -- statements ------------------------------------------------------------------------------

    def adapt(self, value: object) -> object:
        """Return a value in the form that the connector accepts: a dict or a list as JSON."""
        if isinstance(value, (dict, list)):
            return JsonText(dumps(value))
        return str(value) if isinstance(value, UUID) else value

    def run(
        self, connection: SnowflakeSession, operation: str, values: Sequence[object] = ()
    ) -> SnowflakeCursor:
        """Run one statement, and return the connector's cursor.

        Args:
            connection: the session.
            operation: the statement, with ``?`` for each value.
            values: the values.
        """
        return self._run(connection, operation, bind(values))

    def _run(
        self,
        connection: SnowflakeSession,
        operation: str,
        values: Sequence[object],
        *,
        many: bool = False,
    ) -> SnowflakeCursor:
        cursor = connection.run(
            operation,
            values,
            many=many,
            parameters=self._make_parameters(),
            record=partial(self._record, connection),
        )
        if self.settings.measures and connection.ended == cursor.sfqid and runtime.flow_run.id:
            measure(connection.raw, cursor)
        return cursor

    @contextmanager
    def _record(self, connection: SnowflakeSession, query_id: str) -> Iterator[None]:
        self._running[query_id] = connection
        try:
            with self.record_query(query_id):
                yield
        finally:
            del self._running[query_id]

    def _make_parameters(self) -> dict[str, str]:
        """Return the parameters of one statement: its tag, and the server's own limit."""
        found = {}
        if tag := make_tag(self.settings.query_tag):
            found["QUERY_TAG"] = tag
        if self.settings.cancel_on_kill and (left := seconds_left()) is not None:
            longest = math.ceil(left) + GRACE
            own = self.settings.statement_timeout_seconds
            found["STATEMENT_TIMEOUT_IN_SECONDS"] = str(min(longest, own or longest))
        return found

    def execute(
        self, connection: SnowflakeSession, operation: str, values: Sequence[object]
    ) -> int:
        """Run one statement, and return the number of changed rows; 0 if that is unknown."""
        with closing(self.run(connection, operation, values)) as cursor:
            changed = count_changes(cursor)
        if changed:
            record_measures(rows_written=changed)
        return changed

    def execute_many(
        self, connection: SnowflakeSession, operation: str, rows: Sequence[Sequence[object]]
    ) -> int:
        """Run one statement for each row, and return the number of changed rows.

        An INSERT is sent as one statement for many rows.
        """
        if not rows or not rows[0] or not operation.lstrip().upper().startswith("INSERT"):
            return super().execute_many(connection, operation, rows)
        size = max(1, MOST_VALUES // len(rows[0]))
        changed = 0
        for start in range(0, len(rows), size):
            bound = bind_rows(rows[start : start + size])
            with closing(self._run(connection, operation, bound, many=True)) as cursor:
                changed += count_changes(cursor)
        record_measures(rows_written=changed)
        return changed

    def query(
        self, connection: SnowflakeSession, operation: str, values: Sequence[object]
    ) -> SnowflakeRows:
        """Run one statement, and return its rows."""
        return SnowflakeRows(self._read(connection, operation, values))

    def _read(
        self, connection: SnowflakeSession, operation: str, values: Sequence[object]
    ) -> SnowflakeCursor:
        cursor = self.run(connection, operation, values)
        record_measures(rows_read=max(0, cursor.rowcount or 0))
        return cursor

    # -- tables ----------------------------------------------------------------------------------

    def quote_name(self, name: str) -> str:
        """Return a name quoted for statements: lower case stands for Snowflake's upper case."""
        return quote_name(name)

    def create_table(
        self, connection: SnowflakeSession, table: str, columns: Mapping[str, type]
    ) -> None:
        """Create a table if it does not exist; an open transaction continues."""
        if connection.has_written:
            with closing(self.connect()) as aside:
                super().create_table(aside, table, columns)
            return
        was_open = connection.in_transaction
        super().create_table(connection, table, columns)
        if was_open:
            self.begin(connection, None)

    def insert(
        self,
        connection: SnowflakeSession,
        table: str,
        columns: Sequence[str],
        rows: Sequence[Row],
    ) -> None:
        """Add rows to a table, many per statement; dicts and lists become VARIANTs."""
        parsed = {
            place for row in rows for place, value in enumerate(row) if isinstance(value, JsonText)
        }
        if not parsed:
            super().insert(connection, table, columns, rows)
            return
        names = ", ".join(map(quote_name, columns))
        picked = ", ".join(
            f"PARSE_JSON(column{place + 1})" if place in parsed else f"column{place + 1}"
            for place in range(len(columns))
        )
        marks = f"({', '.join('?' * len(columns))})"
        size = max(1, MOST_PARSED // len(columns))
        for start in range(0, len(rows), size):
            some = rows[start : start + size]
            statement = (
                f"INSERT INTO {table} ({names}) SELECT {picked} "  # noqa: S608 - names are quoted
                f"FROM VALUES {', '.join([marks] * len(some))}"
            )
            self.execute(connection, statement, [value for row in some for value in row])

    # -- transactions ----------------------------------------------------------------------------

    def commit(self, connection: SnowflakeSession, savepoint: str | None) -> None:
        """Commit the changes since `begin`."""
        super().commit(connection, savepoint)
        self._drop_leftover(connection)

    def rollback(self, connection: SnowflakeSession, savepoint: str | None) -> None:
        """Roll back the changes since `begin`."""
        super().rollback(connection, savepoint)
        self._drop_leftover(connection)

    def _drop_leftover(self, connection: SnowflakeSession) -> None:
        while connection.leftover:
            self.execute(connection, f"DROP TABLE IF EXISTS {connection.leftover.pop()}", ())

    # -- rows that replace others ----------------------------------------------------------------

    def stage(self, connection: SnowflakeSession, table: str) -> str:
        """Create an empty temporary table like another; return its quoted name.

        This ends a transaction, so it has to be the first statement in one.

        Raises:
            DatabaseError: something was already written in the transaction.
        """
        if connection.has_written:
            problem = "an upsert needs a temporary table, and creating one commits the transaction"
            remedy = "Call `upsert` first in the transaction, or outside of it."
            raise DatabaseError(self.where, problem, remedy)
        was_open = connection.in_transaction
        staged = super().stage(connection, table)
        if was_open:
            self.begin(connection, None)
        return staged

    def unstage(self, connection: SnowflakeSession, staged: str) -> None:
        """Drop a table that `stage` created, after the transaction: a drop commits it."""
        connection.leftover.append(staged)
        if not connection.in_transaction:
            self._drop_leftover(connection)

    def create_key(self, connection: SnowflakeSession, table: str, keys: Sequence[str]) -> None:
        """Do nothing: Snowflake enforces no key, and MERGE needs none."""

    def merge(
        self,
        connection: SnowflakeSession,
        table: str,
        staged: str,
        columns: Sequence[str],
        keys: Sequence[str],
    ) -> None:
        """Merge the rows of a table into another: insert new keys, and update existing ones."""
        names = [quote_name(name) for name in columns]
        same = " AND ".join(f"t.{name} = s.{name}" for name in map(quote_name, keys))
        changes = ", ".join(
            f"{name} = s.{name}" for name in (quote_name(n) for n in columns if n not in keys)
        )
        update = f"WHEN MATCHED THEN UPDATE SET {changes} " if changes else ""
        statement = (
            f"MERGE INTO {table} t USING {staged} s ON {same} {update}"  # noqa: S608 - quoted
            f"WHEN NOT MATCHED THEN INSERT ({', '.join(names)}) "
            f"VALUES ({', '.join(f's.{name}' for name in names)})"
        )
        self.execute(connection, statement, ())

    # -- Arrow -----------------------------------------------------------------------------------

    def open_arrow(
        self,
        connection: SnowflakeSession,
        operation: str,
        values: Sequence[object],
        batch_rows: int,
    ) -> pa.RecordBatchReader:
        """Run one statement, and return its rows in batches."""
        return read_batches(self._read(connection, operation, values), batch_rows)

    def insert_arrow(self, connection: SnowflakeSession, table: str, data: pa.Table) -> None:
        """Add the rows of an Arrow table: as Parquet on a stage, and from there with COPY INTO."""
        copy_table(self, connection, table, data)

    # -- object stores ---------------------------------------------------------------------------

    def copy_from(
        self, connection: SnowflakeSession, table: str, access: StoreAccess, paths: Sequence[str]
    ) -> int | None:
        """Load Parquet files from a bucket in the account's cloud; return None for others."""
        location = make_location(access, self._find_region(connection))
        if location is None:
            return None
        return sum(
            self.execute(connection, load, ()) for load in make_loads(table, location, paths)
        )

    def unload_to(
        self,
        connection: SnowflakeSession,
        operation: str,
        values: Sequence[object],
        access: StoreAccess,
        folder: str,
    ) -> list[str] | None:
        """Write the rows of a query to a bucket in the account's cloud; None for others."""
        # Values can't be bound in COPY INTO a location.
        location = None if values else make_location(access, self._find_region(connection))
        if location is None:
            return None
        rows = read_answer(self, connection, make_unload(operation, location, folder))
        return [f"{folder.strip('/')}/{row['file_name']}".lstrip("/") for row in rows]

    def _find_region(self, connection: SnowflakeSession) -> str:
        if self._region is None:
            with closing(self.run(connection, "SELECT CURRENT_REGION()")) as cursor:
                row: Any = cursor.fetchone()
                self._region = str(row[0]) if row else ""
        return self._region


class SnowflakeRows:
    """The rows of a query, which arrive in parts as they are fetched.

    Attributes:
        description: the columns, with names as in Python.
        names: the names as in Snowflake.
    """

    def __init__(self, raw: SnowflakeCursor) -> None:
        self._raw = raw
        columns: list[Any] = list(raw.description or ())
        self.names: list[str] = [each[0] for each in columns]
        self.description: Any = [(fold_name(each[0]), *each[1:]) for each in columns]
        self._binary = [place for place, each in enumerate(columns) if each[1] == BINARY]

    def fetchmany(self, size: int, /) -> Sequence[Any]:
        """Return the next rows, at most `size`."""
        rows: list[Any] = self._raw.fetchmany(size)
        if not self._binary:
            return rows
        return [tuple(bytes(v) if isinstance(v, bytearray) else v for v in row) for row in rows]

    def close(self) -> None:
        """Discard the remaining rows."""
        self._raw.close()


def count_changes(cursor: SnowflakeCursor) -> int:
    """Return the number of rows that a statement changed; 0 if its result does not contain it."""
    names = [each[0] for each in cursor.description or ()]
    if names and names[0].startswith("number of "):
        return max(0, cursor.rowcount or 0)
    if "rows_loaded" in names:
        place = names.index("rows_loaded")
        return sum(int(row[place]) for row in cursor.fetchall())
    return 0
