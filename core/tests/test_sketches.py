from __future__ import annotations

import asyncio
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

import pytest

from flowstone import FutureList, flow, get_run_logger, quote, runtime, tags, task, unmapped
from flowstone.artifacts import create_progress_artifact, update_progress_artifact
from flowstone.context import current
from flowstone.errors import ParameterBindError, ParameterTypeError, ValueNotComputed
from flowstone.futures import as_completed, wait
from flowstone.records.runs import RunQuery
from flowstone.transactions import transaction

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from flowstone.context.current import Services
    from flowstone.graphs import Graph

pytestmark = pytest.mark.usefixtures("services")


def never() -> Any:
    raise AssertionError("a task was run")


@task
def extract(name: str) -> Any:
    never()


@task
def clean(data: Any) -> Any:
    never()


@task
def load(*data: Any) -> Any:
    never()


@task
async def fetch(url: Any) -> Any:
    never()


@task(viz_return_value=[1, 2, 3])
def listed(where: str = "") -> list[int]:
    return [never()]


def edges(graph: Graph, kind: str = "input") -> set[tuple[str, str]]:
    names = [node.label for node in graph.nodes]
    return {(names[e.begin], names[e.end]) for e in graph.edges if e.kind == kind}


def test_values_that_are_passed_on_are_edges(services: Services) -> None:
    @flow
    def etl(day: str) -> Any:
        raw = extract(day)
        tidy = clean(data=raw)
        return load.submit(tidy, [clean.submit(raw), 1]).result()

    graph = etl.visualize("monday")
    assert edges(graph) == {
        ("extract-0", "clean-0"),
        ("extract-0", "clean-1"),
        ("clean-0", "load-0"),
        ("clean-1", "load-0"),
    }
    assert edges(graph, "call") == {("etl", "extract-0")}
    assert all(not node.states for node in graph.nodes)
    assert etl.generate_mermaid_graph(day="monday") == str(graph)
    assert services.runs.runs(RunQuery()) == []


def test_what_is_taken_of_a_value_comes_from_the_same_task() -> None:
    @flow
    def picky() -> None:
        a, b = extract("a"), extract("b")
        clean(a["rows"].head(5) + 1)
        load({"both": a / b}, quote([-b]))

    assert edges(picky.visualize()) == {
        ("extract-0", "clean-0"),
        ("extract-0", "load-0"),
        ("extract-1", "load-0"),
    }


@pytest.mark.parametrize(
    ("use", "told"),
    [
        (bool, "whether it is true"),
        (len, "its length"),
        (list, "its elements"),
        (int, "a number"),
        (range, "a number"),
        (open, "a path"),
        (lambda value: value > 3, "a comparison"),
        (lambda value: value == 3, "a comparison"),
        (lambda value: 3 in value, "what is in it"),
    ],
)
def test_a_value_that_is_needed_names_its_task(use: Any, told: str) -> None:
    @flow
    def needy() -> None:
        use(extract("a"))

    with pytest.raises(ValueNotComputed, match=f"'extract'.*{told}.*viz_return_value") as caught:
        needy.visualize()
    assert isinstance(caught.value, TypeError)
    assert not hasattr(caught.value, "__notes__")


def test_an_error_where_a_stand_in_was_in_the_way_says_so() -> None:
    @flow
    def joins() -> str:
        return "".join([extract("a")])

    @flow
    def own() -> None:
        raise ValueError("mine")

    with pytest.raises(TypeError) as caught:
        joins.visualize()
    assert "extract" in caught.value.__notes__[0]
    assert "viz_return_value" in caught.value.__notes__[0]
    with pytest.raises(ValueError, match="mine") as plain:
        own.visualize()
    assert not hasattr(plain.value, "__notes__")


def test_a_value_for_drawing_is_what_the_flow_gets() -> None:
    @flow
    def loops() -> list[int]:
        numbers = listed()
        for number in numbers:
            clean(number)
        load(numbers)
        load(listed("again"))
        return [number + 1 for number in listed.submit().result()]

    graph = loops.visualize()
    assert edges(graph) == {("listed-0", "load-0"), ("listed-1", "load-1")}
    assert len(graph.nodes) == 1 + 3 + 3 + 2
    assert listed.with_options(viz_return_value="x").spec.viz_return_value == "x"


def test_maps_are_drawn_by_their_length_where_it_is_known() -> None:
    @flow
    def maps() -> None:
        known = clean.map(listed.submit())
        assert isinstance(known, FutureList)
        unknown = clean.map(extract.submit("a"))
        load(known.result(), unknown)
        load.map([1] * 50, unmapped(unknown), max_in_flight=5)
        load.map((number for number in range(10**9)), max_in_flight=5)

    graph = maps.visualize()
    assert edges(graph) >= {
        ("listed-0", "clean-0"),
        ("listed-0", "clean-2"),
        ("extract-0", "clean-3"),
        ("clean-0", "load, 51 runs"),
        ("clean-3", "load, 51 runs"),
    }
    assert "load, 1,000 runs" in {node.label for node in graph.nodes}
    assert [node.unit for node in graph.nodes].count("clean") == 4


