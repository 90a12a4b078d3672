from __future__ import annotations

import asyncio
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import flowstone
from flowstone import flow, tags, task
from flowstone.blocks import LocalDirectory
from flowstone.context import FlowRunContext, TagsContext, TaskRunContext, current, get_run_context
from flowstone.context.current import Services
from flowstone.errors import ConfigurationError, MissingContextError
from flowstone.records.runs import RunQuery
from flowstone.runtime import deployment, flow_run, task_run
from flowstone.tasks import task_input_hash

pytestmark = pytest.mark.usefixtures("services")


def names(services: Services, kind: str) -> list[str]:
    return [run.name for run in services.runs.runs(RunQuery()) if run.kind == kind]


def test_outside_a_run_there_are_no_facts() -> None:
    facts: list[Any] = [flow_run.id, flow_run.name, flow_run.flow_name, flow_run.flow_version]
    facts += [flow_run.parent_flow_run_id, flow_run.root_flow_run_id, flow_run.state]
    facts += [flow_run.scheduled_start_time, flow_run.job_variables, flow_run.parent_deployment_id]
    facts += [task_run.id, task_run.name, task_run.task_name, task_run.flow_run_id, task_run.ui_url]
    facts += [deployment.id, deployment.name, deployment.version, deployment.flow_run_id]
    assert facts == [None] * len(facts)
    assert (flow_run.tags, flow_run.parameters, flow_run.run_count) == ([], {}, 0)
    assert deployment.parameters == {}
    assert flowstone.runtime.flow_run is flow_run
    assert repr(task_run) == "<TaskRun None>"


def test_runtime_is_there_without_being_imported() -> None:
    code = "import flowstone; print(flowstone.runtime.flow_run.id)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "None\n"


def test_a_flow_knows_itself(services: Services) -> None:
    found: dict[str, Any] = {}

    @flow(version="7")
    def add_up(a: int, b: int = 2) -> None:
        for fact in ("id", "name", "flow_name", "flow_version", "tags", "parameters", "run_count"):
            found[fact] = getattr(flow_run, fact)
        found["root"], found["parent"] = flow_run.root_flow_run_id, flow_run.parent_flow_run_id
        found["start"], found["state"] = flow_run.scheduled_start_time, flow_run.state
        found["task"] = task_run.id, task_run.flow_run_id

    with tags("t2", "t1"):
        add_up("1")  # type: ignore[call-overload]
    [run] = services.runs.runs(RunQuery())
    assert (found["id"], found["name"], found["root"]) == (run.id, run.name, run.id)
    assert (found["flow_name"], found["flow_version"]) == ("add-up", "7")
    assert (found["tags"], found["parameters"]) == (["t1", "t2"], {"a": 1, "b": 2})
    assert (found["run_count"], found["parent"], found["task"]) == (1, None, (None, None))
    assert found["start"] == datetime.fromtimestamp(run.created, UTC)
    assert found["state"].name == "Running"


@pytest.mark.parametrize("how", ["call", "submit", "map"])
def test_a_task_knows_itself_and_its_flow(services: Services, how: str) -> None:
    @task(tags=["t"])
    def look(x: Any, y: int = 5) -> tuple[Any, ...]:
        facts = task_run.id, task_run.name, task_run.task_name, task_run.tags, task_run.run_count
        return (*facts, task_run.parameters, task_run.flow_run_id, flow_run.id, flow_run.parameters)

    @task
    def three() -> int:
        return 3

    @flow
    def around(z: int) -> tuple[Any, ...]:
        if how == "call":
            return look(3)
        if how == "submit":
            return look.submit(three.submit()).result()
        return look.map([three.submit()]).result()[0]

    told = around(9)
    run = next(run for run in services.runs.runs(RunQuery(unit="look")))
    root = run.root_id
    assert told[:5] == (run.id, run.name, "look", ["t"], 1)
    assert told[5:] == ({"x": 3, "y": 5}, root, root, {"z": 9})


def test_async_runs_know_themselves() -> None:
    @task
    async def look(x: int) -> tuple[Any, ...]:
        await asyncio.sleep(0)
        return task_run.parameters, flow_run.flow_name

    @flow
    async def around() -> list[Any]:
        return list(await asyncio.gather(*[look(x) for x in range(3)]))

    assert asyncio.run(around()) == [({"x": x}, "around") for x in range(3)]


def test_run_count_counts_attempts() -> None:
    counts = []

    @task(retries=2)
    def shaky() -> None:
        counts.append((task_run.run_count, flow_run.run_count))
        if task_run.run_count < 3:
            raise ValueError("not yet")

    @flow
    def around() -> None:
        shaky()

    around()
    assert counts == [(1, 1), (2, 1), (3, 1)]


def test_nested_flows_know_who_called_them() -> None:
    found: dict[str, tuple[str | None, ...]] = {}

    def look(name: str) -> None:
        found[name] = flow_run.id, flow_run.parent_flow_run_id, flow_run.root_flow_run_id

    @flow
    def innermost() -> None:
        look("innermost")

    @task
    def between() -> None:
        innermost()

    @flow
    def inner() -> None:
        look("inner")
        between()

    @flow
    def outer() -> None:
        look("outer")
        inner()

    outer()
    ids = {name: told[0] for name, told in found.items()}
    assert found["outer"][1:] == (None, ids["outer"])
    assert found["inner"][1:] == (ids["outer"], ids["outer"])
    assert found["innermost"][1:] == (ids["inner"], ids["outer"])


