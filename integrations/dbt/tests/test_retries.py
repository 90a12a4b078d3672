"""A retry runs what has not succeeded: of a task, a flow, in a new process, after a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import duckdb
import pytest
from tests.services.dbt_projects import write_project

from flowstone import flow, task
from flowstone.blocks import LocalDirectory
from flowstone.context import current
from flowstone.records.runs import Run, RunQuery
from flowstone_dbt import DbtNodesFailed, DbtProject, DbtResult, DbtRunner
from flowstone_testing.conformance.database.base import until

from .conftest import add_arrivals, list_nodes, open_database, run_in_flow

#: The flow of a separate program.
PROGRAM = """
import os, sys
from flowstone import flow
from flowstone_dbt import DbtProject, DbtRunner

@flow(flow_run_name="builds")
def build(shop: str):
    runner = DbtRunner(DbtProject(project_dir=shop, profiles_dir=shop))
    runner.invoke(["build"], select=["+report", "prices"], vars={"price": 6})

if __name__ == "__main__":
    build(sys.argv[1])
"""
REST = {"late", "report"}


def only_run() -> Run:
    return current.services().runs.runs(RunQuery(listed=True, newest_first=True))[0]


def count_runs(root: Run) -> Counter[str]:
    """Return how often each node was started."""
    return Counter(run.name for run in list_nodes(root) if run.attempt)


def assert_only_the_rest_ran_again(root: Run) -> None:
    counts = count_runs(root)
    assert root.state.name == "Completed"
    assert {name for name, count in counts.items() if count > 1} == {"late"}
    assert counts["late"] == 2
    assert counts["report"] == 1
    assert counts["items"] == counts["stg_items"] == counts["orders"] == 1


def test_a_retry_of_a_task(shop: Path, runner: DbtRunner) -> None:
    results: list[DbtResult] = []

    @task(retries=1)
    def build() -> None:
        try:
            results.append(runner.invoke(["build"]))
        finally:
            add_arrivals(shop)

    root = run_in_flow(build)
    assert_only_the_rest_ran_again(root)
    [result] = results
    assert result.success
    assert {node.status for node in result.nodes} == {"success", "pass", "warn"}


def test_a_retry_of_a_flow(shop: Path, runner: DbtRunner) -> None:
    @task
    def build() -> None:
        runner.invoke(["build"])

    def work() -> None:
        try:
            build()
        finally:
            add_arrivals(shop)

    assert_only_the_rest_ran_again(run_in_flow(work, retries=1))


def test_a_command_that_succeeded_is_not_run_again(shop: Path, runner: DbtRunner) -> None:
    attempts: list[bool] = []

    def work() -> None:
        runner.invoke(["seed"])
        runner.invoke(["run"], select="stg_items")
        runner.invoke(["run"], select="orders")
        attempts.append(True)
        if len(attempts) == 1:
            raise LookupError

    root = run_in_flow(work, retries=1)
    assert root.state.name == "Completed"
    assert count_runs(root) == {"items": 1, "stg_items": 1, "orders": 1}


def test_all_is_run_again_where_that_is_wanted(shop: Path) -> None:
    project = DbtProject(project_dir=shop, profiles_dir=shop)
    attempts: list[bool] = []

    def work() -> None:
        DbtRunner(project, resume=False).invoke(["seed"])
        attempts.append(True)
        if len(attempts) == 1:
            raise LookupError

    assert count_runs(run_in_flow(work, retries=1)) == {"items": 2}


def test_what_was_recorded_is_run_again_and_not_what_is_asked_for_now(shop: Path) -> None:
    """Variables may contain the time of day: a retry resumes the same command."""
    late = "select {{ var('price') }} as price from main.arrivals"
    write_project(shop, {"models/late.sql": f"{{{{ config(materialized='table') }}}} {late}"})
    runner = DbtRunner(DbtProject(project_dir=shop, profiles_dir=shop))
    prices = iter([6, 7])

    @task(retries=1)
    def build() -> None:
        try:
            runner.invoke(["build"], select=["late"], vars={"price": next(prices)})
        finally:
            add_arrivals(shop)

    assert run_in_flow(build).state.name == "Completed"
    with open_database(shop) as database:
        assert database.execute("SELECT price FROM late").fetchall() == [(6,)]


def start(home: Path, tmp_path: Path, *args: str) -> subprocess.Popen[str]:
    program = tmp_path / "builds.py"
    program.write_text(PROGRAM, "utf-8")
    env = {**os.environ, "FLOWSTONE_HOME": str(home)}
    return subprocess.Popen([sys.executable, str(program), *args], env=env, text=True)


def retry_run(home: Path) -> None:
    env = {**os.environ, "FLOWSTONE_HOME": str(home)}
    command = [sys.executable, "-m", "flowstone", "run", "retry", "builds"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.check
def test_a_retry_in_a_new_process(shop: Path, home: Path, tmp_path: Path) -> None:
    with start(home, tmp_path, str(shop)) as process:
        assert process.wait() != 0
    add_arrivals(shop)
    retry_run(home)
    root = only_run()
    counts = count_runs(root)
    assert root.state.name == "Completed"
    assert {name for name, count in counts.items() if count > 1} == {"late"}
    assert counts["report"] == counts["orders"] == 1


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no kill -9 here")
def test_a_retry_after_a_kill(shop: Path, home: Path, tmp_path: Path) -> None:
    """The process of the flow dies while dbt runs a model; dbt leaves no file."""
    slow = "select count(*) as n from range(10000000000) a, {{ ref('orders') }} b"
    write_project(shop, {"models/report.sql": f"{{{{ config(materialized='table') }}}} {slow}"})
    with start(home, tmp_path, str(shop)) as process:
        until(lambda: (shop / "target/.flowstone").exists(), "it has begun", 60)
        until(lambda: _is_recorded("orders"), "orders is built", 60)
        process.kill()
        process.wait()
    write_project(shop, {"models/report.sql": "select * from {{ ref('orders') }}"})
    retry_run(home)
    root = only_run()
    assert root.state.name == "Completed"
    counts = count_runs(root)
    assert (counts["items"], counts["stg_items"], counts["orders"]) == (1, 1, 1)
    assert counts["report"] == 1


def _is_recorded(name: str) -> bool:
    found = current.services().runs.runs(RunQuery(listed=True))
    return bool(found) and any(run.name == name for run in list_nodes(found[0]))


def test_errors_are_tried_again_and_failed_tests_are_not(shop: Path) -> None:
    write_project(
        shop,
        {
            "models/more.sql": "select * from {{ ref('orders') }}",
            "tests/prices.sql": "select * from {{ ref('orders') }} where price > 1",
        },
    )
    project = DbtProject(project_dir=shop, profiles_dir=shop)
    runner = DbtRunner(project, retries=3, retry_delay_seconds=0, raise_on_failure=False)
    results: list[DbtResult] = []
    root = run_in_flow(lambda: results.append(runner.invoke(["build"])))
    counts = count_runs(root)
    assert (counts["late"], counts["prices"], counts["orders"]) == (4, 1, 1)
    [result] = results
    statuses = {node.unique_id: node.status for node in result.nodes}
    assert statuses["model.shop.late"] == "error"
    assert statuses["model.shop.more"] == "skipped"
    assert statuses["test.shop.prices"] == "fail"
    assert not result.success


def test_a_test_that_fails_alone_is_not_tried_again(shop: Path) -> None:
    write_project(shop, {"tests/prices.sql": "select * from {{ ref('orders') }} where price > 1"})
    project = DbtProject(project_dir=shop, profiles_dir=shop)
    runner = DbtRunner(project, retries=2, retry_delay_seconds=0)

    def work() -> None:
        with pytest.raises(DbtNodesFailed):
            runner.invoke(["build"], exclude="late+")

    assert count_runs(run_in_flow(work))["orders"] == 1


def test_two_tasks_of_one_flow_are_told_apart(shop: Path, runner: DbtRunner) -> None:
    @task(retries=1)
    def build(select: str) -> None:
        try:
            runner.invoke(["run"], select=select)
        finally:
            if select == "late":
                add_arrivals(shop)

    @flow
    def main() -> None:
        runner.invoke(["seed"])
        build("stg_items")
        build("late")
        build("orders")

    main()
    assert count_runs(only_run()) == {"items": 1, "stg_items": 1, "late": 2, "orders": 1}


def test_commands_in_another_order_are_told_apart(shop: Path, runner: DbtRunner) -> None:
    """The second attempt starts with the model that has never been built."""
    attempts: list[bool] = []

    def work() -> None:
        attempts.append(True)
        order = ["stg_items", "late"] if len(attempts) == 1 else ["late", "stg_items"]
        runner.invoke(["seed"])
        for select in order:
            try:
                result = runner.invoke(["run"], select=select)
                assert [node.name for node in result.nodes] == [select]
            finally:
                if select == "late":
                    add_arrivals(shop)

    root = run_in_flow(work, retries=1)
    assert root.state.name == "Completed"
    assert count_runs(root) == {"items": 1, "stg_items": 1, "late": 2}
    with open_database(shop) as database:
        assert database.execute("SELECT count(*) FROM late").fetchone() == (1,)


def test_another_selection_is_another_command(shop: Path, runner: DbtRunner) -> None:
    selections = iter(["items stg_items late", "orders"])

    def work() -> None:
        runner.invoke(["build"], select=next(selections).split())

    root = run_in_flow(work, retries=1)
    assert count_runs(root)["orders"] == 1
    assert count_runs(root)["late"] == 1


def test_a_hook_that_failed_is_run_again(shop: Path, runner: DbtRunner) -> None:
    project = shop / "dbt_project.yml"
    project.write_text(f"{project.read_text()}on-run-end: select * from main.arrivals\n")

    @task(retries=1)
    def build(*, helped: bool) -> None:
        try:
            runner.invoke(["run"], select="stg_items")
        finally:
            if helped:
                add_arrivals(shop)

    add_items(shop)
    assert not run_in_flow(lambda: build(helped=False)).state.is_completed()
    assert run_in_flow(lambda: build(helped=True)).state.is_completed()


def add_items(shop: Path) -> None:
    with open_database(shop) as database:
        database.execute("CREATE TABLE main.items AS SELECT 1 AS id, 'tea' AS name, 3 AS price")


def test_a_retry_with_the_state_of_another_run(shop: Path, tmp_path: Path) -> None:
    """Each attempt downloads the artifacts to another directory; it is the same command."""
    store = LocalDirectory(basepath=str(tmp_path / "artifacts"))
    project = DbtProject(project_dir=shop, profiles_dir=shop)
    everything = DbtRunner(project, store_artifacts=store, raise_on_failure=False)
    everything.invoke(["build"], exclude="late+")
    write_project(shop, {"models/orders.sql": "select 1 as id, 2 as price"})
    runner = DbtRunner(project, state=store, defer=True)

    @task(retries=1)
    def build() -> None:
        try:
            runner.invoke(["run"], select=["state:modified", "late"])
        finally:
            add_arrivals(shop)

    root = run_in_flow(build)
    assert root.state.name == "Completed"
    assert count_runs(root) == {"orders": 1, "late": 2}


def test_a_retry_is_of_the_target_that_was_given(shop: Path, runner: DbtRunner) -> None:
    outputs = ", ".join(
        f"{name}: {{type: duckdb, path: {name}.duckdb, threads: 2}}" for name in ("dev", "prod")
    )
    profile = f"shop: {{target: dev, outputs: {{{outputs}}}}}\n"
    write_project(shop, {"profiles.yml": profile})
    runner = DbtRunner(DbtProject(project_dir=shop, profiles_dir=shop, target="dev"))

    @task(retries=1)
    def build() -> None:
        try:
            runner.invoke(["build", "--target", "prod"], select="+late")
        finally:
            with duckdb.connect(str(shop / "prod.duckdb")) as database:
                database.execute("CREATE TABLE IF NOT EXISTS main.arrivals AS SELECT 1 AS id")

    root = run_in_flow(build)
    assert root.state.name == "Completed"
    assert count_runs(root)["late"] == 2
    assert count_runs(root)["items"] == 1
    assert not (shop / "dev.duckdb").exists()
