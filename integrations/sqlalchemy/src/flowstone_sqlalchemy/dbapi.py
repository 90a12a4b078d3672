"""All other databases, through a SQLAlchemy dialect and the driver that the URL names."""

from __future__ import annotations

from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from json import dumps
from secrets import token_hex
from time import monotonic
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr
from sqlalchemy import types
from sqlalchemy.dialects import mysql
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from flowstone.blocks.databases import AwareDatetime, DBAPIDriver
from flowstone.errors import (
    DatabaseError,
    DatabaseUnreachable,
    TableMissing,
)
from flowstone.records.access import DatabaseAccess
from flowstone_sqlalchemy.engines import find_url, make_sync_engine
from flowstone_sqlalchemy.errors import (
    CREATE,
    FIX,
    LOST,
    OurError,
    find_by_exception,
    find_by_sqlstate,
    leave_values_out,
)
from flowstone_sqlalchemy.measures import CountedRows, record_rows
from flowstone_sqlalchemy.statements import MYSQL, QMARK, replace_places

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Engine
    from sqlalchemy.types import TypeEngine

    from flowstone.blocks.databases import Cursor
    from flowstone_sqlalchemy.connector import SqlAlchemyConnector

#: Seconds after which an idle connection is tested before it is used.
IDLE = 5.0
#: Parameters of a URL that other tools need, too.
_SHARED = ("sslmode", "sslrootcert")
_TYPES: Mapping[type, TypeEngine[Any]] = {
    bool: types.Boolean(),
    int: types.BigInteger(),
    float: types.Double(),
    str: types.Text(),
    bytes: types.LargeBinary(),
    Decimal: types.Numeric(38, 10),
    # MySQL has no times with a zone, and would drop the zone: they are text.
    AwareDatetime: types.DateTime(timezone=True).with_variant(types.String(32), "mysql", "mariadb"),
    # By default, MySQL's type has whole seconds.
    datetime: types.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb"),
    date: types.Date(),
}
#: By the paramstyle of DB-API, the placeholder of the value at a position.
_PLACES = {
    "qmark": "?", "format": "%s", "pyformat": "%s", "numeric": ":{}", "named": ":{}",
    "numeric_dollar": "${}",
}  # fmt: skip
#: Parts of databases' messages for a missing table.
_MISSING = ("no such table", "doesn't exist", "ora-00942", "invalid object name")
#: Async drivers whose sync form has another name.
_SYNC = {"oracle+oracledb_async": "oracle+oracledb"}


class DialectConnection:
    """A DB-API connection, and the time of its last use.

    Attributes:
        raw: SQLAlchemy's connection, which holds the driver's.
        used: the time of its last statement.
        in_transaction: whether this package began a transaction.
    """

    def __init__(self, raw: Any) -> None:
        self.raw, self.used, self.in_transaction = raw, monotonic(), False

    def cursor(self) -> Any:
        """Return a new cursor."""
        return self.raw.cursor()

    def close(self) -> None:
        """Close it."""
        self.raw.close()


def make_dbapi_driver(connector: SqlAlchemyConnector) -> DialectDriver:
    """Return a driver for the database that a block's URL names.

    Raises:
        ConfigurationError: SQLAlchemy has no such dialect or driver.
        MissingExtra: the driver is not installed.
    """
    return DialectDriver(connector.connection_info.describe(), make_plain_engine(connector))


def make_plain_engine(connector: SqlAlchemyConnector) -> Engine:
    """Return an engine with a sync driver and without a connection pool."""
    url = find_url(connector)
    url = url.set(drivername=_SYNC.get(url.drivername, url.drivername))
    return make_sync_engine(connector, url, {"poolclass": NullPool})


