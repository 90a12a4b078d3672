"""Each node is a task run with the state of dbt's result."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from tests.services.dbt_projects import write_project

from flowstone.artifacts import TableArtifact
from flowstone.context import current
from flowstone.context.external_work import read_handles, sum_measures
from flowstone.records.events import LOG_WRITTEN, LogLine
from flowstone.records.runs import Run
from flowstone_dbt import DbtError, DbtNodesFailed, DbtProject, DbtRunner, DbtSettings

from .conftest import add_arrivals, list_nodes, map_states, open_database, run_in_flow

#: The names of states by dbt's statuses.
NAMES = {
    "success": "Completed",
    "pass": "Completed",
    "warn": "Warning",
    "error": "Failed",
    "fail": "Failed",
    "skipped": "Skipped",
    "partial success": "Failed",
    "no-op": "Completed",
}


def read_statuses(shop: Path) -> dict[str, str]:
    """Return dbt's result of each node."""
    content = json.loads((shop / "target/run_results.json").read_text())
    return {each["unique_id"]: each["status"] for each in content["results"]}


def assert_same(shop: Path, root: Run) -> None:
    """Check that each node has one run, with the state of dbt's result."""
    expected = {
        node: NAMES[status]
        for node, status in read_statuses(shop).items()
        if not node.startswith("exposure.")
    }
    assert map_states(root) == expected
    assert len(list_nodes(root)) == len(expected)


def list_lines(run: Run) -> list[tuple[int, str]]:
    events = current.services().runs.events(0, root_id=run.root_id, kinds=(LOG_WRITTEN,))
    return [
        (event.payload.level, event.payload.message)
        for _, event in events
        if isinstance(event.payload, LogLine) and event.run_id == run.id
    ]


def find_node(root: Run, name: str) -> Run:
    [found] = [run for run in list_nodes(root) if run.name == name]
    return found


def test_nodes_that_succeed(shop: Path, runner: DbtRunner) -> None:
    add_arrivals(shop)
    root = run_in_flow(lambda: runner.invoke(["build"]))
    assert root.state.name == "Completed"
    assert_same(shop, root)
    assert (
        find_node(root, "not_null_stg_items_name").state.message
        == "Got 1 result, configured to warn if != 0"
    )
    orders, items = find_node(root, "orders"), find_node(root, "stg_items")
    assert orders.inputs == (items.id,)  # through a model that has no table
    assert orders.started is not None
    assert orders.ended is not None
    assert root.started is not None
    assert root.started < orders.started <= orders.ended
    assert any("OK created sql table model main.orders" in line for _, line in list_lines(orders))
    assert sum_measures(root.id)["failed_rows"] == (1, "rows")
    assert [ended for _, ended in read_handles(root.id)] == [True]


def test_nodes_that_fail_and_are_skipped(shop: Path, runner: DbtRunner) -> None:
    root = run_in_flow(lambda: runner.invoke(["build"]))
    assert root.state.name == "Failed"
    assert "model 'late': " in str(root.state.message)
    assert "arrivals" in str(root.state.message)
    assert_same(shop, root)
    report = find_node(root, "report")
    assert (report.state.name, report.state.message) == ("Skipped", "model 'late' failed")
    assert report.attempt == 0


def test_tests_that_fail_are_named_with_their_rows(shop: Path, runner: DbtRunner) -> None:
    write_project(shop, {"tests/prices.sql": "select * from {{ ref('orders') }} where price > 1"})
    with pytest.raises(
        DbtNodesFailed, match=r"dbt build: .*test 'prices': Got 2 results"
    ) as caught:
        runner.invoke(["build"], exclude=["late+"])
    assert {node.name: node.failures for node in caught.value.nodes} == {"prices": 2}
    root = run_in_flow(lambda: runner.invoke(["build"], exclude=["late+"]))
    assert_same(shop, root)
    assert sum_measures(root.id)["failed_rows"] == (3, "rows")


