"""What PostgreSQL does beside the standard tests: types, loads, limits, lost connections."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from textwrap import dedent
from typing import Any
from uuid import UUID

import psycopg
import pyarrow as pa
import pytest

from flowstone import flow, task
from flowstone.errors import (
    DatabaseDenied,
    DatabaseUnreachable,
    IntegrityViolated,
    QueryCancelled,
    QueryInvalid,
    TableMissing,
)
from flowstone_sqlalchemy import SqlAlchemyConnector
from flowstone_testing.conformance.database.base import Aside, until

PATIENCE = 20.0
ID = UUID("12345678-1234-5678-1234-567812345678")
#: A column by its type of PostgreSQL, what is written, and what Arrow then has.
TYPES: list[tuple[str, str, pa.DataType, object]] = [
    ("numeric(12, 3)", "12.5", pa.decimal128(12, 3), Decimal("12.500")),
    ("numeric(12, 3)", "-0.001", pa.decimal128(12, 3), Decimal("-0.001")),
    ("numeric", "123456789012345678901234567.25", pa.decimal128(38, 2),
     Decimal("123456789012345678901234567.25")),
    ("jsonb", '\'{"a": [1, null]}\'', pa.string(), '{"a": [1, null]}'),
    ("json", "'[1,  2]'", pa.string(), "[1,  2]"),
    ("timestamptz", "'2024-02-29 23:59:58.5+02'", pa.timestamp("us", "UTC"),
     datetime(2024, 2, 29, 21, 59, 58, 500000, UTC)),
    ("timestamp", "'2024-02-29 23:59:58.5'", pa.timestamp("us"),
     datetime.fromisoformat("2024-02-29 23:59:58.5")),
    ("time", "'12:30'", pa.time64("us"), time(12, 30)),
    ("date", "'1969-12-31'", pa.date32(), date(1969, 12, 31)),
    ("uuid", f"'{ID}'", pa.string(), str(ID)),
    ("inet", "'10.0.0.1/8'", pa.string(), "10.0.0.1/8"),
    ("timetz", "'12:30+02'", pa.string(), "12:30:00+02"),
    ("oid", "4000000000", pa.int64(), 4000000000),
    ("mood", "'sad'", pa.string(), "sad"),
    ("int[]", "'{1,NULL,3}'", pa.list_(pa.int32()), [1, None, 3]),
    ("numeric(6, 2)[]", "'{1.25,NULL}'", pa.list_(pa.decimal128(38, 2)), [Decimal("1.25"), None]),
    ("bytea", "'\\x00ff'", pa.binary(), b"\0\xff"),
    ("bool", "true", pa.bool_(), True),
    ("smallint", "7", pa.int16(), 7),
    ("char(3)", "'x'", pa.string(), "x  "),
]  # fmt: skip


def count_queries(url: str, text: str) -> int:
    """Return how many statements with a text the server runs for others."""
    query = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE query LIKE %s AND state = 'active' AND pid <> pg_backend_pid()"
    )
    with psycopg.connect(url) as admin:
        [(count,)] = admin.execute(query, [f"%{text}%"]).fetchall()
    return int(count)


@pytest.fixture
def moods(database: SqlAlchemyConnector) -> SqlAlchemyConnector:
    database.execute("CREATE TYPE mood AS ENUM ('sad', 'glad')")
    return database


# -- types -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "written", "expected", "value"), TYPES)
@pytest.mark.parametrize("inside", [False, True])
def test_columns_are_typed(
    moods: SqlAlchemyConnector,
    kind: str,
    written: str,
    expected: pa.DataType,
    value: object,
    inside: bool,
) -> None:
    moods.execute(f"CREATE TABLE typed (v {kind})")
    moods.execute(f"INSERT INTO typed VALUES ({written}), (NULL)")
    query = "SELECT v FROM typed -- all of it"
    if inside:
        with moods.transaction():
            table = moods.fetch_arrow(query)
    else:
        table = moods.fetch_arrow(query)
    assert table.column("v").to_pylist() == [value, None]
    assert table.schema.field("v").type == expected


@pytest.mark.parametrize(("kind", "written", "expected", "value"), TYPES)
def test_what_came_out_goes_in_again(
    moods: SqlAlchemyConnector, kind: str, written: str, expected: pa.DataType, value: object
) -> None:
    moods.execute(f"CREATE TABLE typed (v {kind})")
    moods.execute(f"INSERT INTO typed VALUES ({written}), (NULL)")
    moods.execute("CREATE TABLE again (LIKE typed)")
    assert moods.insert("again", moods.fetch_arrow("SELECT v FROM typed")) == 2
    rows = "SELECT v::text FROM {} ORDER BY 1"
    assert moods.fetch_all(rows.format("again")) == moods.fetch_all(rows.format("typed"))


def test_decimals_are_exact_in_binary(database: SqlAlchemyConnector) -> None:
    texts = [
        "0", "1", "-1", "0.0001", "-0.0001", "9999.9999", "10000", "99999999999999.1234",
        "-12345678901234567890123456789012.3456", "1234567890123456789012345678901234.5678",
    ]  # fmt: skip
    values = [Decimal(text) for text in texts]
    for scale, precision in ((4, 38), (6, 38), (9, 38)):
        fit = [value for value in values if abs(value) < Decimal(10) ** (precision - scale)]
        database.execute("DROP TABLE IF EXISTS d")
        database.execute("CREATE TABLE d (n int, v numeric)")
        kind = pa.decimal128(precision, scale)
        rows = pa.table({"n": range(len(fit)), "v": pa.array(fit, kind)})
        database.insert("d", rows)
        assert [v for (v,) in database.fetch_all("SELECT v FROM d ORDER BY n")] == fit
        assert database.fetch_arrow("SELECT v FROM d ORDER BY n")["v"].to_pylist() == fit


def test_numbers_without_a_decimal_are_told(database: SqlAlchemyConnector) -> None:
    with pytest.raises(QueryInvalid, match="NaN"):
        database.fetch_arrow("SELECT 'NaN'::numeric AS v")
    with pytest.raises(QueryInvalid, match="digits"):
        database.fetch_arrow("SELECT 10::numeric ^ 80 AS v")


def test_a_stream_keeps_its_decimals(database: SqlAlchemyConnector) -> None:
    query = "SELECT n, n / 3.0 AS third FROM generate_series(1, 5) AS n"
    batches = list(database.stream_arrow(query, batch_rows=2))
    assert [batch.num_rows for batch in batches] == [2, 2, 1]
    expected = [third for _, third in database.fetch_all(query)]
    assert [each for batch in batches for each in batch.column("third").to_pylist()] == expected


def test_literals_of_parameters_are_only_values(database: SqlAlchemyConnector) -> None:
    nasty = "x'); DROP TABLE t; -- $2 \\ '' \n"
    query = "SELECT :text::text AS a, :day::date AS b, '$1 :text' AS c, :n + 1 AS d /* $2 */"
    found = database.fetch_arrow(query, {"text": nasty, "day": date(2024, 1, 2), "n": -5})
    assert found.to_pylist() == [{"a": nasty, "b": date(2024, 1, 2), "c": "$1 :text", "d": -4}]


def test_names_of_columns_may_be_the_same(database: SqlAlchemyConnector) -> None:
    table = database.fetch_arrow("SELECT 1 AS a, '::1'::inet AS a, 3 AS \"?\";")
    assert table.column_names == ["a", "a", "?"]
    assert [column.to_pylist() for column in table.columns] == [[1], ["::1/128"], [3]]


# -- rows --------------------------------------------------------------------------------------


def test_rows_are_fetched_before_a_commit(database: SqlAlchemyConnector) -> None:
    database.execute("CREATE TABLE t (id serial PRIMARY KEY, v int)")
    insert = "INSERT INTO t (v) SELECT n FROM generate_series(1, 3000) AS n RETURNING id"
    assert database.fetch_one(insert) == (1,)
    assert database.fetch_one("SELECT count(*) FROM t") == (3000,)
    assert database.fetch_arrow("UPDATE t SET v = 0 WHERE id < 3 RETURNING id").num_rows == 2
    with database.transaction():
        assert database.fetch_one(insert) == (3001,)
    assert database.fetch_one("SELECT count(*) FROM t") == (6000,)
    assert database.fetch_all("CREATE TABLE u (id int)") == []
    assert database.fetch_all("SHOW server_version_num") != []


def test_one_statement_in_a_transaction_too(database: SqlAlchemyConnector) -> None:
    database.execute("CREATE TABLE t (id int)")
    for run in (database.execute, database.fetch_all, database.fetch_arrow):
        with pytest.raises(QueryInvalid), database.transaction():
            run("SELECT 1; DROP TABLE t")
    assert database.fetch_all("SELECT * FROM t") == []


def test_lists_are_arrays_or_json(database: SqlAlchemyConnector) -> None:
    database.execute("CREATE TABLE t (a int[], j jsonb)")
    database.insert("t", [{"a": [1, 2], "j": [1, {"b": None}]}])
    assert database.fetch_all("SELECT a, j FROM t") == [([1, 2], [1, {"b": None}])]
    assert database.fetch_all("SELECT 1 FROM t WHERE 2 = ANY(a) AND a = ?::int[]", [[1, 2]]) == [
        (1,)
    ]


def test_views_are_written_by_statements(database: SqlAlchemyConnector) -> None:
    database.execute("CREATE TABLE t (id int, v text)")
    database.execute("CREATE VIEW w AS SELECT id, v FROM t")
    database.insert("w", [{"id": 1, "v": "a"}])
    database.insert("w", pa.table({"id": [2], "v": ["b"]}))
    assert database.fetch_all("SELECT * FROM t ORDER BY id") == [(1, "a"), (2, "b")]


# -- what goes wrong ---------------------------------------------------------------------------


def test_errors_have_the_code_and_the_place(database: SqlAlchemyConnector) -> None:
    with pytest.raises(QueryInvalid, match=r"SQLSTATE 42601.*line 2, column 13") as caught:
        database.fetch_all("SELECT :alpha\nFROM t WHER y = 1", {"alpha": 1})
    assert caught.value.position == 26
    with pytest.raises(QueryInvalid, match=r"42703.*line 1, column 8"):
        database.fetch_arrow("SELECT nope")
    database.execute("CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL CHECK (n > 0))")
    with pytest.raises(IntegrityViolated, match=r'"n".*23502'):
        database.insert("t", [{"id": 1, "n": None}])
    with pytest.raises(QueryInvalid, match="42P10"):
        database.upsert("t", [{"id": 1, "n": 1}], keys="n")
    with pytest.raises(QueryInvalid, match="42P07"):
        database.execute("CREATE TABLE t (id int)")
    with pytest.raises(TableMissing, match="nowhere"):
        database.fetch_arrow("SELECT * FROM nowhere")
    database.execute("CREATE ROLE reader_of_ours")
    with pytest.raises(DatabaseDenied, match=r"table t .*42501"), database.transaction():
        database.execute("SET LOCAL ROLE reader_of_ours")
        database.fetch_all("SELECT * FROM t")
    database.execute("DROP ROLE reader_of_ours")


def test_connections_that_are_refused_say_why(postgres_url: str) -> None:
    wrong = {
        postgres_url.rpartition("/")[0] + "/nowhere": (DatabaseUnreachable, "nowhere"),
        postgres_url.replace("postgres@", "nobody_there@"): (DatabaseDenied, "nobody_there"),
        "postgresql://127.0.0.1:1/a": (DatabaseUnreachable, "Check the host and the port"),
    }
    for url, (kind, words) in wrong.items():
        with SqlAlchemyConnector(connection_info=url) as database, pytest.raises(kind, match=words):
            database.fetch_one("SELECT 1")


def test_a_failed_transaction_is_not_said_to_be_kept(database: SqlAlchemyConnector) -> None:
    database.execute("CREATE TABLE t (id int)")
    with pytest.raises(QueryInvalid, match="rolled back"), database.transaction():
        database.execute("INSERT INTO t VALUES (1)")
        with pytest.raises(QueryInvalid):
            database.execute("SELECT 1 / 0")
    assert database.fetch_all("SELECT * FROM t") == []


def end_connections(url: str) -> None:
    """Let the server end all connections but this one."""
    query = (
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with psycopg.connect(url) as admin:
        ended = admin.execute(query).fetchall()
    assert {done for (done,) in ended} == {True}, "no connection was there to be ended"


def test_a_lost_connection_is_opened_again(
    database: SqlAlchemyConnector, postgres_url: str
) -> None:
    database.execute("CREATE TABLE t (id int)")
    for use in (
        lambda: database.execute("INSERT INTO t VALUES (1)"),
        lambda: database.fetch_all("SELECT * FROM t"),
        lambda: database.fetch_arrow("SELECT * FROM t"),
        lambda: database.fetch_arrow("SELECT * FROM t"),
        lambda: database.insert("t", [{"id": 2}]),
    ):
        use()
        end_connections(postgres_url)
        use()
    assert database.fetch_one("SELECT count(*) FROM t") == (4,)


def test_a_loss_inside_a_transaction_is_told(
    database: SqlAlchemyConnector, postgres_url: str
) -> None:
    database.execute("CREATE TABLE t (id int)")
    with (
        pytest.raises(DatabaseUnreachable, match="inside a transaction, which was not committed"),
        database.transaction(),
    ):
        database.execute("INSERT INTO t VALUES (1)")
        end_connections(postgres_url)
        database.execute("INSERT INTO t VALUES (2)")
    with (
        pytest.raises(DatabaseUnreachable, match="which may or may not be committed"),
        database.transaction(),
    ):
        database.execute("INSERT INTO t VALUES (3)")
        end_connections(postgres_url)
    assert database.fetch_all("SELECT * FROM t") == []


# -- stopping ----------------------------------------------------------------------------------

SLOW = "SELECT count(*), pg_sleep(600) AS {} FROM generate_series(1, 3)"


@pytest.mark.parametrize("fetch", ["fetch_all", "fetch_arrow", "execute"])
def test_cancel_ends_the_query_in_the_server(
    database: SqlAlchemyConnector, postgres_url: str, fetch: str
) -> None:
    name = f"slow_{fetch}"
    query = Aside(lambda: getattr(database, fetch)(SLOW.format(name)))
    until(lambda: count_queries(postgres_url, name), "it runs", PATIENCE)
    assert database.cancel() == 1
    assert isinstance(query.join(PATIENCE).error, QueryCancelled)
    until(lambda: not count_queries(postgres_url, name), "it has ended", PATIENCE)


def test_the_server_knows_the_task_s_timeout(database: SqlAlchemyConnector) -> None:
    def ask() -> list[Any]:
        setting = "SELECT current_setting('statement_timeout')"
        return [
            database.fetch_one(setting),
            tuple(database.fetch_arrow(setting).to_pylist()[0].values()),
        ]

    @task(timeout_seconds=60)
    def limited() -> list[Any]:
        return ask()

    @flow
    def both() -> list[Any]:
        return [ask(), limited(), ask()]

    free, bound, again = both()
    assert free == again == [("0",), ("0",)]
    assert bound == [("65s",), ("65s",)]


PROGRAM = """
import sys
from flowstone import flow, task
from flowstone_sqlalchemy import SqlAlchemyConnector