class DialectDriver(DBAPIDriver[DialectConnection]):
    """A database through the driver of a SQLAlchemy dialect, with its names, types and errors."""

    placeholder_style = "qmark"
    cancels = False
    savepoints = False

    def __init__(self, where: str, engine: Engine) -> None:
        super().__init__(where)
        self._engine, self._dialect = engine, engine.dialect
        self._is_disconnect: Any = engine.dialect.is_disconnect
        if engine.dialect.name in {"mysql", "mariadb"}:
            self.syntax = MYSQL
        compiler = engine.dialect.type_compiler_instance
        self.column_types = {kind: compiler.process(each) for kind, each in _TYPES.items()}

    def make_access(self) -> DatabaseAccess:
        url = self._engine.url
        password = {} if url.password is None else {"password": SecretStr(url.password)}
        options = {name: str(url.query[name]) for name in _SHARED if name in url.query}
        return DatabaseAccess(
            url.get_backend_name(), url.database or "", url.host, url.port, url.username,
            options=options, secrets=password,
        )  # fmt: skip

    # -- connections -----------------------------------------------------------------------------

    def connect(self) -> DialectConnection:
        """Open a connection that commits each statement."""
        return DialectConnection(self._open())

    def _open(self) -> Any:
        raw = self._engine.raw_connection()
        assert raw.dbapi_connection is not None
        self._dialect.set_isolation_level(raw.dbapi_connection, "AUTOCOMMIT")
        return raw

    def interrupt(self, connection: DialectConnection) -> None:
        """Do nothing: DB-API has no way to stop a statement."""

    def _prepare(self, connection: DialectConnection) -> None:
        """Open a connection again if it was lost while it was idle."""
        if not connection.in_transaction and monotonic() - connection.used > IDLE:
            try:
                alive = self._dialect.do_ping(connection.raw.dbapi_connection)
            except Exception:  # noqa: BLE001 - whatever is wrong, another one is opened
                alive = False
            if not alive:
                with suppress(Exception):
                    connection.raw.close()
                connection.raw = self._open()
        connection.used = monotonic()

    # -- statements ------------------------------------------------------------------------------

    def quote_name(self, name: str) -> str:
        """Return a name of a table or column as the dialect quotes it."""
        return self._dialect.identifier_preparer.quote_identifier(name)

    def adapt(self, value: object) -> object:
        """Return a value in the form that drivers accept: a list or dict as JSON."""
        if self.syntax is MYSQL and isinstance(value, datetime) and value.tzinfo is not None:
            return value.isoformat(" ")
        return dumps(value) if isinstance(value, (dict, list)) else value

    def execute(
        self, connection: DialectConnection, operation: str, values: Sequence[object]
    ) -> int:
        """Run one statement, and return the number of changed rows; 0 if that is unknown."""
        self._prepare(connection)
        count = super().execute(connection, self._render(operation, values), tuple(values))
        record_rows(written=count)
        return count

    def execute_many(
        self, connection: DialectConnection, operation: str, rows: Sequence[Sequence[object]]
    ) -> int:
        """Run one statement for each row of values, and return the number of changed rows."""
        self._prepare(connection)
        statement = self._render(operation, rows[0]) if rows else operation
        count = super().execute_many(connection, statement, [tuple(row) for row in rows])
        record_rows(written=count)
        return count

    def query(
        self, connection: DialectConnection, operation: str, values: Sequence[object]
    ) -> Cursor:
        """Run one statement, and return its rows, which the driver may hold in memory."""
        self._prepare(connection)
        found = super().query(connection, self._render(operation, values), tuple(values))
        return CountedRows(found)

    def _render(self, operation: str, values: Sequence[object]) -> str:
        """Return a statement with the driver's placeholders."""
        if not values:
            return operation  # it is sent unchanged
        style = self._dialect.paramstyle
        escape = style in {"format", "pyformat"}
        return replace_places(
            operation,
            self.syntax,
            QMARK,
            lambda place: _PLACES[style].format(place + 1),
            (lambda text: text.replace("%", "%%")) if escape else str,
        )

    # -- transactions ----------------------------------------------------------------------------

    def begin(self, connection: DialectConnection, savepoint: str | None) -> None:
        """Begin a transaction in DB-API's way: the connection leaves autocommit."""
        assert savepoint is None, "it says that it has none"
        self._prepare(connection)
        self._dialect.reset_isolation_level(connection.raw.dbapi_connection)
        connection.in_transaction = True

    def commit(self, connection: DialectConnection, savepoint: str | None) -> None:
        """Commit the changes since `begin`."""
        assert savepoint is None
        connection.raw.commit()
        self._end(connection)

    def rollback(self, connection: DialectConnection, savepoint: str | None) -> None:
        """Roll back the changes since `begin`."""
        assert savepoint is None
        connection.raw.rollback()
        self._end(connection)

    def _end(self, connection: DialectConnection) -> None:
        self._dialect.set_isolation_level(connection.raw.dbapi_connection, "AUTOCOMMIT")
        connection.in_transaction = False

    # -- rows that replace others ----------------------------------------------------------------

    def stage(self, connection: DialectConnection, table: str) -> str:
        """Create an empty table like another, in which any column may be NULL."""
        name = self.quote_name(f"flowstone_{token_hex(8)}")
        # An outer join, as columns copied directly from a table keep the NOT NULL of its keys.
        rows = f"SELECT it.* FROM (SELECT 1 AS one) o LEFT JOIN {table} it ON 1 = 0 WHERE 1 = 0"  # noqa: S608 - it is quoted
        self.execute(connection, f"CREATE TEMPORARY TABLE {name} AS {rows}", ())
        return name

    def unstage(self, connection: DialectConnection, staged: str) -> None:
        """Drop a table that `stage` created; without TEMPORARY, MySQL would commit."""
        word = "TEMPORARY " if self.syntax is MYSQL else ""
        self.execute(connection, f"DROP {word}TABLE {staged}", ())

    def merge(
        self,
        connection: DialectConnection,
        table: str,
        staged: str,
        columns: Sequence[str],
        keys: Sequence[str],
    ) -> None:
        """Update the rows with existing keys, then insert the others, in portable SQL."""
        quoted = [self.quote_name(name) for name in columns]
        same = " AND ".join(
            f"{staged}.{name} = {table}.{name}" for name in map(self.quote_name, keys)
        )
        names = ", ".join(quoted)
        changes = ", ".join(
            f"{name} = (SELECT {staged}.{name} FROM {staged} WHERE {same})"  # noqa: S608 - names are quoted
            for name in quoted
            if name not in map(self.quote_name, keys)
        )
        if changes:
            there = f"EXISTS (SELECT 1 FROM {staged} WHERE {same})"  # noqa: S608 - names are quoted
            self.execute(connection, f"UPDATE {table} SET {changes} WHERE {there}", ())  # noqa: S608 - names are quoted
        missing = f"NOT EXISTS (SELECT 1 FROM {table} WHERE {same})"  # noqa: S608 - names are quoted
        insert = f"INSERT INTO {table} ({names}) SELECT {names} FROM {staged} WHERE {missing}"  # noqa: S608 - names are quoted
        self.execute(connection, insert, ())

    # -- errors ----------------------------------------------------------------------------------

    def translate_error(self, error: Exception, statement: str | None) -> DatabaseError | None:
        """Return Flowstone's error for one of the driver's; None for other errors."""
        if isinstance(error, OurError):
            return error.found
        found = find_by_exception(error)
        if found is None and not isinstance(error, SQLAlchemyError):
            return None
        words = " ".join(str(error.args[-1] if error.args else error).split()).rstrip(".")
        state = _find_state(error)
        kind, remedy = find_by_sqlstate(state) if state else found or (DatabaseError, FIX)
        lower = words.lower()
        if any(part in lower for part in _MISSING):
            kind, remedy = TableMissing, CREATE
        elif self._is_disconnect(error, None, None):
            kind, remedy = DatabaseUnreachable, LOST
        code = f" (SQLSTATE {state})" if state else ""
        return kind(self.where, f"{leave_values_out(words)}{code}", remedy, statement)


def _find_state(error: Exception) -> str | None:
    """Return the SQLSTATE of an error, if its driver provides one."""
    first = error.args[0] if error.args else None
    for found in (getattr(error, "sqlstate", None), getattr(error, "pgcode", None), first):
        if isinstance(found, str) and len(found) == 5 and found.isalnum() and found.isupper():
            return found
    return None