def test_child_flows_are_drawn_with_what_they_call() -> None:
    @flow
    def inner(data: list[str], times: int) -> Any:
        return [clean(data) for _ in range(times)]

    @flow
    def child(data: list[str], times: int) -> Any:
        return inner(data, times)

    @flow
    def parent() -> None:
        load(child(extract("a"), times=2))

    graph = parent.visualize()
    assert edges(graph) == {("extract-0", "child"), ("clean-0", "load-0"), ("clean-1", "load-0")}
    assert edges(graph, "call") == {
        ("parent", "extract-0"),
        ("parent", "load-0"),
        ("child", "inner"),
        ("inner", "clean-0"),
        ("inner", "clean-1"),
    }
    groups = {node.label: node.group for node in graph.nodes}
    assert groups["clean-0"] == groups["clean-1"] == 3
    assert [node.unit for node in graph.nodes][:4] == ["parent", "extract", "child", "inner"]


def test_async_flows_are_drawn_from_sync_and_from_async_code() -> None:
    @flow
    async def inner(url: Any) -> Any:
        return await fetch(url)

    @flow
    async def crawl(url: str) -> None:
        page = await fetch(url)
        both = await asyncio.gather(inner(page), fetch(page))
        await fetch.submit(both)
        load(await clean.submit(1).aresult())
        assert (await fetch(1, return_state=True)).is_completed()

    async def from_async() -> Graph:
        return crawl.visualize("x")

    wanted = {
        ("fetch-0", "inner"),
        ("fetch-0", "fetch-1"),
        ("fetch-0", "fetch-2"),
        ("fetch-1", "fetch-2"),
        ("clean-0", "load-0"),
    }
    for graph in (crawl.visualize("x"), asyncio.run(from_async())):
        assert edges(graph) - {("fetch-0", "fetch-0")} == wanted


def test_futures_are_as_users_know_them() -> None:
    @flow
    def uses() -> None:
        futures = [extract.submit(name) for name in "ab"]
        assert wait(futures).not_done == set()
        assert [each.name for each in as_completed(futures)] == ["extract-0", "extract-1"]
        first = futures[0]
        first.wait()
        assert first.done()
        assert not first.cancel()
        assert first.state.is_completed()
        assert isinstance(first.task_run_id, str)
        state: Any = extract("c", return_state=True)
        states = clean.map([1], return_state=True)
        load(state.result(), states[0].result(), wait_for=[first])

    assert edges(uses.visualize()) == {
        ("extract-0", "load-0"),
        ("extract-2", "load-0"),
        ("clean-0", "load-0"),
    }


def test_nothing_is_kept_and_nothing_stays_behind(services: Services) -> None:
    seen: list[Any] = []

    @task(on_completion=[lambda *_: seen.append("hook")])
    def hooked() -> None:
        never()

    @flow(on_running=[lambda *_: seen.append("hook")], on_failure=[lambda *_: seen.append("hook")])
    def careless(fail: bool) -> None:
        get_run_logger().warning("not kept")
        artifact = create_progress_artifact(1.0)
        update_progress_artifact(artifact, 2.0)
        seen.append(runtime.flow_run.flow_name)
        seen.append(runtime.flow_run.parameters)
        with tags("a"), transaction(key="one", isolation_level="SERIALIZABLE"):
            hooked()
            if fail:
                raise ValueError("no")

    @flow
    def around() -> Any:
        before = dict(copy_context().items())
        careless.visualize(fail=False)
        with pytest.raises(ValueError, match="no"):
            careless.visualize(fail=True)
        assert dict(copy_context().items()) == before
        return runtime.flow_run.flow_name

    assert around() == "around"
    assert seen == ["careless", {"fail": False}, "careless", {"fail": True}]
    assert current.scope.get() is None
    services.journal.flush()
    assert [run.unit for run in services.runs.runs(RunQuery())] == ["around"]
    assert not services.slot_queue._served  # type: ignore[attr-defined]  # no key was locked
    with transaction(key="one") as later:
        assert not later.is_committed()


def test_arguments_are_checked_as_those_of_a_run_are() -> None:
    @flow
    def typed(count: int) -> None:
        clean.map(range(count))

    assert len(typed.visualize("3").nodes) == 4  # type: ignore[arg-type]
    with pytest.raises(ParameterTypeError):
        typed.visualize("many")  # type: ignore[arg-type]
    with pytest.raises(ParameterBindError):
        typed.visualize()  # type: ignore[call-arg]

    @flow
    def wrong() -> None:
        clean(*range(2))

    with pytest.raises(ParameterBindError):
        wrong.visualize()


def test_a_run_beside_it_runs() -> None:
    @task
    def real() -> int:
        return 1

    @flow
    def drawn() -> None:
        assert copy_context().run(outside) == 1

    def outside() -> int:
        current.scope.set(None)
        return real()

    assert len(drawn.visualize().nodes) == 1


def test_values_say_what_they_stand_for() -> None:
    @flow
    def shows() -> None:
        assert f"{extract('a')}" == "<value of extract>"
        assert len({extract("b"), extract("c")}) == 2

    shows.visualize()


def test_flows_and_tasks_that_yield_are_drawn() -> None:
    def never() -> int:
        raise AssertionError("it must not run")

    @task
    def pages() -> Iterator[int]:
        yield never()

    @task(viz_return_value=[1, 2])
    async def ticks() -> AsyncIterator[int]:
        yield never()

    @task
    def use(value: object) -> None:
        never()

    @flow
    def for_ever() -> Iterator[int]:
        for page in pages():
            use(page)
        while True:
            yield 1

    @flow
    async def outer() -> AsyncIterator[int]:
        first = next(iter(for_ever()))
        async for tick in ticks():
            use(tick)
            yield first

    text = outer.generate_mermaid_graph()
    assert text.count("use") == 3
    assert text.count("pages") == text.count("ticks") == 1