@task
def slow(url: str, how: str) -> None:
    getattr(SqlAlchemyConnector(connection_info=url), how)({query!r})

@flow
def killed(url: str, how: str) -> None:
    slow(url, how)

killed(*sys.argv[1:])
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["fetch_all", "fetch_arrow", "execute"])
def test_a_killed_flow_leaves_nothing_running(postgres_url: str, tmp_path: Path, how: str) -> None:
    name = f"killed_{how}"
    file = tmp_path / "killed.py"
    file.write_text(dedent(PROGRAM).format(query=SLOW.format(name)))
    environment = {**os.environ, "FLOWSTONE_HOME": str(tmp_path / "home")}
    with subprocess.Popen(
        [sys.executable, str(file), postgres_url, how], env=environment, start_new_session=True
    ) as program:
        try:
            until(lambda: count_queries(postgres_url, name), "the query runs", 60)
        finally:
            os.killpg(program.pid, signal.SIGKILL)
    until(lambda: not count_queries(postgres_url, name), "the server has ended it", 10)


def test_without_the_guard_nothing_is_set(postgres_url: str) -> None:
    with SqlAlchemyConnector(connection_info=postgres_url, cancel_on_kill=False) as database:
        setting = "SELECT current_setting('client_connection_check_interval')"
        assert database.fetch_one(setting) == ("0",)
    with SqlAlchemyConnector(connection_info=postgres_url) as database:
        assert database.fetch_one(setting) == ("2s",)
        assert database.fetch_arrow(setting).to_pylist() == [{"current_setting": "2s"}]


