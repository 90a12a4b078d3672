"""Calls that wait for DuckDB are woken, and errors with its files are described."""

from __future__ import annotations

import asyncio
import gc
import pickle
import signal
import threading
import weakref
from functools import partial
from pathlib import Path

import pytest

from flowstone import flow, task
from flowstone.errors import DatabaseDenied, DatabaseUnreachable, QueryInvalid, RunTimeout
from flowstone_duckdb import DuckDBDatabase
from flowstone_testing.conformance.database.base import ENDLESS, Aside, until

PATIENCE = 20.0


def test_a_timeout_on_the_main_thread_stops_a_query(database: DuckDBDatabase) -> None:
    @task(timeout_seconds=0.2)
    def slow() -> None:
        database.fetch_all(ENDLESS)

    @flow
    def direct() -> None:
        with pytest.raises(RunTimeout):
            slow()

    direct()
    assert database.cancel() == 0
    assert database.fetch_one("SELECT 1") == (1,)


@pytest.mark.parametrize("fetch", ["fetch_all", "fetch_arrow"])
def test_ctrl_c_stops_a_query(database: DuckDBDatabase, fetch: str) -> None:
    def press() -> None:
        until(database.driver_calls.pool.count_calls, "a query runs", PATIENCE)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    pressing = Aside(press)
    with pytest.raises(KeyboardInterrupt):
        getattr(database, fetch)(ENDLESS)
    pressing.join(PATIENCE).check()
    assert database.cancel() == 0
    assert database.fetch_one("SELECT 1") == (1,)


def test_a_flow_on_a_loop_stops_its_query(database: DuckDBDatabase) -> None:
    @flow(timeout_seconds=0.2)
    async def slow() -> None:
        await database.afetch_arrow(ENDLESS)

    with pytest.raises(RunTimeout):
        asyncio.run(slow())
    assert database.cancel() == 0


def test_a_stream_in_async_code_is_stopped(database: DuckDBDatabase) -> None:
    async def read() -> None:
        async with asyncio.timeout(0.2):
            async for _ in database.astream(ENDLESS):
                pytest.fail("it has no row")

    with pytest.raises(TimeoutError):
        asyncio.run(read())
    assert database.cancel() == 0
    assert database.fetch_one("SELECT 1") == (1,)


def test_connections_go_with_their_block_at_once() -> None:
    gc.collect()
    gc.disable()
    try:
        database = DuckDBDatabase()
        database.insert("t", [{"a": 1}], create=True)
        assert database.fetch_arrow("SELECT a FROM t").num_rows == 1
        pool = weakref.ref(database.driver_calls.pool)
        del database
        assert pool() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("size", [0, -1])
def test_no_row_is_lost_for_a_wrong_size(database: DuckDBDatabase, size: int) -> None:
    with pytest.raises(QueryInvalid, match="Request at least 1"):
        database.fetch_many("SELECT 1", size=size)
    with pytest.raises(QueryInvalid, match="Request at least 1"):
        list(database.stream("SELECT 1", batch=size))


@pytest.mark.parametrize("name", ["nowhere/a.db", "bad"])
def test_a_path_that_is_wrong_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / "bad").write_text("this is no database at all, of no kind" * 100)
    with (
        DuckDBDatabase(path=str(tmp_path / name)) as database,
        pytest.raises(DatabaseUnreachable, match=Path(name).name),
    ):
        database.fetch_all("SELECT * FROM t")


def test_read_only_is_read_only(tmp_path: Path) -> None:
    path = str(tmp_path / "a.db")
    with DuckDBDatabase(path=path) as database:
        database.insert("t", [{"a": 1}], create=True)
    with DuckDBDatabase(path=path, read_only=True) as database:
        assert database.fetch_all("SELECT a FROM t") == [(1,)]
        with pytest.raises(DatabaseDenied):
            database.execute("DELETE FROM t")


def test_memory_is_a_block_s_own() -> None:
    with (
        DuckDBDatabase() as one,
        DuckDBDatabase() as two,
        pickle.loads(pickle.dumps(one)) as three,
    ):
        one.insert("t", [{"a": 1}], create=True)
        found = Aside(partial(one.fetch_all, "SELECT a FROM t")).join(PATIENCE)
        assert found.value == [(1,)]
        for other in (two, three):
            with pytest.raises(LookupError):
                other.fetch_all("SELECT a FROM t")


def test_settings_are_duckdb_s() -> None:
    with DuckDBDatabase(config={"threads": 1}) as database:
        assert database.fetch_one("SELECT current_setting('threads')") == (1,)
    with DuckDBDatabase(config={"nothing": 1}) as database, pytest.raises(QueryInvalid):
        database.fetch_one("SELECT 1")


def test_a_field_that_is_set_opens_another(tmp_path: Path) -> None:
    with DuckDBDatabase(path=str(tmp_path / "a.db")) as database:
        database.insert("t", [{"a": 1}], create=True)
        database.path = str(tmp_path / "b.db")
        with pytest.raises(LookupError):
            database.fetch_all("SELECT a FROM t")
