"""dbt ends with its run, and its queries end before anything else starts."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

import psycopg
import pytest
from tests.services.dbt_projects import write_project

from flowstone import flow, task
from flowstone.context import current
from flowstone.context.external_work import read_handles
from flowstone.records.runs import RunQuery
from flowstone_dbt import DbtError, DbtProject, DbtRunner
from flowstone_sqlalchemy import SqlAlchemyConnector
from flowstone_testing.conformance.database.base import until

from .conftest import list_nodes, run_in_flow

ENDLESS = (
    "{{ config(materialized='table') }} "
    "select count(*) as n from range(100000000000) a, {{ ref('items') }} b"
)
PATIENCE = 60


def find_pids() -> list[int]:
    """Return the dbt processes of runs that have not ended."""
    services = current.services()
    services.journal.flush()
    runs = services.runs.runs(RunQuery(listed=True))
    handles = [work.handle for run in runs for work, ended in read_handles(run.id) if not ended]
    return [int(handle.id.split("/")[1]) for handle in handles]


def is_running(pid: int) -> bool:
    found = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout
    return bool(found) and not found.startswith("Z")


def has_started(shop: Path, node: str) -> bool:
    """Return whether dbt has compiled a model, which it does before running it."""
    return any((shop / "target/.flowstone").rglob(f"run/shop/models/{node}.sql"))


@pytest.fixture
def endless(shop: Path) -> DbtRunner:
    write_project(shop, {"models/endless.sql": ENDLESS})
    return DbtRunner(DbtProject(project_dir=shop, profiles_dir=shop))


def test_a_process_that_is_killed(shop: Path, endless: DbtRunner) -> None:
    errors: list[str] = []

    def kill() -> None:
        until(lambda: has_started(shop, "endless"), "the model runs", PATIENCE)
        os.kill(find_pids()[0], signal.SIGKILL)

    def work() -> None:
        services = current.services()
        killer = threading.Thread(target=lambda: in_services(services, kill))
        killer.start()
        try:
            endless.invoke(["build"], select="+endless")
        except DbtError as error:
            errors.append(str(error))
            raise
        finally:
            killer.join()

    root = run_in_flow(work)
    assert root.state.name == "Failed"
    assert "the process of dbt was killed by SIGKILL" in errors[0]
    states = {run.name: run.state.name for run in list_nodes(root)}
    assert states == {"items": "Completed", "endless": "Crashed"}
    assert find_pids() == []


def in_services(services: object, work: object) -> None:
    assert callable(work)
    with current.use_services(services):  # type: ignore[arg-type]
        work()


@pytest.mark.check
def test_a_timeout_ends_dbt_before_the_retry(shop: Path, endless: DbtRunner) -> None:
    running: list[int] = []
    pids: list[int] = []

    @task(timeout_seconds=8, retries=1)
    def build() -> None:
        running.append(sum(is_running(pid) for pid in pids))
        services = current.services()

        def watch() -> None:
            until(lambda: find_pids() or stop.is_set(), "dbt has started", PATIENCE)
            pids.extend(find_pids())

        stop = threading.Event()
        watcher = threading.Thread(target=lambda: in_services(services, watch))
        watcher.start()
        try:
            endless.invoke(["build"], select="+endless")
        finally:
            stop.set()
            watcher.join()

    root = run_in_flow(build)
    assert not root.state.is_completed()
    assert running == [0, 0]
    assert pids
    assert not any(map(is_running, pids))
    ends = [run.state.name for run in list_nodes(root) if run.name == "endless"]
    assert set(ends) <= {"Cancelled"}
    assert [run.name for run in list_nodes(root)].count("items") <= 1


def test_a_coroutine_that_is_cancelled_ends_dbt(shop: Path, endless: DbtRunner) -> None:
    pids: list[int] = []

    @flow
    async def main() -> None:
        running = asyncio.ensure_future(endless.ainvoke(["build"], select="+endless"))
        await asyncio.to_thread(until, lambda: has_started(shop, "endless"), "it runs", PATIENCE)
        pids.extend(find_pids())
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert not any(map(is_running, pids))

    asyncio.run(main())
    assert len(pids) == 1


PROGRAM = """
from flowstone import flow
from flowstone_dbt import DbtProject, DbtRunner

@flow(flow_run_name="builds")
def build():
    DbtRunner(DbtProject.load("shop")).invoke(["build"], select="+endless")

