"""DatabaseCredentials: credentials for a database server, and their check."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, SecretStr

from flowstone.blocks import Credentials, SecretDict
from flowstone_sqlalchemy.connection import ConnectionComponents, SslFiles

if TYPE_CHECKING:
    from flowstone_sqlalchemy.connector import SqlAlchemyConnector


class DatabaseCredentials(Credentials):
    """Credentials for a database server, for any of its databases.

    If no field is set, libpq's defaults for PostgreSQL are used: ``PGHOST``, ``PGUSER`` and its
    other variables, and its password file.
    """

    _block_type_name: ClassVar[str | None] = "Database Credentials"
    _block_type_slug: ClassVar[str | None] = "database-credentials"
    _description: ClassVar[str | None] = "Credentials for a database with a SQLAlchemy dialect."
    _code_example: ClassVar[str | None] = (
        'DatabaseCredentials(host="db.example.com", username="reader").save("shop")\n'
        'shop = DatabaseCredentials.load("shop").connector("shop")'
    )

    driver: str = Field(
        default="postgresql", description="The database and its driver: 'mysql+pymysql'."
    )
    host: str | None = Field(default=None, description="The server's host name.")
    port: int | None = Field(default=None, ge=1, le=65535, description="The server's port.")
    username: str | None = Field(default=None, description="The user to log in as.")
    password: SecretStr | None = Field(default=None, description="The password.")
    database: str | None = Field(default=None, description="The database, if none is named.")
    connect_args: SecretDict | None = Field(
        default=None, description="Further arguments of the driver's connect; all are secret."
    )
    ssl: SslFiles | None = Field(
        default=None, description="Encrypt the connection, with these certificates."
    )
    connect_seconds: float = Field(
        default=15.0, gt=0, description="Seconds to wait for a connection."
    )

    def client(self, database: str | None = None, **create_engine_kwargs: Any) -> Any:
        """Return a new SQLAlchemy engine, which the caller disposes of.

        Args:
            database: the database's name; by default, the field's.
            **create_engine_kwargs: arguments of `sqlalchemy.create_engine`.
        """
        options = {"pool_pre_ping": True, **create_engine_kwargs}
        return self.connector(database).get_engine(**options)

    def connector(self, database: str | None = None) -> SqlAlchemyConnector:
        """Return a block for a database with these credentials.

        Args:
            database: the database's name; by default, the field's.
        """
        from flowstone_sqlalchemy.connector import SqlAlchemyConnector  # a circular import

        info = ConnectionComponents(
            driver=self.driver,
            host=self.host,
            port=self.port,
            username=self.username,
            password=self.password,
            database=database or self.database,
        )
        return SqlAlchemyConnector(
            connection_info=info,
            connect_args=self.connect_args,
            ssl=self.ssl,
            connect_seconds=self.connect_seconds,
        )

    def _check(self) -> str:
        with self.connector() as database:
            database.fetch_one("SELECT 1")
            where = database.connection_info.describe()
            return f"{self.username or 'the usual user'} can log in at {where}"
