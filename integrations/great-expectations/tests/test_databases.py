"""Tables and queries: evaluated by SQLite, PostgreSQL and MariaDB, or read from DuckDB."""

from __future__ import annotations

import json
import os
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from great_expectations import expectations as gxe
from pydantic import SecretStr
from sqlalchemy import make_url

from flowstone.blocks import Database, SqliteDatabase
from flowstone.errors import DatabaseUnreachable, MissingExtra, QueryInvalid, TableMissing
from flowstone.records.access import DatabaseAccess
from flowstone.records.events import ARTIFACT_SAVED, LOG_WRITTEN
from flowstone_duckdb import DuckDBDatabase
from flowstone_great_expectations import (
    DatabaseSource,
    DataQualityFailed,
    ExpectationsNotEvaluated,
    ValidationInvalid,
    ValidationOptions,
    gx_validate,
    validate,
)
from flowstone_sqlalchemy import SqlAlchemyConnector
from flowstone_testing import reserve_closed_port

from .conftest import list_facts, run_in_flow

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flowstone.blocks import LocalDirectory

ROWS = [
    {
        "id": at,
        "shop": f"s{at % 3}",
        "day": date(2026, 1, 1 + at % 28),
        "price": float(at % 7 - 1),
        "cents": Decimal(at % 7) * 100 - Decimal("100.5"),
        "name": None if at == 5 else f"canary-of-{at}",
    }
    for at in range(100)
]
EXPECTED = [
    gxe.ExpectTableRowCountToBeBetween(min_value=1),
    gxe.ExpectColumnValuesToBeBetween(column="price", min_value=0),
    gxe.ExpectColumnValuesToNotBeNull(column="name"),
]
#: 15 rows have a negative price, and one has no name.
FAILING = sorted({*range(0, 100, 7), 5})


def open_sqlite(folder: Path, _: pytest.FixtureRequest) -> Database:
    return SqliteDatabase(path=str(folder / "shop.db"))


def open_postgres(_: Path, request: pytest.FixtureRequest) -> Database:
    return SqlAlchemyConnector(connection_info=request.getfixturevalue("postgres"))


def open_mariadb(_: Path, request: pytest.FixtureRequest) -> Database:
    return SqlAlchemyConnector(connection_info=request.getfixturevalue("mariadb"))


def open_duckdb(folder: Path, _: pytest.FixtureRequest) -> Database:
    return DuckDBDatabase(path=str(folder / "shop.duckdb"))


def open_memory(_: Path, __: pytest.FixtureRequest) -> Database:
    return SqliteDatabase()


