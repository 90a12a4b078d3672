"""SnowflakeDriver: what `Database` calls, by the connector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing, nullcontext
from datetime import date, datetime, time
from decimal import Decimal
from json import dumps
from typing import TYPE_CHECKING, Any
from uuid import UUID

from flowstone.blocks.databases import ArrowDriver, AwareDatetime
from flowstone_snowflake.arrow import read_batches
from flowstone_snowflake.bindings import JsonText, bind, bind_rows
from flowstone_snowflake.errors import translate
from flowstone_snowflake.names import fold_name, quote_name
from flowstone_snowflake.sessions import SnowflakeSession
from flowstone_snowflake.staging import copy_table

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa
    from snowflake.connector import SnowflakeConnection
    from snowflake.connector.cursor import SnowflakeCursor

    from flowstone.blocks.databases import Row
    from flowstone.errors import DatabaseError
    from flowstone.records.access import DatabaseAccess

#: Values that are sent with one statement, at most: with more, the connector makes a stage for
#: them, and to make one ends a transaction.
MOST_VALUES = 50_000
#: Values of an INSERT that parses JSON: there is a limit of 16,384 expressions in a list.
MOST_PARSED = 10_000
BINARY = 11


class SnowflakeDriver(ArrowDriver[SnowflakeSession]):
    """Snowflake, over sessions of its connector."""

    placeholder_style = "qmark"
    savepoints = False
    column_types: Mapping[type, str] = {
        bool: "BOOLEAN", int: "NUMBER(38, 0)", float: "FLOAT", str: "VARCHAR", bytes: "BINARY",
        Decimal: "NUMBER(38, 10)", AwareDatetime: "TIMESTAMP_TZ", datetime: "TIMESTAMP_NTZ",
        date: "DATE", time: "TIME", list: "VARIANT", dict: "VARIANT",
    }  # fmt: skip

    def __init__(
        self,
        where: str,
        connect: Callable[[], SnowflakeConnection],
        *,
        poll_seconds: float = 1.0,
        make_access: Callable[[], DatabaseAccess] | None = None,
        make_tag: Callable[[], str | None] = lambda: None,
    ) -> None:
        """Begin with no session.

        Args:
            where: which account and database, for messages.
            connect: opens a connection of the connector's.
            poll_seconds: between two looks at a query that has run for longer than 45 seconds.
            make_access: returns what another tool needs to log in.
            make_tag: returns the query tag of what is run now.
        """
        super().__init__(where)
        self._connect, self._poll_seconds = connect, poll_seconds
        self._make_access, self._make_tag = make_access, make_tag

    def make_access(self) -> DatabaseAccess:
        """Return what another tool needs to reach the account."""
        return super().make_access() if self._make_access is None else self._make_access()

    # -- sessions --------------------------------------------------------------------------------

    def connect(self) -> SnowflakeSession:
        """Open a session that commits each statement."""
        return SnowflakeSession(self._connect, self.where, self._poll_seconds)

    def disconnect(self, connection: SnowflakeSession) -> None:
        """Close a session; a transaction that is open in it is rolled back."""
        connection.close()

    def interrupt(self, connection: SnowflakeSession) -> None:
        """Abort the query that a session runs."""
        connection.stop()

    def translate_error(self, error: Exception, statement: str | None) -> DatabaseError | None:
        """Return our error for one of the connector's; None for anybody else's."""
        return translate(self.where, error, statement)

    # -- statements ------------------------------------------------------------------------------

    def adapt(self, value: object) -> object:
        """Return a value as the connector takes it: a dict or a list as JSON."""
        if isinstance(value, (dict, list)):
            return JsonText(dumps(value))
        return str(value) if isinstance(value, UUID) else value

    def run(
        self, connection: SnowflakeSession, operation: str, values: Sequence[object] = ()
    ) -> SnowflakeCursor:
        """Run one statement, and return the connector's cursor."""
        return self._run(connection, operation, bind(values))

    def _run(
        self,
        connection: SnowflakeSession,
        operation: str,
        values: Sequence[object],
        *,
        many: bool = False,
    ) -> SnowflakeCursor:
        parameters = {}
        if tag := self._make_tag():
            parameters["QUERY_TAG"] = tag
        return connection.run(
            operation, values, many=many, parameters=parameters, record=nullcontext
        )

    def execute(
        self, connection: SnowflakeSession, operation: str, values: Sequence[object]
    ) -> int:
        """Run one statement, and return how many rows it changed; 0 where that says nothing."""
        with closing(self.run(connection, operation, values)) as cursor:
            return count_changes(cursor)

    def execute_many(
        self, connection: SnowflakeSession, operation: str, rows: Sequence[Sequence[object]]
    ) -> int:
        """Run one statement with each of these; an INSERT as one statement for many rows."""
        if not rows or not rows[0] or not operation.lstrip().upper().startswith("INSERT"):
            return super().execute_many(connection, operation, rows)
        size = max(1, MOST_VALUES // len(rows[0]))
        changed = 0
        for start in range(0, len(rows), size):
            bound = bind_rows(rows[start : start + size])
            with closing(self._run(connection, operation, bound, many=True)) as cursor:
                changed += count_changes(cursor)
        return changed

    def query(
        self, connection: SnowflakeSession, operation: str, values: Sequence[object]
    ) -> SnowflakeRows:
        """Run one statement, and return its rows."""
        return SnowflakeRows(self.run(connection, operation, values))

    # -- tables ----------------------------------------------------------------------------------

    def quote_name(self, name: str) -> str:
        """Return a name as it stands in a statement: a lower-case one is Snowflake's usual."""
        return quote_name(name)

    def create_table(
        self, connection: SnowflakeSession, table: str, columns: Mapping[str, type]
    ) -> None:
        """Make a table if there is none; a transaction that is open goes on."""
        if connection.is_at_work:
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
        """Add rows to a table, many with one statement; dicts and lists become VARIANTs."""
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

    # -- Arrow -----------------------------------------------------------------------------------

    def fetch_arrow(
        self, connection: SnowflakeSession, operation: str, values: Sequence[object]
    ) -> pa.Table:
        """Run one statement, and return all its rows."""
        return self.open_arrow(connection, operation, values, batch_rows=None).read_all()

    def open_arrow(
        self,
        connection: SnowflakeSession,
        operation: str,
        values: Sequence[object],
        batch_rows: int | None,
    ) -> pa.RecordBatchReader:
        """Run one statement, and return its rows in batches."""
        return read_batches(self.run(connection, operation, values), batch_rows)

    def insert_arrow(self, connection: SnowflakeSession, table: str, data: pa.Table) -> None:
        """Add the rows of a table of Arrow: as Parquet on a stage, and from there by COPY INTO."""
        copy_table(self, connection, table, data)


class SnowflakeRows:
    """The rows of a query, which come in parts as they are fetched."""

    def __init__(self, raw: SnowflakeCursor) -> None:
        self._raw = raw
        columns: list[Any] = list(raw.description or ())
        self.description: Any = [(fold_name(each[0]), *each[1:]) for each in columns]
        self._binary = [place for place, each in enumerate(columns) if each[1] == BINARY]

    def fetchmany(self, size: int, /) -> Sequence[Any]:
        """Return so many rows, or what is left of them."""
        rows: list[Any] = self._raw.fetchmany(size)
        if not self._binary:
            return rows
        return [tuple(bytes(v) if isinstance(v, bytearray) else v for v in row) for row in rows]

    def close(self) -> None:
        """Let go of what is left of the rows."""
        self._raw.close()


def count_changes(cursor: SnowflakeCursor) -> int:
    """Return how many rows a statement changed; 0 where its result does not say."""
    names = [each[0] for each in cursor.description or ()]
    if names and names[0].startswith("number of "):
        return max(0, cursor.rowcount or 0)
    if "rows_loaded" in names:
        place = names.index("rows_loaded")
        return sum(int(row[place]) for row in cursor.fetchall())
    return 0