@pytest.fixture
def pooled(postgres_url: str) -> Iterator[SqlAlchemyConnector]:
    """A database as it is used through a pooler in transaction mode."""
    with SqlAlchemyConnector(connection_info=postgres_url, transaction_pooling=True) as database:
        yield database


def test_a_pooler_meets_no_prepared_statement(pooled: SqlAlchemyConnector) -> None:
    with pooled.transaction():
        for _ in range(10):
            pooled.fetch_all("SELECT ?::int", [1])
            pooled.execute("SELECT 1")
        assert pooled.fetch_all("SELECT name FROM pg_prepared_statements") == []


def test_a_pooler_s_sessions_keep_no_setting(pooled: SqlAlchemyConnector) -> None:
    changed = "SELECT name, setting FROM pg_settings WHERE source = 'session' ORDER BY name"

    @task(timeout_seconds=60)
    def read() -> list[Any]:
        with pooled.transaction():
            limit = pooled.fetch_one("SELECT current_setting('statement_timeout')")
        return [limit, pooled.fetch_all(changed), pooled.fetch_arrow(changed).to_pylist()]

    @flow
    def run() -> list[Any]:
        return [*read(), pooled.fetch_all(changed), pooled.fetch_arrow(changed).to_pylist()]

    limit, *settings = run()
    assert limit == ("65s",)
    assert settings == [[], [], [], []]


