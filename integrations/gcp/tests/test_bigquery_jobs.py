"""Jobs of BigQuery: none runs twice, none is lost, each is measured."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pytest
from tests.services.bigquery_jobs import HELD, Jobs

from flowstone import flow, task
from flowstone.blocks.databases.driver import ARROW_BATCH
from flowstone.bootstrap import open_services
from flowstone.context.current import Services, use_services
from flowstone.context.external_work import (
    find_open_handles,
    read_handles,
    record_external_start,
    sum_measures,
)
from flowstone.errors import (
    DatabaseBusy,
    DatabaseDenied,
    DatabaseError,
    QueryCancelled,
    QueryInvalid,
    RowsInvalid,
    RunTimeout,
    TableMissing,
)
from flowstone.records.runs import Run, RunQuery
from flowstone.runtime import task_run
from flowstone.settings import Settings
from flowstone.testing import memory_services
from flowstone_gcp import BigQueryWarehouse
from flowstone_gcp.bigquery_driver import BigQueryDriver
from flowstone_gcp.bigquery_jobs import forget_counts
from flowstone_testing.conformance.database.base import Aside, until

PATIENCE = 20.0
ENDLESS = f"SELECT COUNT(*) FROM UNNEST({HELD}) AS a, UNNEST({HELD}) AS b WHERE MOD(a * b, 7) = 3"
ROWS = pa.table({"id": [1, 2], "name": ["a", None]})


@pytest.fixture(autouse=True)
def services(tmp_path: Path) -> Iterator[Services]:
    current = memory_services(tmp_path / "home")
    with use_services(current), closing(current):
        yield current


@pytest.fixture
def items(warehouse: BigQueryWarehouse, jobs: Jobs) -> BigQueryWarehouse:
    warehouse.execute("CREATE TABLE items (id INT64, name STRING)")
    jobs.started.clear()
    return warehouse


def find_root(services: Services) -> Run:
    """Return the run of the only flow."""
    services.journal.flush()
    [root] = services.runs.runs(RunQuery(listed=True))
    return root


def count(warehouse: BigQueryWarehouse) -> int:
    found = warehouse.fetch_one("SELECT COUNT(*) FROM items")
    assert found is not None
    return int(found[0])


class TestIds:
    def test_they_name_the_run_and_the_attempt(self, items: BigQueryWarehouse, jobs: Jobs) -> None:
        @task(name="Load orders!")
        def load() -> str:
            items.execute("UPDATE items SET name = 'x' WHERE id = 1")
            items.execute("UPDATE items SET name = 'x' WHERE id = 1")
            return str(task_run.id)

        @flow(name="Orders: daily")
        def run() -> str:
            return load()

        run_id = run()
        assert [name.rpartition("_")[2] for name in jobs.started] == ["1", "2"]
        assert all(name.startswith(f"flowstone_{run_id}_1_") for name in jobs.started)
        assert jobs.configuration(jobs.started[0])["labels"] == {
            "flowstone_flow": "orders-daily",
            "flowstone_task": "load-orders-",
            "flowstone_run": run_id,
        }

    def test_they_are_unique_outside_of_a_run(self, items: BigQueryWarehouse, jobs: Jobs) -> None:
        assert items.execute("UPDATE items SET name = 'x' WHERE true") == 0
        assert items.execute("UPDATE items SET name = 'x' WHERE true") == 0
        assert len(set(jobs.started)) == 2


class TestLostAnswers:
    """The endpoint starts the job, and closes the connection without an answer."""

    def test_a_statement_runs_once(self, items: BigQueryWarehouse, jobs: Jobs) -> None:
        jobs.lose = 1
        assert items.execute("INSERT INTO items VALUES (1, 'a')") == 1
        assert len(jobs.started) == 1
        assert jobs.refused == jobs.started
        assert count(items) == 1

    def test_rows_are_loaded_once(self, items: BigQueryWarehouse, jobs: Jobs) -> None:
        jobs.lose = 1
        assert items.insert("items", ROWS) == 2
        assert len(jobs.started) == 1
        assert count(items) == 2

    def test_a_job_is_found_where_its_data_is(self, items: BigQueryWarehouse, jobs: Jobs) -> None:
        items.location = "europe-west1"
        jobs.lose = 1
        assert items.execute("INSERT INTO items VALUES (1, 'a')") == 1
        [job_id] = jobs.started
        assert jobs.known[job_id]["jobReference"]["location"] == "europe-west1"

    def test_a_job_without_a_dataset_is_found_by_what_it_is_refused_for(
        self, items: BigQueryWarehouse, jobs: Jobs
    ) -> None:
        dataset, items.dataset = items.dataset, None
        jobs.location, jobs.lose = "asia-east1", 1
        assert items.execute(f"INSERT INTO {dataset}.items VALUES (1, 'a')") == 1
        assert len(jobs.started) == 1


class TestLocation:
    def test_it_is_that_of_the_dataset(self, warehouse: BigQueryWarehouse, jobs: Jobs) -> None:
        client = warehouse.get_client()
        from google.cloud.bigquery import Dataset

        name = f"flowstone_{uuid4().hex[:16]}"
        there = Dataset(f"{client.project}.{name}")
        there.location = "europe-west3"
        client.create_dataset(there)
        try:
            with warehouse.model_copy(update={"dataset": name}) as other:
                other.execute("CREATE TABLE items (id INT64, name STRING)")
                other.insert("items", ROWS)
                warehouse.insert(f"{name}.items", ROWS)
                found = [jobs.known[job_id]["jobReference"] for job_id in jobs.started]
                assert {each["location"] for each in found} == {"europe-west3"}
                with pytest.raises(TableMissing, match="nowhere"):
                    warehouse.insert("nowhere.items", ROWS)
        finally:
            client.delete_dataset(name, delete_contents=True)


class TestRetries:
    def test_a_retry_does_not_meet_the_job_that_failed(
        self, items: BigQueryWarehouse, jobs: Jobs
    ) -> None:
        jobs.failure = {"reason": "backendError", "message": "Try again"}

        @task(retries=1)
        def add() -> int:
            return items.execute("INSERT INTO items VALUES (1, 'a')")

        @flow
        def run() -> int:
            return add()

        assert run() == 1
        one, two = jobs.started
        assert one.replace("_1_", "_2_") == two
        assert count(items) == 1

    @pytest.mark.parametrize("repeated", [1, ARROW_BATCH], ids=["one part", "parts"])
    def test_a_retry_does_not_load_again_what_was_loaded(
        self, items: BigQueryWarehouse, jobs: Jobs, repeated: int
    ) -> None:
        size = 2 * repeated
        rows = pa.concat_tables([ROWS] * repeated).combine_chunks()
        tries: list[int] = []

        @task(retries=1)
        def load() -> int:
            found = items.insert("items", iter(rows.to_batches(max_chunksize=ARROW_BATCH)))
            tries.append(found)
            if len(tries) == 1:
                raise ZeroDivisionError
            return found

        @flow
        def run() -> int:
            return load()

        assert run() == size
        assert len(jobs.started) == 1
        assert count(items) == size

    def test_a_retry_loads_other_rows(self, items: BigQueryWarehouse, jobs: Jobs) -> None:
        tries: list[int] = []

        @task(retries=1)
        def load() -> int:
            tries.append(1)
            found = items.insert("items", [{"id": len(tries), "name": "a"}])
            if len(tries) == 1:
                raise ZeroDivisionError
            return found

        @flow
        def run() -> int:
            return load()

        assert run() == 1
        assert len(jobs.started) == 2
        assert items.fetch_all("SELECT id FROM items ORDER BY id") == [(1,), (2,)]

    def test_a_query_that_is_kept_is_waited_for_by_the_retry(
        self, warehouse: BigQueryWarehouse, jobs: Jobs
    ) -> None:
        warehouse.cancel_on_kill = False

        @task(retries=1)
        def ask() -> object:
            if task_run.run_count == 1:
                leave_running(warehouse, ENDLESS)
                raise ZeroDivisionError
            return warehouse.fetch_all(ENDLESS)

        @flow
        def run() -> object:
            return ask()

        running = Aside(run)
        until(lambda: jobs.started and jobs.waits, "the retry waits", PATIENCE)
        [job_id] = jobs.started
        jobs.release(job_id, "SELECT 7")
        assert running.join(PATIENCE).value == [(7,)]
        assert not jobs.cancelled
        assert jobs.started == [job_id]

    def test_a_query_of_a_process_that_was_killed_is_asked_anew_in_the_same_attempt(
        self, warehouse: BigQueryWarehouse, jobs: Jobs
    ) -> None:
        @flow
        def run() -> object:
            jobs.failure = {"reason": "backendError", "message": "it failed"}
            leave_running(warehouse, "SELECT 7")
            forget_counts()
            return warehouse.fetch_all("SELECT 7")

        assert run() == [(7,)]
        assert len(jobs.started) == 2


def leave_running(warehouse: BigQueryWarehouse, statement: str) -> None:
    """Start a query as a process does that is killed before it waits."""
    driver = warehouse.driver_calls.driver
    assert isinstance(driver, BigQueryDriver)
    driver.session.runner.submit(driver.session.plan_query(statement))


class TestCancelling:
    def test_a_handle_is_recorded_before_anybody_waits(
        self, warehouse: BigQueryWarehouse, jobs: Jobs, services: Services
    ) -> None:
        @task
        def ask() -> None:
            warehouse.fetch_all(ENDLESS)

        @flow
        def run() -> None:
            ask()

        running = Aside(run)
        until(lambda: jobs.started, "the query is held", PATIENCE)
        until(lambda: [w for w, _ in read_handles(find_root(services).id)], "a handle", PATIENCE)
        root = find_root(services)
        [(work, has_ended)] = read_handles(root.id)
        [job_id] = jobs.started
        project = warehouse.get_client().project
        assert (work.handle.kind, has_ended) == ("query", False)
        assert work.handle.id == f"{project}:US.{job_id}"
        with warehouse.model_copy() as fresh:
            fresh.cancel_external(work.handle)
        assert isinstance(running.join(PATIENCE).error, QueryCancelled)
        assert not find_open_handles(find_root(services))
        with warehouse.model_copy() as fresh:
            fresh.cancel_external(work.handle)  # it has ended, and is left alone
            fresh.cancel_external(record_external_start("query", "bigquery", "p:EU.unknown"))

    def test_a_timeout_stops_the_query_and_guards_it(
        self, warehouse: BigQueryWarehouse, jobs: Jobs
    ) -> None:
        @task(timeout_seconds=0.3)
        def ask() -> None:
            warehouse.fetch_all(ENDLESS)

        @flow
        def run() -> None:
            with pytest.raises(RunTimeout):
                ask.submit().result()

        Aside(run).join(PATIENCE).check()
        [job_id] = jobs.started
        assert set(jobs.cancelled) == {job_id}
        assert 10_000 < int(jobs.configuration(job_id)["jobTimeoutMs"]) <= 10_300

    def test_there_is_no_guard_without_a_timeout(
        self, items: BigQueryWarehouse, jobs: Jobs
    ) -> None:
        items.execute("UPDATE items SET name = 'x' WHERE true")
        assert "jobTimeoutMs" not in jobs.configuration(jobs.started[0])


class TestMeasures:
    def test_a_query_is_measured(
        self, items: BigQueryWarehouse, jobs: Jobs, services: Services
    ) -> None:
        jobs.statistics = {
            "creationTime": "1700000000000",
            "startTime": "1700000001500",
            "endTime": "1700000003500",
            "query": {
                "totalSlotMs": "1234",
                "totalBytesProcessed": "1000",
                "totalBytesBilled": "10485760",
                "cacheHit": True,
            },
        }

        @flow
        def run() -> None:
            items.execute("INSERT INTO items VALUES (1, 'a'), (2, 'b')")
            items.fetch_all("SELECT * FROM items")

        run()
        assert sum_measures(find_root(services).id) == {
            "bytes_processed": (2000, "bytes"),
            "bytes_billed": (2 * 10485760, "bytes"),
            "slot_milliseconds": (2468, "slot_milliseconds"),
            "cache_hits": (2, "cache_hits"),
            "queue_seconds": (3.0, "seconds"),
            "run_seconds": (4.0, "seconds"),
            "rows_written": (2, "rows"),
            "rows_read": (2, "rows"),
        }

    def test_a_query_that_fails_is_measured(
        self, warehouse: BigQueryWarehouse, jobs: Jobs, services: Services
    ) -> None:
        jobs.failure = {"reason": "resourcesExceeded", "message": "Too much"}

        @flow
        def run() -> None:
            with pytest.raises(DatabaseError, match="resourcesExceeded"):
                warehouse.fetch_all("SELECT 1")

        run()
        assert sum_measures(find_root(services).id)["run_seconds"] == (2.0, "seconds")


#: By what BigQuery says: https://cloud.google.com/bigquery/docs/error-messages
REFUSALS: list[tuple[str, str, type[DatabaseError], str]] = [
    ("accessDenied", "Access Denied: Dataset p:d", DatabaseDenied, "roles/bigquery"),
    ("quotaExceeded", "Quota exceeded: Your project exceeded quota", DatabaseBusy, "quota"),
    ("rateLimitExceeded", "Exceeded rate limits", DatabaseBusy, "Try again later"),
    (
        "bytesBilledLimitExceeded",
        "Query exceeded limit for bytes billed: 1000. 10485760 or higher required.",
        DatabaseError,
        "maximum_bytes_billed",
    ),
    ("resourcesExceeded", "Resources exceeded", DatabaseError, "split the query"),
    ("responseTooLarge", "Response too large to return", DatabaseError, "Write the result"),
    ("billingNotEnabled", "Billing has not been enabled", DatabaseDenied, "Enable billing"),
    ("notFound", "Not found: Table p:d.t was not found", TableMissing, "dataset"),
    ("duplicate", "Already Exists: Table p:d.t", QueryInvalid, "IF NOT EXISTS"),
    ("stopped", "Job execution was cancelled", QueryCancelled, "again"),
    ("invalidQuery", 'Syntax error: Unexpected "b" at [1:8]', QueryInvalid, "Fix"),
    ("invalid", "Error while reading data, error message: bad row", RowsInvalid, "nothing was"),
    ("backendError", "Backend error", DatabaseError, "try again"),
]


@pytest.mark.parametrize(("reason", "message", "kind", "remedy"), REFUSALS)
def test_what_bigquery_refuses_is_told(
    warehouse: BigQueryWarehouse,
    jobs: Jobs,
    reason: str,
    message: str,
    kind: type[DatabaseError],
    remedy: str,
) -> None:
    jobs.failure = {"reason": reason, "message": message}
    with pytest.raises(kind) as caught:
        warehouse.fetch_all("SELECT b")
    assert reason in str(caught.value)
    assert remedy in str(caught.value)
    if " at [" in message:
        assert caught.value.position == 7


def test_values_of_rows_are_in_no_error(warehouse: BigQueryWarehouse, jobs: Jobs) -> None:
    for message in (
        "Bad int64 value: canary-7",
        "Invalid date: 'canary-7'",
        'Could not parse "canary-7" as double',
        'Could not cast literal "canary-7" to type DATE at [1:8]',
    ):
        jobs.failure = {"reason": "invalidQuery", "message": message}
        with pytest.raises(QueryInvalid) as caught:
            warehouse.fetch_all("SELECT CAST(code AS INT64) FROM items")
        assert "canary" not in str(caught.value)


PROGRAM = """
from flowstone import flow
from flowstone_gcp import BigQueryWarehouse

@flow
def run():
    BigQueryWarehouse.load("held").fetch_all({statement!r})

run()
"""


def test_what_a_killed_process_left_running_is_cleaned_up(
    warehouse: BigQueryWarehouse, jobs: Jobs, tmp_path: Path
) -> None:
    environment = {**os.environ, "FLOWSTONE_HOME": str(tmp_path / "killed")}
    with use_services(open_services(Settings(home=tmp_path / "killed"))) as kept, closing(kept):
        warehouse.save("held")
        program = PROGRAM.format(statement=ENDLESS)
        with subprocess.Popen([sys.executable, "-c", program], env=environment) as process:
            try:
                until(lambda: jobs.waits, "the query is held", 60)
            finally:
                process.kill()
        [job_id] = jobs.started
        [root] = kept.runs.runs(RunQuery(listed=True))
        assert jobs.cancelled == []
    done = subprocess.run(
        [sys.executable, "-m", "flowstone", "run", "cleanup", root.id],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert job_id in done.stdout
    assert jobs.cancelled == [job_id]
    assert jobs.known[job_id]["status"]["errorResult"]["reason"] == "stopped"
