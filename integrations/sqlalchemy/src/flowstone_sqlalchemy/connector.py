"""SqlAlchemyConnector: any database with a SQLAlchemy dialect, with faster ways for some."""

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
    """A SQLAlchemy engine, which is disposed of when the block is closed.

    Attributes:
        calls: the calls of the block's driver; `Database.close` releases them.
        engine: the engine, sync or async.
    """

    def __init__(self, calls: DriverCalls, engine: Any) -> None:
        self.calls, self.engine = weakref.ref(calls), engine
        weakref.finalize(calls, getattr(engine, "sync_engine", engine).dispose)

    def __deepcopy__(self, memo: object) -> None:
        """Drop it in a copy of a block, which creates its own engine."""


class SqlAlchemyConnector(Database):
    """A database with a SQLAlchemy URL.

    Its methods use psycopg for PostgreSQL, PyMySQL for MySQL and MariaDB, `sqlite3` for SQLite, and
    the driver of the URL for other databases. A URL with an async driver works in sync code too.
    `get_engine` returns a SQLAlchemy engine with the driver that the URL names.
    """

    _block_type_name: ClassVar[str | None] = "SQLAlchemy Connector"
    _block_type_slug: ClassVar[str | None] = "sqlalchemy-connector"
    _description: ClassVar[str | None] = (
        "PostgreSQL, MySQL, MariaDB, SQLite, or any database with a SQLAlchemy dialect."
    )
    _code_example: ClassVar[str | None] = _EXAMPLE

    connection_info: ConnectionComponents = Field(
        description="The URL, 'postgresql://user@host/name', or its parts; 'env:DATABASE_URL' "
        "refers to a secret with the URL."
    )
    connect_args: SecretDict | None = Field(
        default=None, description="Further arguments of the driver's connect; all are secret."
    )
    ssl: SslFiles | None = Field(
        default=None, description="Encrypt the connection, with these certificates."
    )
    transaction_pooling: bool = Field(
        default=False,
        description="For PostgreSQL: whether the connection goes through a pooler such as "
        "PgBouncer in transaction mode. Then no statements are prepared, and no session settings "
        "are changed, including those of `cancel_on_kill`.",
    )
    cancel_on_kill: bool = Field(
        default=True,
        description="Whether the server itself ends statements: PostgreSQL if the process is "
        "killed; PostgreSQL, MySQL and MariaDB after the task's timeout. Other "
        "databases ignore it.",
    )
    connect_seconds: float = Field(
        default=15.0, gt=0, description="Seconds to wait for a connection."
    )
    redshift: RedshiftOptions | None = Field(
        default=None, description="For Redshift: temporary credentials, and the role for S3."
    )
    fetch_size: int = Field(
        default=1000,
        ge=1,
        description="Number of rows fetched from PostgreSQL at a time; other databases ignore it.",
    )

    _kept: KeptEngine | None = PrivateAttr(default=None)

    def make_driver(self) -> DatabaseDriver[Any]:
        """Return a driver for the database that the URL names."""
        from flowstone_sqlalchemy.drivers import make_driver  # it imports SQLAlchemy

        return make_driver(self)

    # -- SQLAlchemy ------------------------------------------------------------------------------

    def get_engine(self, **create_engine_kwargs: Any) -> Any:
        """Return the engine: a `sqlalchemy.Engine`, or an `AsyncEngine` for an async driver.

        It is created once, and disposed of by `close`. With arguments, a new engine is returned,
        which the caller disposes of.

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
        """Return a context manager for a `sqlalchemy.Connection`, async for async drivers.

        Args:
            begin: whether it starts a transaction, which is committed at the end.
            **connect_kwargs: arguments of `Engine.connect`.
        """
        engine = self.get_engine()
        return engine.begin(**connect_kwargs) if begin else engine.connect(**connect_kwargs)

    def get_client(self, client_type: str, **get_client_kwargs: Any) -> Any:
        """Return the result of `get_engine` or `get_connection`, by name."""
        if client_type == "engine":
            return self.get_engine(**get_client_kwargs)
        if client_type == "connection":
            return self.get_connection(**get_client_kwargs)
        problem = f"{client_type!r} is not a kind of client"
        raise ConfigurationError("client_type", problem, "Use 'engine' or 'connection'.")

    def reset_connections(self) -> None:
        """Close the connections; the next call opens new ones."""
        self.close()

    async def areset_connections(self) -> None:
        """Async version of `reset_connections`."""
        await self.aclose()

    @property
    def is_async(self) -> bool:
        """Whether the driver of the URL, and so the engine of `get_engine`, is async."""
        return is_async(self.connection_info.drivername)


class AsyncSqlAlchemyConnector(SqlAlchemyConnector):
    """The same block, under the name that `prefect-sqlalchemy` uses for async drivers.

    Await the methods that begin with an ``a``, such as `afetch_all`.
    """

    _block_type_name: ClassVar[str | None] = "Async SQLAlchemy Connector"
    _block_type_slug: ClassVar[str | None] = "async-sqlalchemy-connector"
    _code_example: ClassVar[str | None] = _EXAMPLE.replace("SqlAlc", "AsyncSqlAlc")
