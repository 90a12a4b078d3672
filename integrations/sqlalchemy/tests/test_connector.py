"""Blocks, their URLs and drivers; no server is asked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from traceback import format_exception
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import text

from flowstone.errors import BlockInvalid, ConfigurationError, MissingExtra
from flowstone_sqlalchemy import (
    AsyncDriver,
    ConnectionComponents,
    DatabaseCredentials,
    SqlAlchemyConnector,
    SslFiles,
    SyncDriver,
)
from flowstone_sqlalchemy.arguments import make_mysql_arguments, make_postgres_arguments

URLS: list[tuple[str, dict[str, Any]]] = [
    ("postgresql://a:p%40ss@h:5433/shop?sslmode=require",
     {"driver": "postgresql", "username": "a", "host": "h", "port": 5433, "database": "shop",
      "query": {"sslmode": "require"}}),
    ("postgres://h/shop", {"driver": "postgresql", "host": "h", "database": "shop"}),
    ("postgresql+asyncpg://[::1]/a",
     {"driver": AsyncDriver.POSTGRESQL_ASYNCPG, "host": "::1", "database": "a"}),
    ("sqlite:////tmp/a b.db", {"driver": "sqlite", "database": "/tmp/a b.db"}),
    ("oracle+oracledb_async://h/x",
     {"driver": AsyncDriver.ORACLE_ORACLEDB_ASYNC, "host": "h", "database": "x"}),
    ("mysql+pymysql://root@h",
     {"driver": SyncDriver.MYSQL_PYMYSQL, "username": "root", "host": "h"}),
    ("postgresql:///a?host=h1&host=h2",
     {"driver": "postgresql", "database": "a", "query": {"host": ["h1", "h2"]}}),
]  # fmt: skip


@pytest.mark.parametrize(("url", "expected"), URLS)
def test_a_url_is_its_parts(url: str, expected: dict[str, Any]) -> None:
    info = SqlAlchemyConnector(connection_info=url).connection_info
    found = info.model_dump(exclude={"password"}, exclude_none=True)
    assert found == expected


def test_passwords_are_never_in_clear() -> None:
    for url in (
        "postgresql://a:secret-of-ours@h/x",
        "postgresql://a@h/x?password=secret-of-ours",
        "postgresql://a:secret%2Dof%2Dours@h/x",
    ):
        block = SqlAlchemyConnector(connection_info=url)
        info = block.connection_info
        assert info.password is not None
        assert info.password.get_secret_value() == "secret-of-ours"
        for shown in (repr(block), block.model_dump_json(), str(block), info.describe()):
            assert "secret-of-ours" not in shown


def test_a_url_may_be_kept_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("URL_OF_OURS", f"sqlite:///{tmp_path}/a.db")
    with SqlAlchemyConnector(connection_info="env:URL_OF_OURS") as database:
        database.insert("t", [{"a": 1}], create=True)
        database.save("elsewhere")
    with SqlAlchemyConnector.load("elsewhere") as loaded:
        assert loaded.fetch_all("SELECT a FROM t") == [(1,)]


@pytest.mark.parametrize(
    "info",
    [
        {"driver": "postgresql", "query": {"sslpassword": "secret-of-ours"}},
        {"driver": "postgresql", "port": 0},
        {"driver": "postgresql", "url_from": "env:X"},
        {"host": "h"},
        {"driver": "postgresql://h"},
        "no url://",
    ],
)
def test_wrong_parts_are_refused(info: object) -> None:
    with pytest.raises((BlockInvalid, ValidationError)) as caught:
        SqlAlchemyConnector(connection_info=info)
    assert "secret-of-ours" not in str(caught.value)


def test_a_secret_that_is_no_url_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("URL_OF_OURS", "secret-of-ours")
    database = SqlAlchemyConnector(connection_info="env:URL_OF_OURS")
    with pytest.raises(ConfigurationError, match="holds no URL") as caught:
        database.fetch_one("SELECT 1")
    assert "secret-of-ours" not in "".join(format_exception(caught.value))


def test_the_driver_of_a_url_need_not_be_installed() -> None:
    # Those of psycopg2 and asyncpg are served by psycopg; an engine wants what its URL names.
    database = SqlAlchemyConnector(connection_info="postgresql+psycopg2://h/x")
    assert type(database.make_driver()).__name__ == "PostgresDriver"
    without = SqlAlchemyConnector(connection_info="postgresql+psycopg2cffi://h/x")
    with pytest.raises(MissingExtra, match="psycopg2cffi"):
        without.get_engine()
    with pytest.raises(MissingExtra, match="oracledb"):
        SqlAlchemyConnector(connection_info="oracle+oracledb_async://h/x").make_driver()
    with pytest.raises(ConfigurationError, match="Check its name"):
        SqlAlchemyConnector(connection_info="nothing+at_all://h/x").make_driver()
    with pytest.raises(ConfigurationError, match="'engine' or 'connection'"):
        database.get_client("session")


def test_words_of_asyncpg_are_translated() -> None:
    database = SqlAlchemyConnector(
        connection_info="postgresql+asyncpg://h/x?ssl=require&prepared_statement_cache_size=0",
        connect_args={"server_settings": {"search_path": "a"}, "statement_cache_size": 0},
    )
    made = make_postgres_arguments(database)
    assert (made["sslmode"], made["options"]) == ("require", "-c search_path=a")
    database = SqlAlchemyConnector(
        connection_info="postgresql+asyncpg://h/x", connect_args={"loop": 1}
    )
    with pytest.raises(ConfigurationError, match="'loop' of asyncpg"):
        database.fetch_one("SELECT 1")


def test_files_of_tls_are_in_each_driver_s_words() -> None:
    files = SslFiles(ca=Path("/ca.pem"))
    postgres = SqlAlchemyConnector(connection_info="postgresql://h/x", ssl=files)
    made = make_postgres_arguments(postgres)
    assert (made["sslmode"], made["sslrootcert"]) == ("verify-full", "/ca.pem")
    mysql = SqlAlchemyConnector(connection_info="mysql://h/x", ssl=SslFiles())
    context = make_mysql_arguments(mysql)["ssl"]
    assert context.check_hostname


def test_engines_of_sqlite_share_the_database() -> None:
    with SqlAlchemyConnector(connection_info="sqlite://") as database:
        database.insert("t", [{"a": 1}], create=True)
        with database.get_connection() as connection:
            connection.execute(text("INSERT INTO t VALUES (2)"))
        with pytest.raises(ZeroDivisionError), database.get_connection() as connection:
            connection.execute(text("INSERT INTO t VALUES (3)"))
            raise ZeroDivisionError
        assert database.fetch_all("SELECT a FROM t ORDER BY a") == [(1,), (2,)]


def test_options_that_sqlite_lacks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="'cache' is not an option"):
        SqlAlchemyConnector(connection_info="sqlite:///a.db?cache=shared").make_driver()


def test_a_login_opens_databases(tmp_path: Path) -> None:
    login = DatabaseCredentials(driver="sqlite", database=str(tmp_path / "a.db"))
    assert login.check().ok
    engine = login.client(echo=False)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1
    engine.dispose()


def test_importing_it_loads_no_driver() -> None:
    program = (
        "import json, sys, flowstone_sqlalchemy as p\n"
        "block = p.SqlAlchemyConnector(connection_info='postgresql://h/x')\n"
        "found = {'sqlalchemy', 'psycopg', 'pymysql', 'pyarrow', 'numpy', 'adbc_driver_manager'}\n"
        "print(json.dumps(sorted(found & sys.modules.keys())))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert json.loads(done.stdout) == []


def test_components_are_named_as_elsewhere() -> None:
    info = ConnectionComponents(
        driver=SyncDriver.POSTGRESQL_PSYCOPG2, database="d", username="u", password="p", host="h",
        port=1, query={"a": "b"},
    )  # fmt: skip
    assert info.drivername == "postgresql+psycopg2"
    assert str(info.create_url()) == "postgresql+psycopg2://u:***@h:1/d?a=b"
