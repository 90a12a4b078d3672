"""Queries of runs: their tag, their limits, how they are stopped, and what they cost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.services.snowflake import ACCOUNT, PASSWORD, USER, Snowflake

from flowstone import flow, task
from flowstone.context import current
from flowstone.context.external_work import find_open_handles, sum_measures
from flowstone.errors import (
    DatabaseError,
    DatabaseUnreachable,
    QueryCancelled,
    QueryInvalid,
    RunTimeout,
    TableMissing,
)
from flowstone.records.runs import RunQuery
from flowstone_snowflake import SnowflakeConnector, SnowflakeCredentials
from flowstone_snowflake.measures import find_measures, make_tag
from flowstone_snowflake.sessions import is_answered_at_once
from flowstone_testing.conformance.database.base import ENDLESS, Aside, until

PATIENCE = 20.0


def only_run_id() -> str:
    [run] = current.services().runs.runs(RunQuery(listed=True))
    return run.id


# ---------------------------------------------------------------- tags and limits


def test_a_tag_names_flow_task_and_run(database: SnowflakeConnector, emulated: Snowflake) -> None:
    database.query_tag = "nightly"
    marked = [f"SELECT {number} AS {database.database}" for number in range(3)]

    @task
    def load() -> None:
        database.fetch_all(marked[1])

    @flow
    def sales() -> None:
        database.fetch_all(marked[0])
        load()

    sales()
    database.fetch_all(marked[2])
    first, second, third = (
        emulated.find_queries(words, database.database)[0]["tag"] for words in marked
    )
    told = json.loads(first)
    assert (told["flow"], told["flow_run_id"], told["tag"]) == ("sales", only_run_id(), "nightly")
    assert "task" not in told
    told = json.loads(second)
    assert (told["flow"], told["task"]) == ("sales", "load")
    assert told["task_run_id"]
    assert third == "nightly"
    assert make_tag(None) is None


def test_the_server_s_limit_is_a_little_longer_than_the_run_s(
    database: SnowflakeConnector, emulated: Snowflake
) -> None:
    name = "STATEMENT_TIMEOUT_IN_SECONDS"

    @task(timeout_seconds=100)
    def limited(database: SnowflakeConnector, words: str) -> None:
        database.fetch_all(f"SELECT 1 AS {words}")

    @flow
    def run(own: SnowflakeConnector, off: SnowflakeConnector) -> None:
        limited(database, "limited")
        limited(own, "owned")
        limited(off, "unguarded")
        database.fetch_all("SELECT 1 AS unlimited")

    own = database.model_copy(update={"session_parameters": {name: 30}})
    off = database.model_copy(update={"cancel_on_kill": False})
    run(own, off)
    found = {
        words: emulated.find_queries(f"SELECT 1 AS {words}", database.database)[-1]["parameters"]
        for words in ("limited", "owned", "unguarded", "unlimited")
    }
    assert 100 < int(found["limited"][name]) <= 161
    assert found["owned"][name] == "30"
    assert name not in found["unguarded"]
    assert name not in found["unlimited"]
    assert found["limited"]["ABORT_DETACHED_QUERY"] is True
    assert "ABORT_DETACHED_QUERY" not in found["unguarded"]


# ---------------------------------------------------------------- stopped


def test_a_timeout_aborts_the_query(
    database: SnowflakeConnector, emulated: Snowflake, endless: str
) -> None:
    database.fetch_one("SELECT 1")

    @flow(timeout_seconds=1)
    def slow() -> None:
        database.fetch_all(endless)

    with pytest.raises(RunTimeout):
        slow()
    until(lambda: not find_running(emulated, endless), "the query has ended", PATIENCE)
    assert not find_open_handles(current.services().runs.run(only_run_id()))


def find_running(emulated: Snowflake, query: str) -> list[dict[str, Any]]:
    name = query.split("/*")[1].split(maxsplit=1)[0]
    return [each for each in emulated.find_queries(query, name) if each["running"]]


@pytest.fixture
def endless(database: SnowflakeConnector) -> str:
    """A query that runs for hours, and is this test's own."""
    return f"{ENDLESS} /* {database.database} */"


def test_a_query_is_cancelled_by_its_id(
    database: SnowflakeConnector, emulated: Snowflake, endless: str
) -> None:
    other = database.model_copy()
    query = Aside(lambda: database.fetch_all(endless))
    until(lambda: find_running(emulated, endless), "it runs", PATIENCE)
    [found] = find_running(emulated, endless)
    with other:
        other.driver_calls.cancel_by_id(found["id"])
        assert isinstance(query.join(PATIENCE).error, QueryCancelled)
        other.driver_calls.cancel_by_id(found["id"])  # it has ended
        other.driver_calls.cancel_by_id("00000000-0000-4000-8000-000000000000")
    assert database.fetch_one("SELECT 1") == (1,)


KILLED = """
import sys
from flowstone import flow
from flowstone_snowflake import SnowflakeConnector

@flow
def forever():
    SnowflakeConnector.load("warehouse").fetch_all(sys.argv[1])

forever()
"""


