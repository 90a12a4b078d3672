"""What waits for a database is woken, wherever it waits, and nothing goes on behind it."""

from __future__ import annotations

import asyncio
import gc
import pickle
import signal
import threading
import weakref
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from flowstone import flow, task
from flowstone.blocks import Database, SqliteDatabase
from flowstone.blocks.abstract import DatabaseBlock
from flowstone.blocks.databases.cancellation import Call, Stopped, in_thread
from flowstone.builtin import database_tasks as tasks
from flowstone.engine.thread_errors import raise_in_thread
from flowstone.errors import (
    DatabaseBusy,
    DatabaseDenied,
    DatabaseUnreachable,
    QueryCancelled,
    QueryInvalid,
    RunTimeout,
)
from flowstone.ports.interrupts import interrupt, interruptible
from flowstone_testing.conformance.database.base import ENDLESS, Aside, until

PATIENCE = 300.0


@pytest.fixture(params=["sqlite", "sqlite memory"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    kinds: dict[str, Database] = {
        "sqlite": SqliteDatabase(path=str(tmp_path / "a.db")),
        "sqlite memory": SqliteDatabase(),
    }
    with kinds[request.param] as made:
        yield made


def test_a_timeout_on_the_main_thread_stops_a_query(database: Database) -> None:
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


def test_ctrl_c_stops_a_query(database: Database) -> None:
    def press() -> None:
        until(database.driver_calls.pool.count_calls, "a query runs", PATIENCE)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    pressing = Aside(press)
    with pytest.raises(KeyboardInterrupt):
        database.fetch_all(ENDLESS)
    pressing.join(PATIENCE).check()
    assert database.cancel() == 0
    assert database.fetch_one("SELECT 1") == (1,)


def test_a_flow_on_a_loop_stops_its_query(database: Database) -> None:
    @flow(timeout_seconds=0.2)
    async def slow() -> None:
        await database.afetch_all(ENDLESS)

    with pytest.raises(RunTimeout):
        asyncio.run(slow())
    assert database.cancel() == 0


def test_a_stream_in_async_code_is_stopped(database: Database) -> None:
    async def read() -> None:
        async with asyncio.timeout(0.2):
            async for _ in database.astream(ENDLESS):
                pytest.fail("it has no row")

    with pytest.raises(TimeoutError):
        asyncio.run(read())
    assert database.cancel() == 0
    assert database.fetch_one("SELECT 1") == (1,)


def test_who_waits_for_a_lock_is_woken(tmp_path: Path) -> None:
    path = str(tmp_path / "a.db")
    with SqliteDatabase(path=path) as one, SqliteDatabase(path=path, busy_seconds=1000) as two:
        one.execute("CREATE TABLE t (a)")
        with one.transaction():
            one.execute("INSERT INTO t VALUES (1)")
            waiting = Aside(lambda: two.execute("INSERT INTO t VALUES (2)"))
            until(two.cancel, "the second waits", PATIENCE)
            assert isinstance(waiting.join(PATIENCE).error, QueryCancelled)
            with SqliteDatabase(path=path, busy_seconds=0) as three, pytest.raises(DatabaseBusy):
                three.execute("INSERT INTO t VALUES (3)")
        assert two.fetch_all("SELECT a FROM t") == [(1,)]


def test_an_error_put_into_a_thread_wakes_it() -> None:
    class Over(BaseException):
        pass

    begun, woken = threading.Event(), threading.Event()

    def wait() -> None:
        with interruptible(woken.set):
            begun.set()
            woken.wait()
            threading.Event().wait(0)

    waiting = Aside(wait)
    begun.wait(PATIENCE)
    assert waiting.thread.ident is not None
    raise_in_thread(waiting.thread.ident, Over)
    assert isinstance(waiting.join(PATIENCE).error, Over)
    interrupt(waiting.thread.ident)  # nobody is there any more


def test_what_was_cancelled_before_it_began_does_not_begin() -> None:
    called: list[int] = []
    ready, go = threading.Event(), threading.Event()

    def work() -> None:
        ready.set()
        go.wait(PATIENCE)
        Call(lambda: None).run(lambda: called.append(1))

    async def ask() -> None:
        asking = asyncio.ensure_future(in_thread(work))
        await asyncio.to_thread(ready.wait, PATIENCE)
        asking.cancel()
        asyncio.get_running_loop().call_soon(go.set)
        with pytest.raises(asyncio.CancelledError):
            await asking

    asyncio.run(ask())
    assert not called
    assert issubclass(Stopped, Exception)


def test_few_connections_are_kept(tmp_path: Path) -> None:
    with SqliteDatabase(path=str(tmp_path / "a.db")) as database:
        streams = [database.stream("SELECT 1 UNION SELECT 2", batch=1) for _ in range(30)]
        assert [next(stream) for stream in streams] == [(1,)] * 30
        for stream in streams:
            stream.close()  # type: ignore[attr-defined]
        pool = database.driver_calls.pool
        assert len(pool._idle) == len(pool._all) == pool.driver.max_idle_connections == 8
    assert database._calls is None


def test_connections_go_with_their_block_at_once() -> None:
    enabled = gc.isenabled()
    gc.disable()
    try:
        database = SqliteDatabase()
        database.insert("t", [{"a": 1}], create=True)
        with pytest.raises(QueryInvalid) as caught:
            database.execute("SELEC")
        del caught
        asyncio.run(database.afetch_all("SELECT a FROM t"))
        pool = weakref.ref(database.driver_calls.pool)
        del database
        assert pool() is None
    finally:
        if enabled:
            gc.enable()


def test_a_path_that_is_wrong_is_told(tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("this is no database at all, of no kind" * 100)
    for path in (tmp_path / "nowhere/a.db", tmp_path / "bad"):
        with (
            SqliteDatabase(path=str(path)) as database,
            pytest.raises(DatabaseUnreachable, match=path.name),
        ):
            database.fetch_all("SELECT * FROM t")


def test_read_only_is_read_only(tmp_path: Path) -> None:
    path = str(tmp_path / "a.db")
    with SqliteDatabase(path=path) as database:
        database.insert("t", [{"a": 1}], create=True)
    with SqliteDatabase(path=path, read_only=True) as database:
        assert database.fetch_all("SELECT a FROM t") == [(1,)]
        with pytest.raises(DatabaseDenied):
            database.execute("DELETE FROM t")


def test_memory_is_a_block_s_own() -> None:
    with (
        SqliteDatabase() as one,
        SqliteDatabase() as two,
        pickle.loads(pickle.dumps(one)) as three,
    ):
        one.insert("t", [{"a": 1}], create=True)
        found = Aside(partial(one.fetch_all, "SELECT a FROM t")).join(PATIENCE)
        assert found.value == [(1,)]
        for other in (two, three):
            with pytest.raises(LookupError):
                other.fetch_all("SELECT a FROM t")


def test_positions_are_told(database: Database) -> None:
    with pytest.raises(QueryInvalid) as caught:
        database.fetch_all("SELECT 1,\n  2 FROM WHERE x")
    statement, position = caught.value.statement, caught.value.position
    assert statement is not None
    assert position == statement.index("WHERE")
    assert "line 2, column 10" in str(caught.value)


def test_it_works_as_tasks(tmp_path: Path) -> None:
    shop = SqliteDatabase(path=str(tmp_path / "shop.db"))
    shop.save("shop")

    @flow
    def fill() -> list[tuple[object, ...]]:
        assert tasks.database_insert(shop, "t", [{"a": 1}, {"a": 2}], create=True) == 2
        assert tasks.database_execute("sqlite-database/shop", "DELETE FROM t WHERE a = 1") == 1
        return tasks.database_fetch.submit(shop, "SELECT a FROM t WHERE a > ?", [0]).result()

    @flow
    async def afill() -> list[tuple[object, ...]]:
        assert await tasks.adatabase_insert(shop, "t", [{"a": 3}]) == 1
        assert await tasks.adatabase_execute(shop, "UPDATE t SET a = :a", {"a": 7}) == 2
        return await tasks.adatabase_fetch("sqlite-database/shop", "SELECT a FROM t")

    assert fill() == [(2,)]
    assert asyncio.run(afill()) == [(7,), (7,)]
    assert isinstance(shop, DatabaseBlock)
    shop.close()
