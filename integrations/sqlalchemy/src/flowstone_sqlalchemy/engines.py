"""SQLAlchemy engines with the settings of a block's fields."""

from __future__ import annotations

import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from flowstone.errors import ConfigurationError, MissingExtra
from flowstone_sqlalchemy.arguments import make_engine_arguments
from flowstone_sqlalchemy.connection import is_async

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sqlalchemy import URL, Connection, Engine
    from sqlalchemy.ext.asyncio import AsyncEngine

    from flowstone.blocks.databases import DriverCalls
    from flowstone_sqlalchemy.connector import SqlAlchemyConnector

#: The drivers that this package installs and tests, by SQLAlchemy's name of the database.
USUAL = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql", "mariadb": "mariadb+pymysql"}


def make_engine(
    connector: SqlAlchemyConnector, calls: DriverCalls, options: Mapping[str, object]
) -> Engine | AsyncEngine:
    """Return a new engine for a block.

    Args:
        connector: the block.
        calls: the calls of its driver; an engine for SQLite shares the database with them.
        options: arguments of `sqlalchemy.create_engine`.
    """
    url = find_url(connector)
    if is_async(url.drivername):
        with _translate_errors(url):
            arguments = make_engine_arguments(connector, url.get_driver_name())
            # A connection of one event loop can't be used in another: there is no pool.
            usual: dict[str, Any] = {"poolclass": NullPool, "connect_args": arguments}
            return create_async_engine(url, **{**usual, **options})
    if url.get_backend_name() == "sqlite":
        return _make_sqlite_engine(url, calls, options)
    return make_sync_engine(connector, url, options)


def make_sync_engine(
    connector: SqlAlchemyConnector, url: URL, options: Mapping[str, object]
) -> Engine:
    """Return a new engine for a URL with a sync driver.

    Raises:
        ConfigurationError: SQLAlchemy has no such dialect or driver.
        MissingExtra: the driver is not installed.
    """
    with _translate_errors(url):
        arguments = make_engine_arguments(connector, url.get_driver_name())
        return create_engine(url, **{"pool_pre_ping": True, "connect_args": arguments, **options})


def find_url(connector: SqlAlchemyConnector) -> URL:
    """Return the URL of a block, with this package's driver if it names none."""
    url: URL = connector.connection_info.create_url()
    return url.set(drivername=USUAL.get(url.drivername, url.drivername))


@contextmanager
def _translate_errors(url: URL) -> Iterator[None]:
    try:
        yield
        return
    except ModuleNotFoundError as error:
        found: Exception = MissingExtra(url.drivername, str(error.name))
    except (NoSuchModuleError, ArgumentError) as error:
        remedy = "Check its name, or install the package of its dialect."
        found = ConfigurationError("connection_info", str(error), remedy)
    raise found


def _make_sqlite_engine(url: URL, calls: DriverCalls, options: Mapping[str, object]) -> Engine:
    # The block's own engine is released with the calls; a caller's engine keeps them alive.
    find: Callable[[], DriverCalls | None] = (lambda: calls) if options else weakref.ref(calls)

    def connect() -> Any:
        found = find()
        assert found is not None, "the engine is used after its block was closed"
        return found.connect()

    engine = create_engine(url, **{"creator": connect, "poolclass": NullPool, **options})
    if "creator" not in options:
        # The connections are in autocommit: transactions of SQLAlchemy have to be begun explicitly.
        event.listen(engine, "begin", _begin)
    return engine


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")
