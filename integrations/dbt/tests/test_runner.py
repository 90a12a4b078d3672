"""Options of `DbtRunner`: test strategies, state, artifacts in a store, microbatches."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from tests.services.dbt_projects import write_project

from flowstone import task
from flowstone.blocks import LocalDirectory
from flowstone_dbt import DbtError, DbtNodesFailed, DbtProject, DbtRunner

from .conftest import add_arrivals, list_lines, list_nodes, map_states, open_database, run_in_flow


def list_names(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if "shop" not in path.relative_to(folder).parts}


if TYPE_CHECKING:
    from flowstone_dbt.runner import RunnerOptions


@pytest.fixture
def project(shop: Path) -> DbtProject:
    add_arrivals(shop)
    return DbtProject(project_dir=shop, profiles_dir=shop)


def test_tests_are_run_with_the_models_after_them_or_not_at_all(project: DbtProject) -> None:
    names: dict[str, list[str]] = {}
    for strategy in ("immediate", "deferred", "skip"):
        runner = DbtRunner(project, test_strategy=strategy)
        root = run_in_flow(lambda: runner.invoke(["build"], select="+orders"))  # noqa: B023
        names[strategy] = [
            str((run.parameters or {})["unique_id"]).split(".")[0] for run in list_nodes(root)
        ]
    assert names["immediate"].count("test") == names["deferred"].count("test") == 5
    assert "test" not in names["skip"]
    first = names["deferred"].index("test")
    assert set(names["deferred"][first:]) == {"test"}
    assert "test" in names["immediate"][: names["immediate"].index("model") + 4]


def test_what_has_changed_is_built_upon_what_has_not(
    project: DbtProject, shop: Path, tmp_path: Path
) -> None:
    """The production's artifacts are in a store; this run builds a model in its own schema."""
    store = LocalDirectory(basepath=str(tmp_path / "artifacts"))
    DbtRunner(project, store_artifacts=store).invoke(["build"])
    assert {"manifest.json", "run_results.json"} <= list_names(tmp_path)
    write_project(shop, {"models/report.sql": "select count(*) as n from {{ ref('orders') }}"})
    schema = "{% macro generate_schema_name(custom, node) %}{{ var('to', 'main') }}{% endmacro %}"
    write_project(shop, {"macros/schema.sql": schema})
    runner = DbtRunner(project, state=store, defer=True, favor_state=True)
    root = run_in_flow(
        lambda: runner.invoke(["run"], select="state:modified.body", vars={"to": "other"})
    )
    assert map_states(root) == {"model.shop.report": "Completed"}
    with open_database(shop) as database:
        assert database.execute("SELECT n FROM other.report").fetchall() == [(2,)]


def test_docs_are_generated_into_a_store(project: DbtProject, tmp_path: Path) -> None:
    store = LocalDirectory(basepath=str(tmp_path / "docs"))
    runner = DbtRunner(project, store_artifacts=store)
    runner.invoke(["build"])
    assert runner.invoke(["docs", "generate"]).success
    assert {"index.html", "catalog.json", "manifest.json"} <= list_names(tmp_path)
    assert "model.shop.orders" in json.loads(store.read_path("catalog.json"))["nodes"]