def test_what_a_failed_test_skips_is_told(shop: Path, runner: DbtRunner) -> None:
    write_project(
        shop,
        {
            "models/more.sql": "select * from {{ ref('orders') }}",
            "tests/prices.sql": "select * from {{ ref('orders') }} where price > 1",
        },
    )
    root = run_in_flow(lambda: runner.invoke(["build"], exclude=["late+"]))
    assert_same(shop, root)
    assert find_node(root, "more").state.message == "test 'prices' failed"


def test_unit_tests(shop: Path, runner: DbtRunner) -> None:
    unit = """
unit_tests:
  - name: cheap_ones
    model: stg_items
    given:
      - input: ref('items')
        rows: [{id: 1, name: tea, price: 3}]
    expect: {rows: [{id: %s, name: tea, price: 3}]}
"""
    for expected, state in (("1", "Completed"), ("2", "Failed")):
        write_project(shop, {"models/unit.yml": unit % expected})
        runner.invoke(["build"], select=["items"], exclude=["test_type:unit"])
        root = run_in_flow(lambda: runner.invoke(["test"], select=["test_type:unit"]))
        assert map_states(root) == {"unit_test.shop.stg_items.cheap_ones": state}
        assert_same(shop, root)


def test_a_hook_that_fails_fails_the_run(shop: Path, runner: DbtRunner) -> None:
    project = (shop / "dbt_project.yml").read_text()
    hook = "on-run-end: \"{{ 'insert into nowhere values (1)' if execute }}\"\n"
    (shop / "dbt_project.yml").write_text(project + hook)
    root = run_in_flow(lambda: runner.invoke(["run"], select=["stg_items"], vars={"a": 1}))
    assert root.state.name == "Failed"
    assert_same(shop, root)


def test_the_age_of_sources(shop: Path, runner: DbtRunner) -> None:
    source = """
sources:
  - name: raw
    schema: main
    freshness: {error_after: {count: 1, period: day}}
    loaded_at_field: loaded
    tables: [{name: fresh}, {name: old}]
"""
    write_project(shop, {"models/sources.yml": source})
    with open_database(shop) as database:
        database.execute("CREATE TABLE fresh AS SELECT now()::timestamp AS loaded")
        database.execute("CREATE TABLE old AS SELECT TIMESTAMP '2020-01-01' AS loaded")
    root = run_in_flow(lambda: runner.invoke(["source", "freshness"]))
    assert map_states(root) == {
        "source.shop.raw.fresh": "Completed",
        "source.shop.raw.old": "Failed",
    }
    assert "source 'raw.old': last loaded" in str(root.state.message)


def test_queries_are_in_the_log_of_a_node_at_debug(shop: Path) -> None:
    settings = DbtSettings(project_dir=shop, profiles_dir=shop, log_level="debug")
    runner = DbtRunner(settings=settings)
    root = run_in_flow(lambda: runner.invoke(["seed"]))
    lines = list_lines(find_node(root, "items"))
    assert any(level == logging.DEBUG and "create table" in line for level, line in lines)
    assert not any("\x1b" in line for _, line in lines)


def test_a_summary_is_a_table(shop: Path) -> None:
    project = DbtProject(project_dir=shop, profiles_dir=shop)
    runner = DbtRunner(project, create_summary_artifact=True, summary_artifact_key="nightly")
    run_in_flow(lambda: runner.invoke(["build"]))
    found = TableArtifact.get("nightly")
    assert found is not None
    rows = json.loads(found.data) if isinstance(found.data, str) else found.data
    assert next(row["node"] for row in rows) == "late"


def test_it_works_outside_of_a_flow(runner: DbtRunner) -> None:
    result = runner.invoke(["seed"])
    assert (result.success, result.count()) == (True, {"success": 1})
    with pytest.raises(DbtError):
        runner.invoke(["run"], select="late")
