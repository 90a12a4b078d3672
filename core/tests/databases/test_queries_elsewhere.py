"""Queries of a service that go on after their process: recorded, and cancelled by their ids."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from typing import Any, ClassVar

import pytest
from click.testing import CliRunner

from flowstone import flow, task
from flowstone.blocks import SqliteDatabase
from flowstone.blocks.databases import SqliteDriver
from flowstone.blocks.databases.sqlite import SqliteConnection
from flowstone.cli.app import flowstone
from flowstone.context.current import Services
from flowstone.context.deadlines import seconds_left
from flowstone.context.external_work import find_open_handles, sum_measures
from flowstone.errors import DatabaseError
from flowstone.flow_runs import cleanup_flow_run
from flowstone.records.runs import Run, RunQuery


class Service:
    """What a warehouse remembers: ids of queries, those that were cancelled, limits."""

    begun: ClassVar[list[str]] = []
    cancelled: ClassVar[list[str]] = []
    limits: ClassVar[list[float | None]] = []
    #: Never cleared: one that is collected ends as a wait that failed, and cancels its query.
    left: ClassVar[list[object]] = []
    fails: ClassVar[bool] = False
    down: ClassVar[bool] = False


@pytest.fixture(autouse=True)
def service() -> type[Service]:
    Service.begun.clear()
    Service.cancelled.clear()
    Service.limits.clear()
    Service.fails = Service.down = False
    return Service


class ServiceDriver(SqliteDriver):
    """A database whose queries have ids."""

    cancels_by_id = True

    def execute(
        self, connection: SqliteConnection, operation: str, values: Sequence[object]
    ) -> int:
        query_id = f"query-{len(Service.begun)}"
        Service.begun.append(query_id)
        Service.limits.append(seconds_left())
        if operation.startswith("UPDATE") and not Service.cancelled:
            self._leave(query_id)
        with self.record_query(query_id):
            if Service.fails:
                raise sqlite3.OperationalError("the connection was lost")
            return super().execute(connection, operation, values)

    def _leave(self, query_id: str) -> None:
        recording = self.record_query(query_id)
        recording.__enter__()
        Service.left.append(recording)
        raise sqlite3.OperationalError("the process ended")

    def cancel_by_id(self, query_id: str) -> None:
        if Service.down:
            raise sqlite3.OperationalError("unable to open database file")
        Service.cancelled.append(query_id)


class ServiceDatabase(SqliteDatabase):
    """A database whose queries have ids."""

    def make_driver(self) -> SqliteDriver:
        return ServiceDriver(self.path)


@pytest.fixture
def database(services: Services) -> Any:
    with ServiceDatabase() as database:
        database.save("warehouse")
        yield database


def only_run(services: Services) -> Run:
    [run] = services.runs.runs(RunQuery(listed=True))
    return run


def leave_a_query(database: ServiceDatabase) -> None:
    @flow
    def leave() -> None:
        database.execute("CREATE TABLE IF NOT EXISTS a (x INTEGER)")
        database.execute("UPDATE a SET x = 1")

    assert leave(return_state=True).is_failed()


def test_a_query_that_ended_leaves_nothing(services: Services, database: ServiceDatabase) -> None:
    @flow
    def query() -> None:
        database.execute("CREATE TABLE a (x INTEGER)")

    query()
    assert Service.begun == ["query-0"]
    assert not find_open_handles(only_run(services))
    assert not Service.cancelled


def test_a_query_whose_wait_failed_is_cancelled(
    services: Services, database: ServiceDatabase
) -> None:
    Service.fails = True

    @flow
    def query() -> None:
        database.execute("CREATE TABLE a (x INTEGER)")

    assert query(return_state=True).is_failed()
    assert Service.cancelled == ["query-0"]
    assert not find_open_handles(only_run(services))


def test_an_error_is_raised_also_where_its_query_can_not_be_cancelled(
    services: Services, database: ServiceDatabase
) -> None:
    Service.fails = Service.down = True

    @flow
    def query() -> None:
        database.execute("CREATE TABLE a (x INTEGER)")

    state = query(return_state=True)
    assert "the connection was lost" in str(state.message)
    [work] = find_open_handles(only_run(services))
    assert work.handle.id == "query-0"
    Service.down = False
    assert [cleanup.error for cleanup in cleanup_flow_run(only_run(services).id)] == [None]


def test_cleanup_cancels_what_was_left(services: Services, database: ServiceDatabase) -> None:
    leave_a_query(database)
    run = only_run(services)
    [work] = find_open_handles(run)
    assert (work.handle.kind, work.handle.id) == ("query", "query-1")
    assert work.handle.block == "service-database/warehouse"
    Service.down = True
    [cleanup] = cleanup_flow_run(run.id)
    assert isinstance(cleanup.error, DatabaseError)
    Service.down = False
    found = CliRunner().invoke(flowstone, ["run", "cleanup", run.id])
    assert found.exit_code == 0, found.output
    assert "query-1" in found.output
    assert Service.cancelled == ["query-1"]
    assert not find_open_handles(run)


def test_a_retry_cancels_what_the_attempt_before_left(
    services: Services, database: ServiceDatabase
) -> None:
    @task(retries=1)
    def update() -> int:
        return database.execute("UPDATE a SET x = 1")

    @flow
    def retry() -> int:
        database.execute("CREATE TABLE a (x INTEGER)")
        return update()

    assert retry() == 0
    assert Service.cancelled == ["query-1"]
    assert Service.begun == ["query-0", "query-1", "query-2"]
    assert not find_open_handles(only_run(services))


def test_queries_outside_of_runs_are_not_recorded(database: ServiceDatabase) -> None:
    assert database.execute("CREATE TABLE a (x INTEGER)") == 0
    assert Service.begun == ["query-0"]


def test_a_database_without_ids_says_so(services: Services) -> None:
    with SqliteDatabase() as plain, pytest.raises(DatabaseError, match="by its id"):
        plain.driver_calls.cancel_by_id("1")


def test_the_driver_knows_the_run_from_any_thread(
    services: Services, database: ServiceDatabase
) -> None:
    from flowstone import record_measures

    class Measuring(ServiceDriver):
        def execute(
            self, connection: SqliteConnection, operation: str, values: Sequence[object]
        ) -> int:
            record_measures(rows_read=2)
            assert threading.current_thread() is not threading.main_thread()
            return super().execute(connection, operation, values)

    class MeasuringDatabase(ServiceDatabase):
        def make_driver(self) -> SqliteDriver:
            return Measuring(self.path)

    @task
    def measure(measuring: MeasuringDatabase) -> None:
        measuring.execute("SELECT 1")

    @flow
    def run(measuring: MeasuringDatabase) -> None:
        measuring.execute("SELECT 1")
        measure.submit(measuring).result()

    with MeasuringDatabase() as measuring:
        run(measuring)
    assert sum_measures(only_run(services).id) == {"rows_read": (4, "rows")}


def test_the_driver_knows_how_long_it_may_take(
    services: Services, database: ServiceDatabase
) -> None:
    @task(timeout_seconds=50)
    def inner() -> None:
        database.execute("CREATE TABLE a (x INTEGER)")

    @task(timeout_seconds=500)
    def longer_than_its_flow() -> None:
        database.execute("CREATE TABLE b (x INTEGER)")

    @flow(timeout_seconds=100)
    def outer() -> None:
        inner()
        longer_than_its_flow()

    outer()
    database.execute("CREATE TABLE c (x INTEGER)")
    first, second, third = Service.limits
    assert first is not None
    assert 0 < first <= 50
    assert second is not None
    assert 50 < second <= 100
    assert third is None