def test_a_flow_in_a_lone_task_has_no_parent_flow() -> None:
    @flow
    def inner() -> tuple[str | None, ...]:
        return flow_run.id, flow_run.parent_flow_run_id, flow_run.root_flow_run_id

    @task
    def lone() -> tuple[Any, ...]:
        return flow_run.id, task_run.flow_run_id, inner()

    mine, around, (key, parent, root) = lone()
    assert (mine, around, parent) == (None, None, None)
    assert key == root is not None


def test_names_are_made_of_the_run_to_be(services: Services) -> None:
    """As in the samples that make names from runtime facts."""

    def flow_name() -> str:
        return f"{flow_run.flow_name}-with-{flow_run.parameters['name']}-{task_run.id}"

    def task_name() -> str:
        told = task_run.parameters
        return f"{flow_run.flow_name}-{task_run.task_name}-with-{told['name']}-{told['limit']}"

    @task(task_run_name=task_name)
    def my_task(name: str, limit: int = 100) -> None: ...

    @flow(flow_run_name=flow_name)
    def my_flow(name: str) -> None:
        my_task(name)
        assert flow_run.name == "my-flow-with-ada-None"

    my_flow("ada")
    assert names(services, "flow") == ["my-flow-with-ada-None"]
    assert names(services, "task") == ["my-flow-my_task-with-ada-100"]


def test_templates_may_name_the_runs(services: Services) -> None:
    @task(task_run_name="{flow_run.name}/{task_run.task_name}-{x}")
    def step(x: int) -> None: ...

    @task(task_run_name="{flow_run}")
    def odd(flow_run: str) -> None: ...

    @flow(flow_run_name="{flow_run.flow_name}-of-{day}")
    def nightly(day: str) -> None:
        step(1)
        odd("mine")

    nightly("monday")
    assert names(services, "flow") == ["nightly-of-monday"]
    assert names(services, "task") == ["nightly-of-monday/step-1", "mine"]


def test_a_template_of_an_unknown_fact_is_refused() -> None:
    @flow(flow_run_name="{flow_run.nmae}")
    def wrong() -> None: ...

    with pytest.raises(ConfigurationError, match="nmae"):
        wrong()


def test_the_context_is_that_of_the_task_in_a_task() -> None:
    @task
    def look(x: int) -> Any:
        context = get_run_context()
        assert isinstance(context, TaskRunContext)
        flow_context = FlowRunContext.get()
        assert flow_context is not None
        told = context.task is look, context.task_run.name, context.parameters
        return (*told, flow_context.flow is around, flow_context.flow_run.id)

    @flow
    def around() -> Any:
        context = get_run_context()
        assert isinstance(context, FlowRunContext)
        assert TaskRunContext.get() is None
        return context.flow is around, context.flow_run.id, context.parameters, look(4)

    is_flow, key, parameters, told = around()
    assert (is_flow, parameters) == (True, {})
    assert told == (True, "look-0", {"x": 4}, True, key)


def test_a_context_goes_on_telling_of_its_run() -> None:
    @flow
    def around() -> Any:
        return get_run_context()

    context = around()
    assert context.flow_run.state.name == "Completed"
    assert context.flow_run.run_count == 1


def test_outside_a_run_there_is_no_context() -> None:
    with pytest.raises(MissingContextError, match="get_run_context"):
        get_run_context()
    assert FlowRunContext.get() is None
    assert TaskRunContext.get() is None


def test_a_cache_key_may_be_made_of_the_task_run(services: Services, tmp_path: Path) -> None:
    """As in the samples that cache within one flow run."""

    def within_flow_run(context: Any, parameters: dict[str, Any]) -> str:
        assert context.parameters == parameters
        assert context.task.name == "count"
        assert context.task_run.name.startswith("count-")
        return f"{context.task_run.flow_run_id}-{task_input_hash(context, parameters)}"

    @task(cache_key_fn=within_flow_run, result_storage=LocalDirectory(basepath=str(tmp_path)))
    def count(x: int) -> int:
        return x

    @flow
    def twice() -> None:
        count(1)
        count.submit(1).result()

    twice()
    twice()
    states = [run.state.name for run in services.runs.runs(RunQuery(unit="count"))]
    assert states == ["Completed", "Cached", "Completed", "Cached"]


def test_what_was_sent_to_another_process_tells_what_was_sent(services: Services) -> None:
    """There a scope has its run, and nothing of how it came to be."""

    @task
    def one() -> None: ...

    @flow
    def inner() -> None:
        one()

    @flow
    def outer() -> None:
        inner()

    outer()
    root, middle, last = services.runs.runs(RunQuery())
    owner = current.Scope(None)
    owner.run, owner.arguments = middle, {"x": 1}
    scope = current.Scope(owner)
    scope.run = last
    token = current.scope.set(scope)
    try:
        told = task_run.id, task_run.name, task_run.flow_run_id, task_run.run_count
        assert told == (last.id, "one-0", middle.id, 1)
        assert task_run.state == last.state
        assert (task_run.parameters, flow_run.parameters) == ({}, {"x": 1})
        ids = flow_run.id, flow_run.parent_flow_run_id, flow_run.root_flow_run_id
        assert ids == (middle.id, root.id, root.id)
        context = get_run_context()
        assert isinstance(context, TaskRunContext)
        assert (context.task, context.task_run.name) == (None, "one-0")
    finally:
        current.scope.reset(token)


def test_the_tags_around_code_are_known() -> None:
    assert TagsContext.get().current_tags == frozenset()
    with tags("a"), tags("b", "a"):
        assert TagsContext.get().current_tags == {"a", "b"}
