"""PostgreSQL through PgBouncer in transaction mode, which serves each statement by any session."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import psycopg
import pyarrow as pa
import pytest
from sqlalchemy import text

from flowstone import flow, task
from flowstone.errors import DatabaseError, QueryCancelled
from flowstone_sqlalchemy import SqlAlchemyConnector
from flowstone_testing.conformance.database.base import Aside, until

PATIENCE = 20.0
#: Settings that somebody's session has kept, and statements that it has prepared.
CHANGED = "SELECT name, setting FROM pg_settings WHERE source = 'session' ORDER BY name"
PREPARED = "SELECT name FROM pg_prepared_statements"


@pytest.fixture
def pooled(pooled_url: str) -> Iterator[SqlAlchemyConnector]:
    """A database behind the pooler."""
    with SqlAlchemyConnector(connection_info=pooled_url, transaction_pooling=True) as database:
        yield database


def find_session(database: SqlAlchemyConnector) -> int:
    row = database.fetch_one("SELECT pg_backend_pid()")
    assert row is not None
    return int(row[0])


def test_statements_are_served_by_several_sessions(pooled: SqlAlchemyConnector) -> None:
    """So the other tests would notice what a session keeps."""
    with SqlAlchemyConnector(
        connection_info=pooled.connection_info, transaction_pooling=True
    ) as other:
        # The first one holds a session, so the pooler opens another one, and then takes turns.
        with other.transaction():
            first = find_session(other)
            assert find_session(pooled) != first
        assert len({find_session(pooled) for _ in range(20)}) > 1


def test_a_transaction_is_served_by_one_session(pooled: SqlAlchemyConnector) -> None:
    with pooled.transaction():
        assert len({find_session(pooled) for _ in range(5)}) == 1


def test_parameters_arrive_without_prepared_statements(pooled: SqlAlchemyConnector) -> None:
    for number in range(20):
        assert pooled.fetch_all("SELECT ?::int", [number]) == [(number,)]
        pooled.execute("SELECT 1")
        assert pooled.fetch_arrow("SELECT ?::int AS n", [number]).to_pylist() == [{"n": number}]
    with pooled.transaction():
        for _ in range(10):
            pooled.fetch_all("SELECT ?::int", [1])
        assert pooled.fetch_all(PREPARED) == []
    assert {tuple(pooled.fetch_all(PREPARED)) for _ in range(10)} == {()}


def test_sessions_keep_no_setting(pooled: SqlAlchemyConnector) -> None:
    @task(timeout_seconds=60)
    def read() -> object:
        with pooled.transaction():
            limit = pooled.fetch_one("SELECT current_setting('statement_timeout')")
            pooled.fetch_arrow("SELECT 1 AS n")
        pooled.insert("kept", pa.table({"id": [1]}), create=True)
        return limit

    @flow
    def run() -> object:
        return read()

    assert run() == ("65s",)
    for _ in range(10):
        # Two of them are told to the pooler when a connection begins, which gives them to the
        # session that it takes: they are its own business.
        found: dict[str, str] = dict(pooled.fetch_all(CHANGED))
        assert found.keys() <= {"application_name", "client_encoding"}


def test_rows_go_in_and_out(pooled: SqlAlchemyConnector) -> None:
    rows = pa.table({"id": range(10_000), "name": [f"name {n}" for n in range(10_000)]})
    assert pooled.insert("items", rows, create=True) == 10_000
    assert pooled.fetch_arrow("SELECT * FROM items ORDER BY id").equals(rows)
    found = sum(batch.num_rows for batch in pooled.stream_arrow("SELECT * FROM items"))
    assert found == len(list(pooled.stream("SELECT * FROM items"))) == 10_000
    pooled.execute("ALTER TABLE items ADD PRIMARY KEY (id)")
    assert pooled.upsert("items", [{"id": 1, "name": "new"}, {"id": -1, "name": "x"}], keys="id")
    assert pooled.fetch_one("SELECT name FROM items WHERE id = 1") == ("new",)


def test_a_transaction_is_rolled_back(pooled: SqlAlchemyConnector) -> None:
    pooled.execute("CREATE TABLE t (id int)")
    with pytest.raises(ZeroDivisionError), pooled.transaction():
        pooled.execute("INSERT INTO t VALUES (1)")
        raise ZeroDivisionError
    assert pooled.fetch_all("SELECT * FROM t") == []


def test_a_query_is_cancelled_through_the_pooler(
    pooled: SqlAlchemyConnector, pooled_url: str
) -> None:
    def count() -> int:
        with psycopg.connect(pooled_url) as admin:
            row = admin.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(1000)%' "
                "AND state = 'active' AND pid <> pg_backend_pid() AND datname = current_database()"
            ).fetchone()
        assert row is not None
        return int(row[0])

    waiting = Aside(lambda: pooled.fetch_all("SELECT pg_sleep(1000)"))
    until(lambda: count() == 1, "the query runs", PATIENCE)
    assert pooled.cancel() == 1
    assert isinstance(waiting.join(PATIENCE).error, QueryCancelled)
    until(lambda: count() == 0, "the server has ended it", PATIENCE)
    assert pooled.fetch_one("SELECT 1") == (1,)


def test_engines_prepare_nothing_either(pooled_url: str) -> None:
    with SqlAlchemyConnector(connection_info=pooled_url, transaction_pooling=True) as database:
        for number in range(10):
            with database.get_connection() as connection:
                found = connection.execute(text("SELECT :n + 0"), {"n": number}).scalar()
            assert found == number

    async def count(database: SqlAlchemyConnector) -> list[int]:
        found = []
        for number in range(10):
            async with database.get_connection() as connection:
                query = text("SELECT CAST(:n AS int)")
                found.append((await connection.execute(query, {"n": number})).scalar())
        return found

    url = pooled_url.replace("postgresql://", "postgresql+asyncpg://")
    with SqlAlchemyConnector(connection_info=url, transaction_pooling=True) as database:
        assert asyncio.run(count(database)) == list(range(10))


def test_settings_of_a_session_stay_behind_without_the_mode(pooled_url: str) -> None:
    """What the mode is for: without it, the guard of one program is in the session of another."""
    with SqlAlchemyConnector(connection_info=pooled_url) as database:
        database.fetch_one("SELECT 1")
    with SqlAlchemyConnector(connection_info=pooled_url, transaction_pooling=True) as database:
        kept = [name for _ in range(10) for name, _ in database.fetch_all(CHANGED)]
    assert "client_connection_check_interval" in kept


def test_an_unknown_database_says_so(pgbouncer: str) -> None:
    url = f"{pgbouncer.rpartition('/')[0]}/nowhere"
    with (
        SqlAlchemyConnector(connection_info=url, transaction_pooling=True) as database,
        pytest.raises(DatabaseError, match="nowhere"),
    ):
        database.fetch_one("SELECT 1")