def test_only_failed_batches_are_run_again(shop: Path) -> None:
    """Three days; the table of the second is missing in the first attempt."""
    today = datetime.now(UTC).date()
    days = [today - timedelta(days=number) for number in (2, 1, 0)]
    batches = """{{ config(materialized='incremental', incremental_strategy='microbatch',
        event_time='day', begin='%s', batch_size='day', lookback=0, concurrent_batches=false) }}
    select day, id from {{ ref('events') }}
    {%% if model.batch and model.batch.event_time_start.date().isoformat() == '%s' %%}
    where id in (select id from main.arrivals)
    {%% endif %%}"""
    rows = "\n".join(f"{day},{number}" for number, day in enumerate(days, 1))
    write_project(
        shop,
        {
            "seeds/events.csv": f"day,id\n{rows}\n",
            "models/batches.sql": batches % (days[0], days[1]),
            "models/events.yml": "seeds: [{name: events, config: {event_time: day, "
            "column_types: {day: timestamp}}}]",
        },
    )
    runner = DbtRunner(DbtProject(project_dir=shop, profiles_dir=shop))
    states: list[list[str]] = []

    @task(retries=1)
    def build() -> None:
        try:
            runner.invoke(["build"], select="+batches")
        finally:
            with open_database(shop) as database:
                database.execute("CREATE TABLE IF NOT EXISTS main.arrivals AS SELECT 2 AS id")
                found = database.execute("SELECT id FROM batches ORDER BY 1").fetchall()
                states.append([str(row[0]) for row in found])

    root = run_in_flow(build)
    assert root.state.name == "Completed"
    assert states == [["1", "3"], ["1", "2", "3"]]
    runs = [run for run in list_nodes(root) if run.name == "batches"]
    assert [run.state.name for run in runs] == ["Failed", "Completed"]
    assert len((runs[0].parameters or {})["batches"]["successful"]) == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("execution_mode", "PER_NODE"),
        ("executor", object()),
        ("concurrency", 4),
        ("cache", object()),
        ("manifest", object()),
        ("client", object()),
        ("disable_assets", True),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(name: str, value: object) -> None:
    with pytest.raises(DbtError, match=f"DbtRunner does not support '{name}'"):
        DbtRunner(**cast("RunnerOptions", {name: value}))


def test_what_is_not_known_is_refused() -> None:
    with pytest.raises(TypeError, match="no parameter 'thread'"):
        DbtRunner(**cast("RunnerOptions", {"thread": 3}))


def test_failures_can_be_looked_at_instead(shop: Path) -> None:
    project = DbtProject(project_dir=shop, profiles_dir=shop)
    result = DbtRunner(project, raise_on_failure=False).invoke(["build"])
    assert not result.success
    assert [node.name for node in result.failed] == ["late"]
    assert result.count()["skipped"] == 1
    with pytest.raises(DbtNodesFailed):
        DbtRunner(project).invoke(["run"], select="late")


def test_a_model_may_be_called_as_a_command(project: DbtProject, shop: Path) -> None:
    tested = "models: [{name: build, columns: [{name: id, data_tests: [unique]}]}]\n"
    write_project(shop, {"models/build.sql": "select 1 as id", "models/build.yml": tested})
    runner = DbtRunner(project, test_strategy="deferred")
    result = runner.invoke(["build", "--full-refresh"], select="build")
    assert result.count() == {"success": 1, "pass": 1}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"test_strategy": "later"}, "there is no test strategy 'later'. Choose one of immediate"),
        ({"retries": "2"}, "'retries' is '2'. Set it to a number from 0 up"),
        ({"threads": -1}, "'threads' is -1"),
    ],
)
def test_options_are_checked(options: dict[str, object], told: str) -> None:
    with pytest.raises(DbtError, match=told):
        DbtRunner(**cast("RunnerOptions", options))


def test_a_command_may_be_one_text(project: DbtProject) -> None:
    found = DbtRunner(project).invoke("dbt ls --select 'orders' --resource-type model").lines
    assert found == ("shop.orders",)


def test_what_is_only_compiled_is_no_task_run(project: DbtProject) -> None:
    runner = DbtRunner(project)
    runner.invoke(["build"])
    root = run_in_flow(lambda: [runner.invoke(["docs", "generate"]), runner.invoke(["compile"])])
    assert root.state.name == "Completed"
    assert list_nodes(root) == []


def test_threads_of_the_project_go_before_those_of_the_profile(shop: Path) -> None:
    project = DbtProject(project_dir=shop, profiles_dir=shop, threads=7)
    root = run_in_flow(lambda: DbtRunner(project).invoke(["seed"]))
    assert any("Concurrency: 7 threads" in line for line in list_lines(root))


def test_state_is_for_commands_that_know_it(project: DbtProject, shop: Path) -> None:
    runner = DbtRunner(project, state=shop / "target", defer=True)
    assert runner.invoke(["parse"]).success
    assert runner.invoke(["debug"]).success
