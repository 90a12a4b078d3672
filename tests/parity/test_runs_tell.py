"""What people write about runtime facts, artifacts, variables and logs: only the import differs."""

from __future__ import annotations

import datetime as dt
import inspect
from collections.abc import Iterator
from typing import Any

import pytest

from flowstone import artifacts, flow, get_run_logger, runtime, task
from flowstone.artifacts import (
    create_image_artifact,
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    read,
    update_progress_artifact,
)
from flowstone.context import get_run_context
from flowstone.context.current import Services
from flowstone.logging import disable_run_logger
from flowstone.records.runs import RunQuery
from flowstone.testing import flowstone_test_harness
from flowstone.variables import Variable


@pytest.fixture(autouse=True)
def services() -> Iterator[Services]:
    with flowstone_test_harness() as current:
        yield current


def test_facts_are_printed_by_module(capsys: pytest.CaptureFixture[str]) -> None:
    @task
    def my_task(y: int) -> None:
        print("My name is", runtime.task_run.name)
        print("Flow run ID:", runtime.flow_run.id)
        print("My task parameters:", runtime.task_run.parameters)

    @flow
    def my_flow(x: int) -> None:
        print("My name is", runtime.flow_run.name)
        print("I belong to deployment", runtime.deployment.name)
        my_task(2)

    my_flow(1)
    out = capsys.readouterr().out.splitlines()
    assert out[1] == "I belong to deployment None"
    assert out[2] == "My name is my_task-0"
    assert out[4] == "My task parameters: {'y': 2}"


def test_names_are_generated(services: Services) -> None:
    def generate_task_name() -> str:
        parameters = runtime.task_run.parameters
        name, limit = parameters["name"], parameters["limit"]
        flow_name, task_name = runtime.flow_run.flow_name, runtime.task_run.task_name
        return f"{flow_name}-{task_name}-with-{name}-and-{limit}"

    def generate_flow_run_name() -> str:
        assert runtime.flow_run.scheduled_start_time is not None
        date = runtime.flow_run.scheduled_start_time.astimezone(dt.UTC)
        return f"{date:%A}-is-a-nice-day"

    @task(task_run_name=generate_task_name)
    def my_task(name: str, limit: int = 100) -> None: ...

    @flow(flow_run_name=generate_flow_run_name)
    def my_flow(name: str) -> None:
        my_task(name)

    my_flow(name="marvin")
    first, second = services.runs.runs(RunQuery())
    assert first.name.endswith("-is-a-nice-day")
    assert second.name == "my-flow-my_task-with-marvin-and-100"


def test_a_report_is_made_of_artifacts() -> None:
    @task
    def report() -> None:
        create_link_artifact(
            key="irregular-data",
            link="https://nyc3.digitaloceanspaces.com/my-bucket-name/highly_variable_data.csv",
            description="## Highly variable data",
        )
        create_markdown_artifact(
            key="gtm-report", markdown="# Sales Report\n", description="Quarterly Sales Report"
        )
        create_table_artifact(
            key="personalized-reachout",
            table=[{"customer_id": "12345", "churn_probability": 0.85}],
            description="# Marvin, please reach out to these customers today!",
        )
        create_image_artifact(image_url="https://media.com/duck.gif", key="gif")
        progress_artifact_id = create_progress_artifact(progress=0.0, description="the progress")
        for percent in range(1, 4):
            update_progress_artifact(artifact_id=progress_artifact_id, progress=percent * 25)

    @flow
    def my_flow() -> None:
        report()

    my_flow()
    assert [each.artifact.kind for each in read.find_newest()] == [
        "link", "markdown", "table", "image", "progress",
    ]  # fmt: skip


#: The parameters that people know, in their order; those behind them are keywords elsewhere too.
SIGNATURES = {
    "create_link_artifact": ["link", "link_text", "key", "description"],
    "create_markdown_artifact": ["markdown", "key", "description"],
    "create_table_artifact": ["table", "key", "description"],
    "create_progress_artifact": ["progress", "key", "description"],
    "update_progress_artifact": ["artifact_id", "progress", "description"],
    "create_image_artifact": ["image_url", "key", "description"],
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_artifacts_take_what_people_give(name: str) -> None:
    for function in (name, f"a{name}"):
        found: Any = getattr(artifacts, function)
        assert list(inspect.signature(found).parameters) == SIGNATURES[name]


def test_variables_are_set_and_got() -> None:
    Variable.set("answer", 42)
    assert Variable.get("answer", default=3) == 42
    Variable.set("answer", {"deep": [1]}, tags=["t"], overwrite=True)
    assert Variable.get("answer") == {"deep": [1]}
    assert Variable.unset("answer") is True
    assert Variable.get("answer") is None


def test_a_bare_function_is_tested_without_its_logger() -> None:
    @task
    def my_task(x: int) -> int:
        get_run_logger().info("Returning %s", x)
        return x

    with disable_run_logger():
        assert my_task.fn(42) == 42


def test_the_context_is_asked() -> None:
    @flow
    def my_flow() -> Any:
        return get_run_context().flow_run.name, runtime.flow_run.name  # type: ignore[union-attr]

    one, other = my_flow()
    assert one == other
