"""The driver of a block's own methods, chosen by the database in its URL."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from flowstone.blocks.databases import SqliteDriver
from flowstone.errors import ConfigurationError, MissingExtra

if TYPE_CHECKING:
    from flowstone.blocks.databases import DatabaseDriver
    from flowstone_sqlalchemy.connector import SqlAlchemyConnector


def make_driver(connector: SqlAlchemyConnector) -> DatabaseDriver[Any]:
    """Return the driver for a block.

    Raises:
        MissingExtra: its client library is not installed.
        ConfigurationError: this database does not support a value in the fields.
    """
    info = connector.connection_info
    dialect, _, named = info.drivername.partition("+")
    if dialect == "sqlite" and named in {"", "pysqlite", "aiosqlite"}:
        return _make_sqlite_driver(connector)
    if dialect == "postgresql":
        if find_spec("psycopg") is not None:
            return _make_postgres_driver(connector)
        if named in {"", "psycopg", "asyncpg"}:
            raise MissingExtra("PostgreSQL", "flowstone-sqlalchemy[postgresql]")
    if dialect in {"mysql", "mariadb"}:
        if find_spec("pymysql") is not None:
            return _make_mysql_driver(connector)
        if named in {"", "pymysql", "asyncmy", "aiomysql"}:
            raise MissingExtra("MySQL", "flowstone-sqlalchemy[mysql]")
    if dialect == "redshift":
        from flowstone_sqlalchemy.redshift import make_redshift_driver  # as below

        return make_redshift_driver(connector)
    from flowstone_sqlalchemy.dbapi import make_dbapi_driver  # it imports SQLAlchemy's dialect

    return make_dbapi_driver(connector)


def _make_postgres_driver(connector: SqlAlchemyConnector) -> DatabaseDriver[Any]:
    from flowstone_sqlalchemy.arguments import make_postgres_arguments  # needs an extra
    from flowstone_sqlalchemy.postgres import PostgresDriver  # needs an extra

    return PostgresDriver(
        connector.connection_info.describe(),
        make_postgres_arguments(connector),
        pooled=connector.transaction_pooling,
        guarded=connector.cancel_on_kill,
        size=connector.fetch_size,
    )


def _make_mysql_driver(connector: SqlAlchemyConnector) -> DatabaseDriver[Any]:
    from flowstone_sqlalchemy.arguments import make_mysql_arguments  # needs an extra
    from flowstone_sqlalchemy.mysql import MySqlDriver  # needs an extra

    return MySqlDriver(
        connector.connection_info.describe(),
        make_mysql_arguments(connector),
        guarded=connector.cancel_on_kill,
    )


def _make_sqlite_driver(connector: SqlAlchemyConnector) -> SqliteDriver:
    parts = connector.connection_info.resolve()
    given = connector.connect_args.get_secret_value() if connector.connect_args else {}
    options = {**(parts.query or {}), **given}
    seconds, mode = options.pop("timeout", 30.0), options.pop("mode", "")
    # These are always set.
    options.pop("check_same_thread", None)
    path = parts.database or ":memory:"
    if options or path.startswith("file:"):
        wrong = f"{next(iter(options), 'a file: URI')!r} is not an option of SQLite here"
        raise ConfigurationError(
            "connection_info", wrong, "Use a path; `timeout` and `mode=ro` are supported."
        )
    return SqliteDriver(path, read_only=mode == "ro", busy_seconds=float(str(seconds)))
