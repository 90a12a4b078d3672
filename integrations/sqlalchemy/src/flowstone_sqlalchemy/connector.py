"""SqlAlchemyConnector: a database of any kind that SQLAlchemy knows, with its own fast paths."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, PrivateAttr

from flowstone.blocks import Database, SecretDict
from flowstone.blocks.databases import DriverCalls
from flowstone.errors import ConfigurationError
from flowstone_sqlalchemy.connection import (
    ConnectionComponents,
    RedshiftOptions,
    SslFiles,
    is_async,
)

if TYPE_CHECKING:
    from flowstone.blocks.databases import DatabaseDriver

_EXAMPLE = (
    'SqlAlchemyConnector(connection_info="postgresql://reader@db.example.com/shop").save("shop")\n'
    'with SqlAlchemyConnector.load("shop") as shop:\n'
    '    print(shop.fetch_all("SELECT item FROM orders WHERE id = :id", {"id": 1}))'
)


class KeptEngine:
    """An engine of SQLAlchemy, which is disposed of when the block is closed.

    Attributes:
        calls: of the driver that it was made beside; `Database.close` lets them go.
        engine: the engine, or the async one.
    """

    def __init__(self, calls: DriverCalls, engine: Any) -> None:
        self.calls, self.engine = weakref.ref(calls), engine
        weakref.finalize(calls, getattr(engine, "sync_engine", engine).dispose)

    def __deepcopy__(self, memo: object) -> None:
        """A copy of a block makes an engine of its own."""


class SqlAlchemyConnector(Database):
    """A database that is reached by one of SQLAlchemy's URLs.

    Its methods use psycopg for PostgreSQL, PyMySQL for MySQL and MariaDB, `sqlite3` for SQLite,
    and for other databases the driver of the URL. A URL with an async driver serves sync code too.
    `get_engine` returns an engine of SQLAlchemy, by the driver that the URL names.
    """

    _block_type_name: ClassVar[str | None] = "SQLAlchemy Connector"
    _block_type_slug: ClassVar[str | None] = "sqlalchemy-connector"
    _description: ClassVar[str | None] = (
        "PostgreSQL, MySQL, MariaDB, SQLite, or any database that SQLAlchemy has a URL for."
    )
    _code_example: ClassVar[str | None] = _EXAMPLE

    connection_info: ConnectionComponents = Field(
        description="The URL, 'postgresql://user@host/name', or its parts; 'env:DATABASE_URL' "
        "refers to one that is kept elsewhere."
    )
    connect_args: SecretDict | None = Field(
        default=None, description="Further arguments of the driver's connect; all are secret."
    )
    ssl: SslFiles | None = Field(
        default=None, description="Encrypt the connection, with these certificates."
    )
    transaction_pooling: bool = Field(
        default=False,
        description="For PostgreSQL: whether a pooler such as PgBouncer, in transaction mode, is "
        "in between. Then no statements are prepared and no session settings are changed, as "
        "`cancel_on_kill` would.",
    )
    cancel_on_kill: bool = Field(
        default=True,
        description="Whether the server itself ends statements: PostgreSQL when the process was "
        "killed, and PostgreSQL, MySQL and MariaDB when the task's timeout is over. Other "
        "databases ignore it.",
    )
    connect_seconds: float = Field(
        default=15.0, gt=0, description="How long to wait for a connection."
    )
    redshift: RedshiftOptions | None = Field(
        default=None, description="For Redshift: temporary logins, and the role that reaches S3."
    )
    fetch_size: int = Field(
        default=1000,
        ge=1,
        description="Rows that are fetched from PostgreSQL at a time; other databases ignore it.",
    )

    _kept: KeptEngine | None = PrivateAttr(default=None)

    def make_driver(self) -> DatabaseDriver[Any]:
        """Return a driver for the database that the URL names."""
        from flowstone_sqlalchemy.drivers import make_driver  # it imports SQLAlchemy

        return make_driver(self)

    # -- SQLAlchemy ------------------------------------------------------------------------------

    def get_engine(self, **create_engine_kwargs: Any) -> Any:
        """Return the engine: a `sqlalchemy.Engine`, or an `AsyncEngine` for an async driver.

        It is made once, and disposed of by `close`; with arguments, a new one is yours to dispose.

        Args:
            **create_engine_kwargs: arguments of `sqlalchemy.create_engine`.
        """
        from flowstone_sqlalchemy.engines import make_engine  # it imports SQLAlchemy

        calls = self.driver_calls
        if create_engine_kwargs:
            return make_engine(self, calls, create_engine_kwargs)
        if self._kept is None or self._kept.calls() is not calls:
            self._kept = KeptEngine(calls, make_engine(self, calls, {}))
        return self._kept.engine

    def get_connection(self, begin: bool = True, **connect_kwargs: Any) -> Any:
        """Return a context manager that gives a `sqlalchemy.Connection`, async for async drivers.

        Args:
            begin: whether it is in a transaction, which is committed at the end.
            **connect_kwargs: arguments of `Engine.connect`.
        """
        engine = self.get_engine()
        return engine.begin(**connect_kwargs) if begin else engine.connect(**connect_kwargs)

    def get_client(self, client_type: str, **get_client_kwargs: Any) -> Any:
        """Return what `get_engine` or `get_connection` does, by name."""
        if client_type == "engine":
            return self.get_engine(**get_client_kwargs)
        if client_type == "connection":
            return self.get_connection(**get_client_kwargs)
        problem = f"{client_type!r} is not a kind of client"
        raise ConfigurationError("client_type", problem, "Ask for 'engine' or 'connection'.")

    def reset_connections(self) -> None:
        """Close the connections; the next call opens others."""
        self.close()

    async def areset_connections(self) -> None:
        """Do as `reset_connections`, in async code."""
        await self.aclose()

    @property
    def is_async(self) -> bool:
        """Whether the URL's driver is an async one, as `get_engine` then is."""
        return is_async(self.connection_info.drivername)


class AsyncSqlAlchemyConnector(SqlAlchemyConnector):
    """The same block under the name that it has elsewhere for async drivers.

    Await the methods that begin with an ``a``, as `afetch_all`.
    """

    _block_type_name: ClassVar[str | None] = "Async SQLAlchemy Connector"
    _block_type_slug: ClassVar[str | None] = "async-sqlalchemy-connector"
    _code_example: ClassVar[str | None] = _EXAMPLE.replace("SqlAlc", "AsyncSqlAlc")