#: The processes of a test run share the servers.
TABLE = f"gx_orders_{os.getpid()}"
IN_PLACE = [open_sqlite, open_postgres, open_mariadb]
READ = [open_duckdb, open_memory]


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database with a hundred orders."""
    with request.param(tmp_path, request) as database:
        database.execute(f"DROP TABLE IF EXISTS {TABLE}")
        database.insert(TABLE, ROWS, create=True)
        yield database
        database.execute(f"DROP TABLE IF EXISTS {TABLE}")


def read_quarantined(store: LocalDirectory, report: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(
        store.download_object_to_path(report.quarantined.path, store.basepath)
    ).to_pylist()
    return rows


@pytest.mark.parametrize("database", [*IN_PLACE, *READ], indirect=True)
@pytest.mark.parametrize("wanted", ["table", "query"])
def test_a_table_and_a_query(database: Database, wanted: str, store: LocalDirectory) -> None:
    """More rows fail than the 20 that Great Expectations lists for a database."""
    source = DatabaseSource(database, TABLE)
    if wanted == "query":
        source = DatabaseSource(database, query=f"SELECT * FROM {TABLE} WHERE id < 1000;")
    report = validate(source, EXPECTED, name="orders", on_failure="warn")
    assert [each.unexpected_count for each in report.outcomes] == [None, 15, 1]
    assert report.statistics["rows"] == 100
    assert "canary" not in repr(report)
    keys = [] if database.__class__ is DuckDBDatabase or not is_in_place(database) else ["id"]
    report = validate(
        source,
        EXPECTED,
        name="orders",
        on_failure="quarantine",
        quarantine=store,
        key_columns=keys,
    )
    rows = read_quarantined(store, report)
    assert [row["id"] for row in rows] == FAILING
    assert [len(row["failed_expectations"]) for row in rows] == [1] * 16
    assert report.statistics["rows_failed"] == 16
    assert report.data.num_rows == 84
    assert not set(report.data["id"].to_pylist()) & set(FAILING)


def is_in_place(database: Database) -> bool:
    try:
        database.access()
    except QueryInvalid:
        return False
    return True


@pytest.mark.parametrize("database", IN_PLACE, indirect=True)
def test_keys_of_several_columns_and_types(database: Database, store: LocalDirectory) -> None:
    source = DatabaseSource(database, TABLE)
    keys = ["shop", "day", "cents", "id"]
    report = validate(
        source,
        EXPECTED[:2],
        name="orders",
        on_failure="quarantine",
        quarantine=store,
        key_columns=keys,
    )
    assert {row["id"] for row in read_quarantined(store, report)} == set(range(0, 100, 7))


@pytest.mark.parametrize("database", IN_PLACE, indirect=True)
def test_keys_that_are_not_unique(database: Database, store: LocalDirectory) -> None:
    source = DatabaseSource(database, TABLE)
    with pytest.raises(ValidationInvalid, match="Pass columns that identify each row"):
        validate(
            source,
            EXPECTED,
            name="orders",
            on_failure="quarantine",
            quarantine=store,
            key_columns="shop",
        )
    assert not list(store.list_objects())
    with pytest.raises(ValidationInvalid, match="there is no column 'nothing'"):
        validate(source, EXPECTED, name="orders", key_columns="nothing")
    with pytest.raises(ValidationInvalid, match="Pass the columns of its primary key"):
        validate(source, EXPECTED, name="orders", on_failure="quarantine", quarantine=store)


@pytest.mark.parametrize("database", IN_PLACE, indirect=True)
def test_keys_are_values_of_rows(database: Database) -> None:
    source = DatabaseSource(database, TABLE)
    report = validate(source, EXPECTED, name="orders", on_failure="warn", key_columns="name")
    assert "canary" not in repr(report)
    options = ValidationOptions(include_values=True)
    report = validate(
        source, EXPECTED, name="orders", on_failure="warn", key_columns="id", options=options
    )
    assert report.outcomes[2].unexpected_rows[0]["id"] == 5
    json.dumps(report.to_dict())


@pytest.mark.parametrize("database", [*IN_PLACE, *READ], indirect=True)
def test_what_can_not_be_evaluated(database: Database) -> None:
    source = DatabaseSource(database, TABLE)
    wanted = [*EXPECTED, gxe.ExpectColumnValuesToBeUnique(column="nothing")]
    with pytest.raises(ExpectationsNotEvaluated, match="there is no column 'nothing'"):
        validate(source, wanted, name="orders", on_failure="warn")
    with pytest.raises(TableMissing):
        validate(DatabaseSource(database, "gx_nothing"), EXPECTED, name="orders")
    with pytest.raises(QueryInvalid):
        validate(DatabaseSource(database, query="SELECTT 1"), EXPECTED, name="orders")


@pytest.mark.parametrize("database", IN_PLACE, indirect=True)
@pytest.mark.parametrize("is_query", [False, True])
def test_rows_that_a_query_of_ones_own_finds(database: Database, is_query: bool) -> None:
    wanted = [
        gxe.UnexpectedRowsExpectation(unexpected_rows_query="SELECT * FROM {batch} WHERE price < 0")
    ]
    source = DatabaseSource(database, TABLE)
    if is_query:
        source = DatabaseSource(database, query=f"SELECT * FROM {TABLE}")
    report = validate(source, wanted, name="orders", on_failure="warn")
    assert len(report.failed) == 1
    assert "canary" not in repr(report)


def test_a_login_that_may_only_read(tmp_path: Path) -> None:
    path = str(tmp_path / "shop.db")
    SqliteDatabase(path=path).insert("orders", ROWS, create=True)
    source = DatabaseSource(SqliteDatabase(path=path, read_only=True), query="SELECT * FROM orders")
    assert len(validate(source, EXPECTED, name="orders", on_failure="warn").failed) == 2


def test_a_schema_and_names_that_are_quoted(postgres: str) -> None:
    with SqlAlchemyConnector(connection_info=postgres) as database:
        database.execute('CREATE SCHEMA IF NOT EXISTS "Gx"')
        database.execute('DROP TABLE IF EXISTS "Gx"."Orders of today"')
        database.insert("Gx.Orders of today", ROWS, create=True)
        source = DatabaseSource(database, "Gx.Orders of today")
        report = validate(source, EXPECTED, name="orders", on_failure="warn")
        assert len(report.failed) == 2
        database.execute('DROP SCHEMA "Gx" CASCADE')


def test_no_password_is_told(postgres: str) -> None:
    """Not in results, logs, artifacts or errors, whether the table exists or not."""
    canary = "canary-of-a-password"
    url = make_url(postgres).set(password=canary).render_as_string(hide_password=False)
    told: list[str] = []

    def work() -> None:
        with SqlAlchemyConnector(connection_info=url) as database:
            database.execute("DROP TABLE IF EXISTS gx_told")
            database.insert("gx_told", [{"id": -1}], create=True)
            wanted = [gxe.ExpectColumnValuesToBeBetween(column="id", min_value=0)]
            broken = [gxe.ExpectColumnValuesToMatchRegex(column="id", regex="(")]
            for each, table in ((wanted, "gx_told"), (broken, "gx_told"), (wanted, "gx_nothing")):
                try:
                    source = DatabaseSource(database, table)
                    report = gx_validate(source, each, name="told", on_failure="warn")
                    told.append(repr(report) + json.dumps(report.to_dict()))
                except (ExpectationsNotEvaluated, TableMissing) as error:
                    told.append(repr(error))
            told.append(repr(DatabaseSource(database, "gx_told")))
            database.execute("DROP TABLE gx_told")

    root = run_in_flow(work)
    assert root.state.name == "Completed", root.state.message
    told += map(repr, list_facts(root, ARTIFACT_SAVED, LOG_WRITTEN))
    assert len(told) > 6
    assert not [text for text in told if canary in text]


def test_a_server_that_is_away() -> None:
    url = f"postgresql://me:word@127.0.0.1:{reserve_closed_port()}/shop"
    source = DatabaseSource(SqlAlchemyConnector(connection_info=url), "orders")
    with pytest.raises(DatabaseUnreachable):
        validate(source, EXPECTED, name="orders")


class Elsewhere(SqliteDatabase):
    """A database with an unknown way for other tools to connect."""

    dialect: str

    def access(self) -> DatabaseAccess:
        return DatabaseAccess(self.dialect, "shop", secrets={"password": SecretStr("word")})


def test_a_database_that_can_not_be_reached() -> None:
    source = DatabaseSource(Elsewhere(dialect="snowflake"), "orders")
    with pytest.raises(ValidationInvalid, match=r"snowflake .* Fetch the rows"):
        validate(source, EXPECTED, name="orders")


def test_a_driver_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    from flowstone_great_expectations import databases

    missing = {"postgresql": databases._DIALECTS["postgresql"]._replace(driver="no_such_driver")}
    monkeypatch.setattr(databases, "_DIALECTS", missing)
    source = DatabaseSource(Elsewhere(dialect="postgresql"), "orders")
    with pytest.raises(MissingExtra, match=r"flowstone-great-expectations\[postgresql\]"):
        validate(source, EXPECTED, name="orders")


def test_a_source_is_a_table_or_a_query() -> None:
    for given in ({}, {"table": "a", "query": "b"}):
        with pytest.raises(ValidationInvalid, match="it needs either a table or a query"):
            DatabaseSource(SqliteDatabase(), **given)


def test_keys_are_not_for_databases_in_this_process() -> None:
    with DuckDBDatabase() as database:
        database.insert("orders", ROWS, create=True)
        with pytest.raises(ValidationInvalid, match="Remove it"):
            validate(DatabaseSource(database, "orders"), EXPECTED, name="o", key_columns="id")
        with pytest.raises(DataQualityFailed):
            validate(DatabaseSource(database, "orders"), EXPECTED, name="o")
