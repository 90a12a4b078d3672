"""Tables in bulk: stages, rejected rows, time zones, results in parts, buckets of a cloud."""

from __future__ import annotations

import asyncio
import pickle
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pydantic import SecretStr
from tests.services.snowflake import Snowflake

from flowstone import flow, task
from flowstone.errors import QueryInvalid, RowsInvalid, TableMissing
from flowstone.records.access import StoreAccess
from flowstone_snowflake import ResultPart, SnowflakeConnector
from flowstone_snowflake.clouds import make_loads, make_location, make_unload
from flowstone_snowflake.names import fold_name, quote_name, quote_path, quote_text

SERIES = "SELECT value::INT AS i FROM TABLE(FLATTEN(ARRAY_GENERATE_RANGE(1, ? + 1)))"


# ---------------------------------------------------------------- Arrow in


def test_times_keep_their_zone_in_bulk(database: SnowflakeConnector) -> None:
    naive = datetime(2024, 2, 29, 23, 59, 58, 123456)  # noqa: DTZ001 - a column without a zone
    oslo = naive.replace(tzinfo=ZoneInfo("Europe/Oslo"))
    behind = naive.replace(tzinfo=timezone(timedelta(hours=-5)))
    table = pa.table(
        {
            "number": [1, 2],
            "plain": [naive, None],
            "zoned": pa.array([oslo, None], pa.timestamp("us", "Europe/Oslo")),
            "behind": pa.array([behind, None], pa.timestamp("us", "-05:00")),
        }
    )
    database.insert("times", table, create=True)
    database.insert("by_rows", table.to_pylist(), create=True)
    for name in ("times", "by_rows"):
        first, second = database.fetch_all(f"SELECT * FROM {name} ORDER BY number")
        assert first == (1, naive, oslo, behind)
        assert first[2].utcoffset() is not None
        assert second == (2, None, None, None)
        out = database.fetch_arrow(f"SELECT * FROM {name} ORDER BY number")
        assert [str(field.type) for field in out.schema] == [
            "int64", "timestamp[us]", "timestamp[us, tz=UTC]", "timestamp[us, tz=UTC]",
        ]  # fmt: skip


def test_arrow_goes_by_a_stage_and_no_row_through_python(
    database: SnowflakeConnector, emulated: Snowflake
) -> None:
    data = pa.table({"id": range(1000), "name": [f"n{n}" for n in range(1000)]})
    assert database.insert("bulk", data, create=True) == 1000
    put, copy = (
        emulated.find_queries("PUT", database.database)[-1],
        emulated.find_queries('INTO "BULK"', database.database)[-1],
    )
    assert "PUT 'file://data.parquet' @FLOWSTONE_" in put["sql"]
    assert "USE_LOGICAL_TYPE = TRUE" in copy["sql"]
    assert "ON_ERROR = ABORT_STATEMENT PURGE = TRUE" in copy["sql"]
    assert not emulated.find_queries('INSERT INTO "BULK"', database.database)
    assert database.fetch_one("SELECT count(*) FROM bulk") == (1000,)


def test_a_transaction_at_work_uses_the_user_s_stage(
    database: SnowflakeConnector, emulated: Snowflake
) -> None:
    database.execute("CREATE TABLE bulk (id INTEGER)")
    with pytest.raises(ZeroDivisionError), database.transaction():
        database.execute("INSERT INTO bulk VALUES (1)")
        database.insert("bulk", pa.table({"id": [2, 3]}))
        assert database.fetch_one("SELECT count(*) FROM bulk") == (3,)
        raise ZeroDivisionError
    assert database.fetch_all("SELECT * FROM bulk") == []
    assert "@~/" in emulated.find_queries("PUT", database.database)[-1]["sql"]


def test_what_was_put_and_not_loaded_is_removed(
    database: SnowflakeConnector, emulated: Snowflake
) -> None:
    database.execute("CREATE TABLE bulk (id INTEGER)")
    with pytest.raises(QueryInvalid):
        database.insert("bulk", pa.table({"id": ["x"]}))
    folder = emulated.find_queries("PUT", database.database)[-1]["sql"].split()[2]
    assert emulated.find_queries(f"REMOVE {folder}", database.database)