@pytest.mark.slow
def test_cleanup_ends_what_a_killed_process_left(
    database: SnowflakeConnector, emulated: Snowflake, endless: str, home: Path
) -> None:
    database.save("warehouse")
    environment = {**os.environ, "FLOWSTONE_HOME": str(home)}
    with subprocess.Popen([sys.executable, "-c", KILLED, endless], env=environment) as process:
        try:
            until(lambda: find_running(emulated, endless), "it runs", PATIENCE)
            run_id = only_run_id()
            find = current.services().runs.run
            until(lambda: find_open_handles(find(run_id)), "it is recorded", PATIENCE)
        finally:
            process.send_signal(signal.SIGKILL)
    assert find_running(emulated, endless)
    [work] = find_open_handles(find(run_id))
    assert (work.handle.kind, work.handle.block) == ("query", "snowflake-connector/warehouse")
    command = [str(Path(sys.executable).with_name("flowstone")), "run"]
    words = ""
    for word in ("cancel", "cleanup"):
        done = subprocess.run(
            [*command, word, run_id], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        words += done.stdout
    assert work.handle.id in words
    until(lambda: not find_running(emulated, endless), "the query has ended", PATIENCE)
    assert not find_open_handles(find(run_id))


# ---------------------------------------------------------------- sessions that end


def test_a_session_that_ended_is_opened_again(
    database: SnowflakeConnector, emulated: Snowflake
) -> None:
    database.execute("CREATE TABLE kept (id INTEGER)")
    emulated.end_sessions(database.database)
    assert database.execute("INSERT INTO kept VALUES (1)") == 1
    with (
        pytest.raises(DatabaseUnreachable, match="inside a transaction") as caught,
        database.transaction(),
    ):
        database.execute("INSERT INTO kept VALUES (2)")
        emulated.end_sessions(database.database)
        database.execute("INSERT INTO kept VALUES (3)")
    assert "Run the whole transaction again" in str(caught.value)
    assert database.fetch_all("SELECT id FROM kept") == [(1,)]


def test_a_query_that_runs_long_is_asked_for_again(
    database: SnowflakeConnector, emulated: Snowflake, endless: str
) -> None:
    database.session_parameters = {"TESTS_LONGEST_SECONDS": 0.05}
    database.poll_frequency_s = 0.01
    query = Aside(lambda: database.fetch_all(endless))
    until(
        lambda: any(each["asked"] > 2 for each in find_running(emulated, endless)),
        "it is asked for again",
        PATIENCE,
    )
    assert database.cancel() == 1
    assert isinstance(query.join(PATIENCE).error, QueryCancelled)


def test_a_query_outlives_its_session_and_is_not_run_twice(
    database: SnowflakeConnector, emulated: Snowflake, endless: str
) -> None:
    database.session_parameters = {"TESTS_LONGEST_SECONDS": 0.05}
    database.poll_frequency_s = 0.01
    query = Aside(lambda: database.fetch_all(endless))
    until(lambda: find_running(emulated, endless), "it runs", PATIENCE)
    [before] = find_running(emulated, endless)
    emulated.end_sessions(database.database)
    until(
        lambda: find_running(emulated, endless)[0]["asked"] > before["asked"] + 2,
        "it is asked for by another session",
        PATIENCE,
    )
    assert len(emulated.find_queries(endless, database.database)) == 1
    assert database.cancel() == 1
    assert isinstance(query.join(PATIENCE).error, QueryCancelled)


# ---------------------------------------------------------------- transactions and DDL


def test_ddl_commits_no_transaction_of_ours(
    database: SnowflakeConnector, emulated: Snowflake
) -> None:
    database.execute("CREATE TABLE kept (id INTEGER)")
    with pytest.raises(ZeroDivisionError), database.transaction():
        database.execute("INSERT INTO kept VALUES (1)")
        driver = database.driver_calls.driver
        assert driver.syntax.blocks
        with pytest.raises(DatabaseError, match="temporary table") as caught:
            database.upsert("kept", [{"id": 1}], "id")
        assert "Call `upsert` first" in str(caught.value)
        # The emulator shows new tables of other sessions only to new transactions.
        with pytest.raises(TableMissing):
            database.insert("made", [{"id": 1}], create=True)
        raise ZeroDivisionError
    assert database.fetch_all("SELECT id FROM kept") == []
    assert database.fetch_all("SELECT id FROM made") == []
    sessions = {
        each["session"] for each in emulated.find_queries('IF NOT EXISTS "MADE"', database.database)
    }
    others = {
        each["session"] for each in emulated.find_queries("INSERT INTO kept", database.database)
    }
    assert sessions.isdisjoint(others)


def test_a_first_upsert_in_a_transaction_can_be_taken_back(database: SnowflakeConnector) -> None:
    database.execute("CREATE TABLE kept (id INTEGER, name VARCHAR)")
    with pytest.raises(ZeroDivisionError), database.transaction():
        database.upsert("kept", [{"id": 1, "name": "a"}], "id")
        raise ZeroDivisionError
    assert database.fetch_all("SELECT * FROM kept") == []
    found = database.fetch_all("SHOW TABLES")
    assert not [row for row in found if "FLOWSTONE" in str(row)]


# ---------------------------------------------------------------- cost


def test_what_a_query_costs_is_measured(database: SnowflakeConnector, emulated: Snowflake) -> None:
    """The numbers are those that the emulator answers in the form that is documented."""

    @flow
    def sales() -> None:
        database.execute("CREATE TABLE kept (id INTEGER)")
        database.execute("INSERT INTO kept VALUES (1), (2)")
        assert len(database.fetch_all("SELECT * FROM kept")) == 2

    sales()
    found = {name: value for name, (value, _) in sum_measures(only_run_id()).items()}
    units = {name: unit for name, (_, unit) in sum_measures(only_run_id()).items()}
    assert (found["rows_written"], found["rows_read"]) == (2, 2)
    assert found["bytes_scanned"] == 3 * 4096
    assert found["run_seconds"] == pytest.approx(3 * 0.9)
    assert found["queue_seconds"] == pytest.approx(3 * 0.5)
    assert found["credits_estimated"] == pytest.approx(3 * 4 * 0.9 / 3600)
    assert found["credits_of_cloud_services"] == pytest.approx(3 * 0.000012)
    assert units["credits_estimated"] == "credits"


def test_cost_is_not_looked_up_outside_of_runs_or_where_it_is_off(
    database: SnowflakeConnector, emulated: Snowflake
) -> None:
    database.fetch_all("SELECT 1")
    off = database.model_copy(update={"measures_cost": False})

    @flow
    def run(off: SnowflakeConnector) -> None:
        off.fetch_all("SELECT 1")

    run(off)
    assert emulated.find_queries("SELECT 1", database.database)
    assert not emulated.find_queries("QUERY_HISTORY_BY_SESSION", database.database)


def test_sizes_of_unknown_price_have_no_estimate() -> None:
    found = find_measures({"EXECUTION_TIME": 1000, "WAREHOUSE_SIZE": "7X-Large"})
    assert "credits_estimated" not in found
    assert found["run_seconds"] == 1


def test_queries_without_a_warehouse_cost_nothing() -> None:
    found = find_measures({"EXECUTION_TIME": 1000, "WAREHOUSE_SIZE": None, "BYTES_SCANNED": None})
    assert found["credits_estimated"] == found["bytes_scanned"] == 0
    assert found["run_seconds"] == 1


# ---------------------------------------------------------------- scripts


def test_a_script_is_split_as_snowflake_reads_it(database: SnowflakeConnector) -> None:
    script = r"""
    CREATE PROCEDURE a() RETURNS STRING LANGUAGE JAVASCRIPT AS $$ var x = 1; return "a;b"; $$;
    BEGIN LET x INT := 1; RETURN x; END;
    SELECT 'it\'s; quoted' // a comment; with a semicolon
    ; BEGIN; DELETE FROM a; COMMIT;
    """
    found = database.driver_calls.driver.split_script(script)
    assert [each.split()[0] for each in found] == [
        "CREATE", "BEGIN", "SELECT", "BEGIN", "DELETE", "COMMIT",
    ]  # fmt: skip
    assert database.execute_script(
        "CREATE TABLE s (a INT); INSERT INTO s VALUES (1), (2); // none;\nDELETE FROM s"
    ) == [0, 2, 2]


def test_a_block_of_statements_is_no_transaction() -> None:
    for alone in ("BEGIN", "-- a\nBEGIN TRANSACTION;", "// a\nbegin work", "BEGIN NAME t1"):
        assert is_answered_at_once(alone)
    for other in ("BEGIN LET x INT := 1; RETURN x; END", "BEGIN SELECT 1; END", "SETTLE", ""):
        assert not is_answered_at_once(other)


def test_a_syntax_error_has_its_place(database: SnowflakeConnector) -> None:
    with pytest.raises(QueryInvalid) as caught:
        database.fetch_all("SELECT 1,\n  nope FROM (SELECT 2 AS b)")
    assert "code 000904" in str(caught.value)
    with pytest.raises(QueryInvalid, match="line 1, column"):
        database.fetch_all("SELECT 1 FRM x y z")


def test_the_access_has_what_others_need(login: SnowflakeCredentials, emulated: Snowflake) -> None:
    access = SnowflakeConnector(
        credentials=login, database="SALES", warehouse="LOADING", schema_="PUBLIC", role="R"
    ).access()
    assert (access.dialect, access.database, access.user) == ("snowflake", "SALES", USER)
    assert access.options["account"] == ACCOUNT
    assert access.options["warehouse"] == "LOADING"
    assert access.reveal("password") == PASSWORD
    assert PASSWORD not in repr(access)
    assert access.options["protocol"] == "http"
    assert (access.host, access.port) == ("127.0.0.1", urlsplit(login.server_url).port)