if __name__ == "__main__":
    build()
"""


def start(home: Path) -> subprocess.Popen[bytes]:
    program = home.parent / "builds.py"
    program.write_text(PROGRAM, "utf-8")
    env = {**os.environ, "FLOWSTONE_HOME": str(home)}
    return subprocess.Popen([sys.executable, str(program)], env=env)


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGKILL,
        pytest.param(signal.SIGTERM, marks=pytest.mark.check),
        pytest.param(signal.SIGINT, marks=pytest.mark.check),
    ],
)
def test_no_query_is_left_when_a_flow_is_killed(
    tmp_path: Path, home: Path, postgres: str, number: signal.Signals
) -> None:
    """dbt notices that its flow's process has exited, and PostgreSQL cancels the query."""
    mark = f"/* {token_hex(8)} */"
    endless = (
        "{{ config(materialized='table') }} "
        f"select {mark} pg_sleep(3600)::text as slept, i.* from {{{{ ref('items') }}}} i"
    )
    shop = write_project(
        tmp_path / "shop", {"models/endless.sql": endless, "seeds/items.csv": "id\n1\n"}
    )
    schema = f"dbt_{token_hex(4)}"
    DbtProject(
        project_dir=shop, database=SqlAlchemyConnector(connection_info=postgres), schema_=schema
    ).save("shop")
    with psycopg.connect(postgres, autocommit=True) as connection:

        def count() -> int:
            asked = (
                "SELECT count(*) FROM pg_stat_activity "
                "WHERE state = 'active' AND pid <> pg_backend_pid() AND strpos(query, %s) > 0"
            )
            found = connection.execute(asked, [mark]).fetchone()
            assert found is not None
            return int(found[0])

        with start(home) as process:
            until(lambda: count() or process.poll() is not None, "the query runs", PATIENCE)
            assert count() == 1
            process.send_signal(number)
            process.wait()
        until(lambda: count() == 0, "the query has ended", PATIENCE)


def test_no_query_of_one_attempt_is_left_when_the_next_begins(
    tmp_path: Path, home: Path, postgres: str
) -> None:
    mark = f"/* {token_hex(8)} */"
    endless = (
        "{{ config(materialized='table') }} "
        f"select {mark} pg_sleep({{{{ var('seconds') }}}})::text as slept"
    )
    shop = write_project(tmp_path / "shop", {"models/endless.sql": endless})
    database = SqlAlchemyConnector(connection_info=postgres)
    project = DbtProject(project_dir=shop, database=database, schema_=f"dbt_{token_hex(4)}")
    counts: list[int] = []

    def count() -> int:
        asked = (
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE state = 'active' AND pid <> pg_backend_pid() AND strpos(query, %s) > 0"
        )
        with psycopg.connect(postgres, autocommit=True) as connection:
            found = connection.execute(asked, [mark]).fetchone()
        assert found is not None
        return int(found[0])

    @task(retries=1)
    async def build() -> None:
        counts.append(count())
        seconds = 0 if len(counts) == 2 else 3600
        running = asyncio.ensure_future(
            DbtRunner(project, resume=False).ainvoke(["run"], vars={"seconds": seconds})
        )
        if seconds:
            await asyncio.to_thread(until, count, "the query runs", PATIENCE)
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
            raise LookupError
        assert (await running).success

    @flow
    async def main() -> None:
        await build()

    asyncio.run(main())
    assert counts == [0, 0]


def test_cleanup_ends_what_a_killed_process_left(shop: Path, home: Path) -> None:
    """dbt is stopped, too, so that it can't end by itself."""
    write_project(shop, {"models/endless.sql": ENDLESS})
    DbtProject(project_dir=shop, profiles_dir=shop).save("shop")
    env = {**os.environ, "FLOWSTONE_HOME": str(home)}
    with start(home) as process:
        until(lambda: has_started(shop, "endless"), "the model runs", PATIENCE)
        until(find_pids, "it is recorded", PATIENCE)
        [pid] = find_pids()
        os.kill(pid, signal.SIGSTOP)
        process.kill()
        process.wait()
    assert is_running(pid)
    for word in ("cancel", "cleanup"):
        command = [sys.executable, "-m", "flowstone", "run", word, "builds"]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        if word == "cancel":
            os.kill(pid, signal.SIGCONT)
    until(lambda: not is_running(pid), "dbt has ended", PATIENCE)
