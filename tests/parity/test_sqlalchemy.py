"""Programs in the shapes that people know of prefect-sqlalchemy, with the connector's own names."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from flowstone import flow, task
from flowstone_sqlalchemy import (
    AsyncDriver,
    AsyncSqlAlchemyConnector,
    ConnectionComponents,
    SqlAlchemyConnector,
    SyncDriver,
)

#: Methods, with the parameters that they have elsewhere.
METHODS = {
    "get_engine": ["create_engine_kwargs"],
    "get_connection": ["begin", "connect_kwargs"],
    "get_client": ["client_type", "get_client_kwargs"],
    "reset_connections": [],
    "fetch_one": ["operation", "parameters"],
    "fetch_many": ["operation", "parameters", "size"],
    "fetch_all": ["operation", "parameters"],
    "execute": ["operation", "parameters"],
    "execute_many": ["operation", "seq_of_parameters"],
    "close": [],
}
SYNC_DRIVERS = {
    "MSSQL_MXODBC",
    "MSSQL_PYMSSQL",
    "MSSQL_PYODBC",
    "MYSQL_CYMYSQL",
    "MYSQL_MYSQLCONNECTOR",
    "MYSQL_MYSQLDB",
    "MYSQL_OURSQL",
    "MYSQL_PYMYSQL",
    "MYSQL_PYODBC",
    "ORACLE_CX_ORACLE",
    "ORACLE_ORACLEDB",
    "POSTGRESQL_PG8000",
    "POSTGRESQL_PSYCOPG2",
    "POSTGRESQL_PSYCOPG2CFFI",
    "POSTGRESQL_PYGRESQL",
    "POSTGRESQL_PYPOSTGRESQL",
    "SQLITE_PYSQLCIPHER",
    "SQLITE_PYSQLITE",
}
ASYNC_DRIVERS = {
    "MYSQL_AIOMYSQL",
    "MYSQL_ASYNCMY",
    "ORACLE_ORACLEDB_ASYNC",
    "POSTGRESQL_ASYNCPG",
    "SQLITE_AIOSQLITE",
}


@pytest.mark.parametrize("block", [SqlAlchemyConnector, AsyncSqlAlchemyConnector])
def test_methods_have_their_names_and_parameters(block: type[SqlAlchemyConnector]) -> None:
    for name, parameters in METHODS.items():
        found = list(inspect.signature(getattr(block, name)).parameters)
        assert found == ["self", *parameters], name
    assert inspect.signature(block.get_connection).parameters["begin"].default is True
    assert {"connection_info", "connect_args", "fetch_size"} <= block.model_fields.keys()


def test_drivers_have_their_names() -> None:
    assert {driver.name for driver in AsyncDriver} == ASYNC_DRIVERS
    assert {driver.name for driver in SyncDriver} == {*SYNC_DRIVERS, "POSTGRESQL_PSYCOPG"}
    parts = inspect.signature(ConnectionComponents).parameters
    names = {"driver", "database", "username", "password", "host", "port", "query"}
    assert names <= parts.keys()


def test_rows_go_in_and_come_out(tmp_path: Path) -> None:
    @task
    def fill(block: str) -> None:
        with SqlAlchemyConnector.load(block) as connector:
            connector.execute("CREATE TABLE customers (name varchar, address varchar);")
            connector.execute(
                "INSERT INTO customers (name, address) VALUES (:name, :address);",
                parameters={"name": "Marvin", "address": "Highway 42"},
            )
            connector.execute_many(
                "INSERT INTO customers (name, address) VALUES (:name, :address);",
                seq_of_parameters=[
                    {"name": "Ford", "address": "Highway 42"},
                    {"name": "Unknown", "address": "Space"},
                ],
            )

    @task
    def read(block: str) -> list[Any]:
        with SqlAlchemyConnector.load(block) as connector:
            first = connector.fetch_one("SELECT name FROM customers")
            rest = connector.fetch_many("SELECT name FROM customers", size=2)
            return [first, *rest, *connector.fetch_all("SELECT name FROM customers")]

    @flow
    def customers() -> list[Any]:
        SqlAlchemyConnector(
            connection_info=ConnectionComponents(
                driver=SyncDriver.SQLITE_PYSQLITE, database=str(tmp_path / "shop.db")
            )
        ).save("shop", overwrite=True)
        fill("shop")
        return read("shop")

    assert [name for (name,) in customers()] == [
        "Marvin", "Marvin", "Ford", "Marvin", "Ford", "Unknown",
    ]  # fmt: skip


def test_async_code_awaits_the_twins(tmp_path: Path) -> None:
    @flow
    async def customers() -> list[Any]:
        info = ConnectionComponents(
            driver=AsyncDriver.SQLITE_AIOSQLITE, database=str(tmp_path / "shop.db")
        )
        async with AsyncSqlAlchemyConnector(connection_info=info) as connector:
            await connector.aexecute("CREATE TABLE customers (name varchar)")
            await connector.aexecute_many(
                "INSERT INTO customers VALUES (:name)", [{"name": "Ford"}, {"name": "Marvin"}]
            )
            async with connector.get_connection(begin=False) as connection:
                count = (await connection.execute(text("SELECT count(*) FROM customers"))).scalar()
            await connector.areset_connections()
            return [count, await connector.afetch_all("SELECT name FROM customers")]

    assert asyncio.run(customers()) == [2, [("Ford",), ("Marvin",)]]


def test_engines_are_sqlalchemy_s_own() -> None:
    with SqlAlchemyConnector(connection_info="sqlite+pysqlite:///:memory:") as connector:
        with connector.get_client("connection", begin=True) as connection:
            connection.execute(text("CREATE TABLE t (a int)"))
        assert connector.get_client("engine") is connector.get_engine()
        engine = connector.get_engine(echo=False)
        assert connector.fetch_all("SELECT * FROM t") == []
        engine.dispose()
