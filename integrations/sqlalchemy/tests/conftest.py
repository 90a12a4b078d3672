"""Real servers of this machine: PostgreSQL and MariaDB; `--live` changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from uuid import uuid4

import psycopg
import pymysql
import pytest
from sqlalchemy import make_url

# pytest compiles it with its own asserts; two threads that do so at once fail in Python 3.11.
import flowstone.engine.timeouts  # noqa: F401
from flowstone.testing import flowstone_test_harness
from flowstone_sqlalchemy import SqlAlchemyConnector

#: MariaDB has names in double quotes only in this mode; users' statements may have texts there.
ANSI = "SET SESSION sql_mode = CONCAT(@@sql_mode, ',ANSI_QUOTES')"

#: A collation in which texts are equal where they are the same: MariaDB's usual one forgets case
#: and trailing spaces.
EXACT = "CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin"


@pytest.fixture(autouse=True)
def _home() -> Iterator[None]:
    with flowstone_test_harness():
        yield


@pytest.fixture
def postgres_url(postgres: str) -> Iterator[str]:
    """The URL of an empty database."""
    name = f"test_{uuid4().hex[:16]}"
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}".encode())
        yield f"{postgres.rpartition('/')[0]}/{name}"
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def pooled_url(pgbouncer: str) -> Iterator[str]:
    """The URL of an empty database, through a pooler in transaction mode."""
    name = f"test_{uuid4().hex[:16]}"
    with psycopg.connect(pgbouncer, autocommit=True, prepare_threshold=None) as admin:
        admin.execute(f"CREATE DATABASE {name}".encode())
        yield f"{pgbouncer.rpartition('/')[0]}/{name}"
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def mariadb_url(mariadb: str) -> Iterator[str]:
    """The URL of an empty database."""
    name = f"test_{uuid4().hex[:16]}"
    url = make_url(mariadb)
    with (
        closing(pymysql.connect(host=url.host, port=url.port or 0, user=url.username)) as admin,
        admin.cursor() as cursor,
    ):
        cursor.execute(f"CREATE DATABASE {name} {EXACT}")
        yield f"{mariadb.rpartition('/')[0]}/{name}"
        cursor.execute(f"DROP DATABASE {name}")


@pytest.fixture
def database(postgres_url: str) -> Iterator[SqlAlchemyConnector]:
    """An empty database of PostgreSQL."""
    with SqlAlchemyConnector(connection_info=postgres_url) as database:
        yield database


@pytest.fixture
def mysql(mariadb_url: str) -> Iterator[SqlAlchemyConnector]:
    """An empty database of MariaDB, whose statements may quote names as others do."""
    arguments = {"init_command": ANSI}
    with SqlAlchemyConnector(connection_info=mariadb_url, connect_args=arguments) as database:
        yield database
