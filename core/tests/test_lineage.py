"""What a flow's code passes on without a future is an input all the same."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Iterator
from typing import Any, cast

import pytest

from flowstone import flow, task, unmapped
from flowstone.context import lineage
from flowstone.context.current import Services
from flowstone.context.lineage import Producers
from flowstone.graphs import build_graph
from flowstone.records.runs import UNKNOWN, RunQuery


@task
def make(x: int, form: Any = list) -> Any:
    return form([f"{x}"] * 100)


@task
def join(*parts: Any, **named: Any) -> int:
    return len(parts) + len(named)


def inputs(services: Services, unit: str = "join") -> list[list[str]]:
    """Return the names of what went into each run of a unit."""
    runs = services.runs.runs(RunQuery())
    names = {run.id: run.name for run in runs} | {UNKNOWN: UNKNOWN}
    return [[names[key] for key in run.inputs] for run in runs if run.unit == unit]


def names(count: int) -> list[str]:
    return [f"make-{number}" for number in range(count)]


FORMS: dict[str, Any] = {
    "list": list,
    "dict": lambda parts: dict(enumerate(parts)),
    "tuple": tuple,
    "set": set,
    "text": "".join,
    "bytes": lambda parts: "".join(parts).encode(),
    "bytearray": lambda parts: bytearray("".join(parts).encode()),
    "nest": lambda parts: [[parts], {"a": parts}],
    "object": lambda parts: type("Table", (), {"rows": parts})(),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize(
    "pass_on",
    [
        lambda made: join(made),
        lambda made: join(*made),
        lambda made: join(tuple(made)),
        lambda made: join(made=dict(enumerate(made))),
        lambda made: join([{"deep": [made]}]),
        lambda made: join(iter_of := list(reversed(made)), len(iter_of)),
        lambda made: join.submit(made).wait(),
        lambda made: join.map([1], unmapped(made)).wait(),
    ],
)
def test_each_of_many_values_is_known(services: Services, form: Any, pass_on: Any) -> None:
    @flow
    def f() -> None:
        pass_on([make(number, form) for number in range(12)])

    f()
    [found] = inputs(services)
    assert sorted(found) == sorted(names(12))


@pytest.mark.parametrize(
    "get",
    [
        lambda: [make(number) for number in range(12)],
        lambda: [make.submit(number).result() for number in range(12)],
        lambda: make.map(range(12)).result(),
        lambda: make.map(range(12), max_in_flight=2).result(),
        lambda: [cast("Any", make)(n, return_state=True).result() for n in range(12)],
        lambda: [future.state.result() for future in wait_for(make.map(range(12)))],
        lambda: [make.with_options(cache_result_in_memory=False)(n) for n in range(12)],
    ],
)
def test_values_are_known_however_they_are_got(services: Services, get: Any) -> None:
    @flow
    def f() -> None:
        join(get())

    f()
    assert inputs(services) == [names(12)]


def wait_for(futures: Any) -> Any:
    futures.wait()
    return futures


def test_values_of_functions_that_yield_and_of_async_ones_are_known(services: Services) -> None:
    @task(task_run_name="many")
    def many() -> Iterator[list[int]]:
        yield from ([number] for number in range(3))

    @task(task_run_name="amake")
    async def amake() -> list[int]:
        return [1]

    @flow
    def inner() -> list[int]:
        return [1]

    @flow
    async def f() -> None:
        join(list(many()), await amake(), inner.with_options(flow_run_name="inner")())

    asyncio.run(f())
    assert [sorted(found) for found in inputs(services)] == [["amake", "inner", "many"]]


@pytest.mark.parametrize("more", [{}, {"max_in_flight": 2}, {"batch_size": 2}])
def test_what_is_mapped_over_goes_into_each_call(services: Services, more: Any) -> None:
    @task(task_run_name="numbers")
    def numbers() -> list[int]:
        return [1, 2]

    @flow
    def f() -> None:
        join.map(numbers(), **more).wait()
        join.map(x=numbers.submit().result(), y=[1, 2], **more).wait()

    f()
    assert inputs(services) == [["numbers"]] * (2 if "batch_size" in more else 4)


def test_short_texts_and_numbers_are_not_followed(services: Services) -> None:
    @task
    def count(value: Any) -> Any:
        return value

    @flow
    def f() -> None:
        for value in (1, 1.5, None, True, "short", b"short", ()):
            join(count(value))

    f()
    assert inputs(services) == [[]] * 7


def test_a_run_that_was_given_too_much_says_so(services: Services) -> None:
    @flow
    def f() -> None:
        made = [make(number) for number in range(3)]
        join(made, [[number] for number in range(lineage.PARTS + 1)])
        join(list(range(lineage.PARTS * 3)), made)

    f()
    some, whole = inputs(services)
    assert (some, whole) == ([*names(3), UNKNOWN], names(3))
    tree = services.runs.runs(RunQuery())
    graph = build_graph(tree[0], tree, now=0)
    assert [node.is_incomplete for node in graph.nodes if node.unit == "join"] == [True, False]
    assert graph.mermaid().count("not all inputs known") == 1
    assert "not all inputs known" in graph.svg()


class Large(list[Any]):
    """A list that can be referred to weakly, so that a test sees when it is gone."""


def test_what_nobody_has_any_more_is_let_go() -> None:
    producers = Producers(100_000)
    alive = []
    parts = []
    for number in range(1000):
        part = Large([number])
        value = [part] * 1000
        parts.append(weakref.ref(part))
        producers.put(value, str(number))
        if number % 100 == 0:
            alive.append(value)
        del part, value
    assert sum(part() is not None for part in parts) < 50
    assert producers.find([alive]) == tuple(str(number) for number in range(0, 1000, 100))
