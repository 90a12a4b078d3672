"""The address of a database and the credentials for it: a URL, or its parts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from flowstone.blocks import ObjectStore
from flowstone.errors import ConfigurationError

#: Parameters of a URL's query that are secret: they would be saved as plain text.
_SECRET_WORDS = frozenset({"password", "passwd", "sslpassword", "ssl_key_password", "token"})


class AsyncDriver(Enum):
    """Drivers for `get_engine` of an async connector; the block's methods use a sync driver."""

    POSTGRESQL_ASYNCPG = "postgresql+asyncpg"
    SQLITE_AIOSQLITE = "sqlite+aiosqlite"
    MYSQL_ASYNCMY = "mysql+asyncmy"
    MYSQL_AIOMYSQL = "mysql+aiomysql"
    ORACLE_ORACLEDB_ASYNC = "oracle+oracledb_async"


class SyncDriver(Enum):
    """Drivers that SQLAlchemy includes; any other is given as text."""

    POSTGRESQL_PSYCOPG = "postgresql+psycopg"
    POSTGRESQL_PSYCOPG2 = "postgresql+psycopg2"
    POSTGRESQL_PG8000 = "postgresql+pg8000"
    POSTGRESQL_PSYCOPG2CFFI = "postgresql+psycopg2cffi"
    POSTGRESQL_PYPOSTGRESQL = "postgresql+pypostgresql"
    POSTGRESQL_PYGRESQL = "postgresql+pygresql"
    MYSQL_MYSQLDB = "mysql+mysqldb"
    MYSQL_PYMYSQL = "mysql+pymysql"
    MYSQL_MYSQLCONNECTOR = "mysql+mysqlconnector"
    MYSQL_CYMYSQL = "mysql+cymysql"
    MYSQL_OURSQL = "mysql+oursql"
    MYSQL_PYODBC = "mysql+pyodbc"
    SQLITE_PYSQLITE = "sqlite+pysqlite"
    SQLITE_PYSQLCIPHER = "sqlite+pysqlcipher"
    ORACLE_CX_ORACLE = "oracle+cx_oracle"
    ORACLE_ORACLEDB = "oracle+oracledb"
    MSSQL_PYODBC = "mssql+pyodbc"
    MSSQL_MXODBC = "mssql+mxodbc"
    MSSQL_PYMSSQL = "mssql+pymssql"


class SslFiles(BaseModel):
    """The files of an encrypted connection, with the same fields for all databases."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, hide_input_in_errors=True)

    ca: Path | None = Field(
        default=None, description="The certificates of the authorities to trust."
    )
    certificate: Path | None = Field(default=None, description="The client certificate.")
    key: Path | None = Field(default=None, description="The key of the client certificate.")
    check_host: bool = Field(
        default=True,
        description="Whether the server's certificate must name its host. If not, and `ca` is "
        "empty, the certificate isn't verified at all.",
    )


class RedshiftOptions(BaseModel):
    """Options for Redshift: its credentials, and its access to S3."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, hide_input_in_errors=True)

    cluster: str | None = Field(
        default=None, description="The cluster for which IAM creates temporary credentials."
    )
    workgroup: str | None = Field(
        default=None, description="The same for a workgroup of Redshift Serverless."
    )
    region: str | None = Field(default=None, description="Its region; by default the store's.")
    store: ObjectStore | None = Field(
        default=None,
        description="A bucket whose AWS credentials are used; by default, boto3 finds them.",
    )
    iam_role: str | None = Field(
        default=None, description="A role of the cluster that reads and writes S3."
    )