def test_types_come_back_as_they_went(database: SnowflakeConnector) -> None:
    row = {
        "whole": 2**62, "real": 0.5, "text": "ä'", "data": b"\0\xff", "yes": True,
        "money": Decimal("12345.67"), "day": date(2024, 2, 29), "at": time(23, 59, 58),
        "seen": datetime(2024, 2, 29, 1, 2, 3, 4, UTC),
    }  # fmt: skip
    database.insert("typed", [row, dict.fromkeys(row)], create=True)
    database.insert("typed", pa.Table.from_pylist([row]))
    query = 'SELECT * FROM typed WHERE "WHOLE" IS NOT NULL'
    for found in database.fetch_all(query):
        assert found == tuple(row.values())
        assert [type(value) for value in found] == [type(value) for value in row.values()]
    assert database.fetch_arrow(query).to_pylist() == [row, row]
    frame = database.fetch_polars(query)
    assert frame.schema["money"] == pl.Decimal(38, 10)
    assert len(database.fetch_pandas(query)) == 2


def test_numbers_that_64_bits_don_t_hold_stay_exact(database: SnowflakeConnector) -> None:
    big = 10**30
    assert database.fetch_one(f"SELECT {big} AS n") == (big,)
    table = database.fetch_arrow(f"SELECT {big} AS n")
    assert table.to_pylist() == [{"n": Decimal(big)}]


def test_dicts_and_lists_are_variants(database: SnowflakeConnector) -> None:
    rows = [
        {"id": 1, "named": {"a": [1, None]}, "many": [1, "x"]},
        {"id": 2, "named": None, "many": []},
    ]
    assert database.insert("documents", rows, create=True) == 2
    query = "SELECT named:a[0]::INT, many[1]::VARCHAR FROM documents ORDER BY id"
    assert database.fetch_all(query) == [(1, "x"), (None, None)]
    nested = pa.table({"id": [3], "named": [{"a": [7]}], "many": [["y", "z"]]})
    assert database.insert("documents", nested) == 1
    assert database.fetch_all(query)[-1] == (7, "z")


def test_mixed_columns_of_rows_are_cast_by_the_server(database: SnowflakeConnector) -> None:
    database.execute("CREATE TABLE mixed (v FLOAT)")
    rows = [(1,), (2.5,), (Decimal("3.25"),), (None,), ("4",)]
    assert database.execute_many("INSERT INTO mixed VALUES (?)", rows) == 5
    found = database.fetch_all("SELECT v FROM mixed ORDER BY v NULLS LAST")
    assert found == [(1.0,), (2.5,), (3.25,), (4.0,), (None,)]


# ---------------------------------------------------------------- rejected rows


@pytest.mark.parametrize(
    "rows",
    [
        [{"id": "1", "name": "a"}, {"id": "x", "name": "b"}, {"id": "3", "name": None}],
        pa.table({"id": ["1", "x", "3"], "name": ["a", "b", None]}),
        pd.DataFrame({"id": ["1", "x", "3"], "name": ["a", "b", None]}),
        pl.DataFrame({"id": ["1", "x", "3"], "name": ["a", "b", None]}),
    ],
    ids=["dicts", "arrow", "pandas", "polars"],
)
def test_rows_that_do_not_fit_are_handed_back(database: SnowflakeConnector, rows: object) -> None:
    database.execute("CREATE TABLE items (id INTEGER, name VARCHAR(100))")
    result = database.load_rows("items", rows)
    assert result.rows_loaded == 2
    [rejected] = result.rejected
    assert (rejected.row, rejected.column, rejected.record) == (2, "id", "x,b")
    assert "'x' is not recognized" in rejected.error
    assert database.fetch_all("SELECT * FROM items ORDER BY id") == [(1, "a"), (3, None)]


