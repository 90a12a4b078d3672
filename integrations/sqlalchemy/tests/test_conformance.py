"""The standard tests, on PostgreSQL, MariaDB and SQLite."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url

from flowstone.blocks import Block, Credentials, Database
from flowstone.blocks.databases import AwareDatetime, DatabaseDriver
from flowstone_sqlalchemy import (
    AsyncSqlAlchemyConnector,
    ConnectionComponents,
    DatabaseCredentials,
    SqlAlchemyConnector,
    SslFiles,
)
from flowstone_sqlalchemy.dbapi import make_dbapi_driver
from flowstone_testing import BlockSuite, CredentialsSuite, DatabaseSuite, PluginSuite

#: MariaDB has tables of numbers, and stops recursion early.
SEQUENCE = "SELECT seq FROM seq_1_to_10000000000 WHERE seq <= :count"
LONG = "SELECT max(a.seq + b.seq) FROM seq_1_to_10000000 AS a, seq_1_to_10000000 AS b"
#: What MariaDB has types for; a bool is a number.
KEPT = frozenset({Decimal, date, datetime})


class Rows(SqlAlchemyConnector):
    """One that uses the driver for databases without one of their own."""

    def make_driver(self) -> DatabaseDriver[Any]:
        return make_dbapi_driver(self)


class TestPostgres(DatabaseSuite):
    keeps = frozenset({bool, Decimal, date, datetime, AwareDatetime, list, dict})

    @pytest.fixture
    def database(self, postgres_url: str) -> Iterator[Database]:
        with SqlAlchemyConnector(connection_info=postgres_url) as database:
            yield database


@pytest.mark.check
class TestPostgresBehindAPooler(TestPostgres):
    """Through PgBouncer, in transaction mode."""

    @pytest.fixture
    def database(self, pooled_url: str) -> Iterator[Database]:
        info = pooled_url.replace("postgresql", "postgresql+asyncpg", 1)
        with AsyncSqlAlchemyConnector(connection_info=info, transaction_pooling=True) as database:
            yield database


class TestMariaDB(DatabaseSuite):
    keeps = KEPT
    series = SEQUENCE
    endless = LONG

    @pytest.fixture
    def database(self, mysql: SqlAlchemyConnector) -> Database:
        return mysql


class TestSqlite(DatabaseSuite):
    keeps = frozenset()

    @pytest.fixture
    def database(self, tmp_path: Path) -> Iterator[Database]:
        with SqlAlchemyConnector(connection_info=f"sqlite:///{tmp_path}/a.db") as database:
            yield database


@pytest.mark.check
class TestSqliteMemory(TestSqlite):
    persists = False
    streams = False

    @pytest.fixture
    def database(self) -> Iterator[Database]:
        with SqlAlchemyConnector(connection_info="sqlite+aiosqlite://") as database:
            yield database


@pytest.mark.check
class TestAnyOther(DatabaseSuite):
    """The driver for databases without one of their own, shown on MariaDB."""

    keeps = KEPT
    series = SEQUENCE
    endless = LONG
    cancels = False
    savepoints = False
    streams = False

    @pytest.fixture
    def database(self, mariadb_url: str, mysql: SqlAlchemyConnector) -> Iterator[Database]:
        info = mariadb_url.replace("mysql://", "mysql+pymysql://")
        with Rows(connection_info=info, connect_args=mysql.connect_args) as rows:
            yield rows


class TestBlocks(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[Block]:
        url = "postgresql+psycopg2://reader:secret-of-ours@db.example.com:5433/shop?sslmode=require"
        files = SslFiles(ca=Path("ca.pem"), certificate=Path("our.pem"), key=Path("our.key"))
        return [
            SqlAlchemyConnector(
                connection_info=url,
                connect_args={"application_name": "name-of-ours"},
                ssl=files,
                transaction_pooling=True,
            ),
            SqlAlchemyConnector(connection_info="env:DATABASE_URL_OF_OURS"),
        ]


class TestAsyncBlocks(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[Block]:
        info = ConnectionComponents(
            driver="postgresql+asyncpg", host="localhost", password="secret-of-ours", database="a"
        )
        arguments = {"server_settings": {"application_name": "name-of-ours"}}
        return [AsyncSqlAlchemyConnector(connection_info=info, connect_args=arguments)]


class TestCredentialBlocks(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[Block]:
        return [
            DatabaseCredentials(),
            DatabaseCredentials(
                host="db.example.com",
                username="reader",
                password="secret-of-ours",
                connect_args={"application_name": "name-of-ours"},
            ),
        ]


class TestPostgresLogin(CredentialsSuite):
    @pytest.fixture
    def good(self, postgres: str) -> Credentials:
        url = make_url(postgres)
        return DatabaseCredentials(
            host=url.host, port=url.port, username="postgres", password="any", database="postgres"
        )

    @pytest.fixture
    def refused(self, good: DatabaseCredentials, postgres: str) -> Credentials:
        with psycopg.connect(postgres, autocommit=True) as admin:
            admin.execute("DROP ROLE IF EXISTS nobody_here")
        return good.model_copy(update={"username": "nobody_here", "password": "wrong-password"})

    @pytest.fixture
    def unreachable(self, good: DatabaseCredentials) -> Credentials:
        return good.model_copy(update={"port": 1})


class TestPlugin(PluginSuite):
    plugin = "sqlalchemy"
    package = "flowstone_sqlalchemy"
    sdks = ("sqlalchemy", "psycopg", "pymysql", "adbc_driver_postgresql", "pyarrow", "numpy")