class ConnectionComponents(BaseModel):
    """The parts of a database's URL, or the URL as a reference to a secret."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, hide_input_in_errors=True)

    driver: AsyncDriver | SyncDriver | str | None = Field(
        default=None, description="The database and its driver: 'postgresql', 'mysql+pymysql'."
    )
    database: str | None = Field(default=None, description="The database's name; SQLite's file.")
    username: str | None = Field(default=None, description="The user to log in as.")
    password: SecretStr | None = Field(default=None, description="The password.")
    host: str | None = Field(default=None, description="The server's host name.")
    port: int | None = Field(default=None, ge=1, le=65535, description="The server's port.")
    query: dict[str, str | list[str]] | None = Field(
        default=None, description="Options of the driver, as in a URL's query; no secrets."
    )
    url_from: SecretStr | None = Field(
        default=None, description="The whole URL as a reference, instead of its parts: 'env:NAME'."
    )

    @model_validator(mode="before")
    @classmethod
    def _split_url(cls, value: object) -> object:
        if isinstance(value, SecretStr):
            return {"url_from": value}
        if isinstance(value, (str, bytes)) or type(value).__name__.endswith("Url"):
            text = value.decode() if isinstance(value, bytes) else str(value)
            return split_url(text) if "://" in text else {"url_from": text}
        return value

    @field_validator("driver", mode="before")
    @classmethod
    def _find_driver(cls, value: object) -> object:
        if isinstance(value, str):
            value = value.strip()
            for known in (*SyncDriver, *AsyncDriver):
                if value == known.value:
                    return known
            if not value or "://" in value:
                raise ValueError("pass a name such as 'postgresql' or 'mysql+pymysql'")
        return value

    @field_validator("query")
    @classmethod
    def _has_no_secret(
        cls, value: dict[str, str | list[str]] | None
    ) -> dict[str, str | list[str]] | None:
        found = sorted(_SECRET_WORDS.intersection(map(str.lower, value or {})))
        if found:
            raise ValueError(f"{found[0]} is a secret: pass it as `password` or in connect_args")
        return value

    @model_validator(mode="after")
    def _is_whole(self) -> ConnectionComponents:
        if (self.url_from is None) == (self.driver is None):
            raise ValueError("pass a driver and the other parts, or url_from")
        return self

    @property
    def drivername(self) -> str:
        """The database and its driver: the scheme of the URL."""
        driver = self.resolve().driver
        return str(driver.value if isinstance(driver, Enum) else driver)

    def resolve(self) -> ConnectionComponents:
        """Return the parts of the URL that `url_from` refers to; without one, itself.

        Raises:
            ConfigurationError: the secret is not a database URL.
        """
        if self.url_from is None:
            return self
        try:
            return ConnectionComponents(**split_url(self.url_from.get_secret_value()))
        except ValueError:  # the messages of some contain the value
            problem = "it holds no URL of a database"
        raise ConfigurationError("url_from", problem, "Use 'postgresql://user@host/name'.")

    def create_url(self) -> Any:
        """Return it as a `sqlalchemy.URL`."""
        from sqlalchemy import URL  # blocks are listed without it

        parts = self.resolve()
        return URL.create(
            parts.drivername,
            username=parts.username,
            password=None if parts.password is None else parts.password.get_secret_value(),
            host=parts.host,
            port=parts.port,
            database=parts.database,
            query=parts.query or {},
        )

    def describe(self) -> str:
        """Return a description of the database for messages, without secrets."""
        parts = self.resolve()
        dialect = parts.drivername.partition("+")[0]
        if parts.host is None:
            return f"{NAMES.get(dialect, dialect)} {parts.database or ''}".rstrip()
        port = "" if parts.port is None else f":{parts.port}"
        return f"{NAMES.get(dialect, dialect)} {parts.host}{port}/{parts.database or ''}"


#: Names of databases in messages, by SQLAlchemy's name.
NAMES: Mapping[str, str] = {
    "mariadb": "MariaDB",
    "mssql": "SQL Server",
    "mysql": "MySQL",
    "oracle": "Oracle",
    "postgresql": "PostgreSQL",
    "redshift": "Redshift",
    "sqlite": "SQLite",
}


#: Like SQLAlchemy's: only names and passwords are unescaped.
_URL = re.compile(
    r"""
    (?P<driver>[\w+.-]+)://
    (?: (?P<username>[^:/]*) (?: : (?P<password>[^@]*) )? @ )?
    (?: (?: \[(?P<v6>[^/?]+)\] | (?P<host>[^/:?]+) )? (?: : (?P<port>\d+) )? )?
    (?: / (?P<database>[^?]*) )?
    (?: \? (?P<query>.*) )?
    """,
    re.VERBOSE,
)


def split_url(text: str) -> dict[str, Any]:
    """Return the parts of a URL; a password in its query becomes the password.

    Raises:
        ValueError: it is not a database URL.
    """
    parts = _URL.fullmatch(text.strip())
    if parts is None:
        raise ValueError("it is not a database URL, such as 'postgresql://user@host/name'")
    query: dict[str, Any] = {}
    for name, value in parse_qsl(parts["query"] or "", keep_blank_values=True):
        query[name] = [*_as_list(query[name]), value] if name in query else value
    password = query.pop("password", None) or parts["password"]
    driver = re.sub(r"^postgres(?=\+|$)", "postgresql", parts["driver"])
    found: dict[str, Any] = {
        "driver": driver,
        "username": parts["username"] and unquote(parts["username"]),
        "password": password and unquote(password),
        "host": parts["v6"] or parts["host"],
        "port": parts["port"] and int(parts["port"]),
        "database": parts["database"] or None,
        "query": query or None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def is_async(drivername: str) -> bool:
    """Return whether a driver is for async code."""
    return drivername in {driver.value for driver in AsyncDriver}