def test_a_load_is_refused_where_nothing_could_fit(database: SnowflakeConnector) -> None:
    database.execute("CREATE TABLE items (id INTEGER)")
    with pytest.raises(QueryInvalid, match="has no column 'NOPE'"):
        database.load_rows("items", [{"id": 1, "nope": 2}])
    with pytest.raises(TableMissing):
        database.load_rows("nowhere", [{"id": 1}])
    for wrong in (7, "text", [1]):
        with pytest.raises(RowsInvalid):
            database.load_rows("items", wrong)
    assert database.load_rows("items", []).rows_loaded == 0
    with pytest.raises(QueryInvalid):
        database.load_rows("items", [{"id": "canary"}], on_error="abort_statement")
    assert database.fetch_all("SELECT * FROM items") == []


# ---------------------------------------------------------------- staged files


def test_files_are_put_loaded_unloaded_and_fetched(
    database: SnowflakeConnector, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text("id,name\n7,seven\nx,bad\n8,eight\n")
    database.execute("CREATE TABLE items (id INTEGER, name VARCHAR(100))")
    database.execute("CREATE STAGE raw")
    csv = "(TYPE = CSV SKIP_HEADER = 1)"
    assert database.put_files(tmp_path / "*.csv", "@raw/in") == ["a.csv.gz"]
    with pytest.raises(QueryInvalid) as caught:
        database.load_staged("items", "@raw/in", file_format=csv)
    assert "x,bad" not in str(caught.value)
    assert database.fetch_all("SELECT * FROM items") == []
    result = asyncio.run(
        database.aload_staged("items", "@raw/in", file_format=csv, on_error="continue")
    )
    assert (result.rows_loaded, result.rejected[0].record) == (2, "x,bad")
    assert result.files[0]["status"] == "PARTIALLY_LOADED"
    names = database.unload_to_stage("SELECT * FROM items", "@raw/out/")
    assert database.get_files("@raw/out/", tmp_path / "got") == names
    assert pl.read_parquet(tmp_path / "got" / names[0]).height == 2
    database.execute("CREATE TABLE copies (id INTEGER, name VARCHAR(100))")
    assert database.load_staged("copies", "@raw/out").rows_loaded == 2
    with pytest.raises(QueryInvalid, match="is not a location on a stage"):
        database.put_files(tmp_path / "a.csv", "raw")


# ---------------------------------------------------------------- results in parts


@task
def add_up(part: ResultPart) -> int:
    return sum(part.to_arrow().column("i").to_pylist())


def test_a_result_is_spread_over_tasks(database: SnowflakeConnector) -> None:
    count = 70_000

    @flow
    def spread() -> int:
        parts = database.fetch_parts(SERIES, [count])
        assert len(parts) > 1
        return sum(add_up.map(parts).result())

    assert spread() == count * (count + 1) // 2


def test_a_part_is_read_anywhere(database: SnowflakeConnector) -> None:
    parts = pickle.loads(pickle.dumps(database.fetch_parts(SERIES, [12_000])))
    database.close()
    assert [part.rows for part in parts] == [10_000, 2_000]
    assert [part.columns for part in parts] == [["i"], ["i"]]
    assert [row for part in parts for row in part] == [(n,) for n in range(1, 12_001)]
    assert parts[1].to_pandas()["i"].sum() == parts[1].to_polars()["i"].sum()
    assert "http" not in repr(parts)
    [empty] = database.fetch_parts("SELECT 1 AS a WHERE 1 = 0")
    assert (empty.rows, list(empty), empty.to_arrow().column_names) == (0, [], ["a"])


# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("given", "quoted"),
    [
        ("orders", '"ORDERS"'),
        ("ORDERS", '"ORDERS"'),
        ("Orders", '"Orders"'),
        ("order date", '"order date"'),
        ("_a$1", '"_A$1"'),
        ("1a", '"1a"'),
        ('a"b', '"a""b"'),
        ("ä", '"ä"'),
    ],
)
def test_names_follow_one_rule(given: str, quoted: str) -> None:
    assert quote_name(given) == quoted
    assert fold_name(quoted[1:-1].replace('""', '"')) == (given if given != "ORDERS" else "orders")