# -- SQLAlchemy --------------------------------------------------------------------------------


def test_engines_reach_the_same_database(postgres_url: str) -> None:
    from sqlalchemy import text

    with SqlAlchemyConnector(connection_info=postgres_url) as database:
        with database.get_connection() as connection:
            connection.execute(text("CREATE TABLE t (id int)"))
            connection.execute(text("INSERT INTO t VALUES (:id)"), {"id": 1})
        assert database.fetch_all("SELECT * FROM t") == [(1,)]
        engine = database.get_client("engine")
        assert engine is database.get_engine()
        database.reset_connections()
        assert database.get_engine() is not engine


def test_one_block_serves_sync_and_async_code(postgres_url: str) -> None:
    from sqlalchemy import text

    url = postgres_url.replace("postgresql://", "postgresql+asyncpg://")

    async def ask(database: SqlAlchemyConnector) -> object:
        async with database.get_connection(begin=False) as connection:
            return (await connection.execute(text("SELECT 7"))).scalar()

    with SqlAlchemyConnector(connection_info=url, transaction_pooling=True) as database:
        assert database.is_async
        assert database.fetch_one("SELECT 7") == (7,)
        assert asyncio.run(ask(database)) == asyncio.run(ask(database)) == 7


def test_access_is_for_other_tools(postgres_url: str) -> None:
    url = postgres_url.replace("postgres@", "postgres:secret-of-ours@")
    access = SqlAlchemyConnector(connection_info=url).access()
    assert (access.dialect, access.user, access.reveal("password")) == (
        "postgresql", "postgres", "secret-of-ours",
    )  # fmt: skip
    assert "secret-of-ours" not in repr(access)


def test_intervals_are_durations(database: SqlAlchemyConnector) -> None:
    assert database.fetch_one("SELECT interval '1 day 2 s'") == (timedelta(days=1, seconds=2),)


def test_iterators_go_in(database: SqlAlchemyConnector) -> None:
    def make() -> Iterator[pa.RecordBatch]:
        for start in range(0, 50_000, 10_000):
            yield pa.record_batch({"id": range(start, start + 10_000)})

    assert database.insert("t", make(), create=True) == 50_000
    assert database.fetch_one("SELECT count(*), sum(id) FROM t") == (50_000, 1_249_975_000)