def test_paths_and_texts_are_quoted() -> None:
    assert quote_path("sales.orders") == '"SALES"."ORDERS"'
    assert quote_text("it's \\ here") == "'it''s \\\\ here'"


# ---------------------------------------------------------------- buckets

KEYS = {"access_key_id": SecretStr("AK"), "secret_access_key": SecretStr("s/'k")}
S3 = StoreAccess("s3", "raw", "2026", secrets=KEYS)
AZURE = StoreAccess(
    "az", "raw", "", "https://acme.blob.core.windows.net", secrets={"sas_token": SecretStr("sv=1")}
)


def test_a_bucket_of_the_account_s_cloud_is_read_by_snowflake() -> None:
    location = make_location(S3, "PUBLIC.AWS_EU_WEST_1")
    assert location == (
        "s3://raw/2026/",
        "CREDENTIALS = (AWS_KEY_ID = 'AK' AWS_SECRET_KEY = 's/''k')",
    )
    assert location is not None
    first, second = make_loads('"T"', location, [f"{n}.parquet" for n in range(1001)])
    assert first.startswith("COPY INTO \"T\" FROM 's3://raw/2026/' CREDENTIALS")
    assert first.count(".parquet'") == 1000
    assert "FILES = ('1000.parquet')" in second
    assert make_unload("SELECT 1", location, "/out/").startswith(
        "COPY INTO 's3://raw/2026/out/' FROM (SELECT 1) CREDENTIALS"
    )
    token = StoreAccess("s3", "raw", secrets={**KEYS, "session_token": SecretStr("tok")})
    assert "AWS_TOKEN = 'tok'" in str(make_location(token, "AWS_US_EAST_1"))
    assert make_location(AZURE, "AZURE_WESTEUROPE") == (
        "azure://acme.blob.core.windows.net/raw/",
        "CREDENTIALS = (AZURE_SAS_TOKEN = 'sv=1')",
    )


@pytest.mark.parametrize(
    ("access", "region"),
    [
        (S3, "GCP_EUROPE_WEST4"),
        (AZURE, "AWS_EU_WEST_1"),
        (StoreAccess("s3", "raw"), "AWS_EU_WEST_1"),
        (StoreAccess("s3", "raw", "", "http://localhost:9000", secrets=KEYS), "AWS_EU_WEST_1"),
        (StoreAccess("az", "raw", "", "http://localhost:1", secrets={}), "AZURE_WESTEUROPE"),
        (StoreAccess("gs", "raw"), "GCP_EUROPE_WEST4"),
        (StoreAccess("file", "/tmp"), "AWS_EU_WEST_1"),
    ],
)
def test_another_store_is_streamed(access: StoreAccess, region: str) -> None:
    assert make_location(access, region) is None


def test_the_driver_sends_the_statements_for_buckets(
    database: SnowflakeConnector, emulated: Snowflake
) -> None:
    """The emulator answers as documented, and reaches no bucket."""
    database.execute("CREATE TABLE items (id INTEGER)")
    driver: Any = database.driver_calls.driver
    connection = database.driver_calls.borrow()
    try:
        assert driver.copy_from(connection.raw, '"ITEMS"', S3, ["a.parquet"]) == 3
        assert driver.unload_to(connection.raw, "SELECT 1", (), S3, "out") == [
            "out/data_0_0_0.snappy.parquet",
            "out/data_0_1_0.snappy.parquet",
        ]
        assert driver.unload_to(connection.raw, "SELECT ?", (1,), S3, "out") is None
    finally:
        database.driver_calls.pool.give_back(connection)
    location = make_location(S3, "PUBLIC.AWS_EU_WEST_1")
    assert location is not None
    wanted = [
        *make_loads('"ITEMS"', location, ["a.parquet"]),
        make_unload("SELECT 1", location, "out"),
    ]
    sent = emulated.find_queries("'s3://raw/", database.database)
    assert [each["sql"] for each in sent] == wanted
