"""Corners of calls: names of parameters, StopIteration, failures that are allowed, what decides."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from flowstone import allow_failure, flow, task, unmapped
from flowstone.context.current import Services
from flowstone.task_runners import ProcessPoolTaskRunner

pytestmark = pytest.mark.usefixtures("services")

#: What is made by these is called in ways that a type checker does not know.
make_flow: Any = flow
make_task: Any = task


# ---------------------------------------------------------------- names of parameters


def add(self: int, fn: int, args: int, log: int, step: int, most: int) -> int:
    return self + fn + args + log + step + most


NAMED = {"self": 1, "fn": 2, "args": 3, "log": 4, "step": 5, "most": 6}


@pytest.mark.parametrize("options", [{}, {"log_prints": True}, {"timeout_seconds": 60}])
def test_a_parameter_may_have_any_name(options: Any) -> None:
    unit = make_task(add, **options)

    @flow
    def f() -> list[int]:
        mapped = {**NAMED, "self": [1]}
        return [
            unit(**NAMED),
            unit.submit(**NAMED).result(),
            *unit.map(**mapped).result(),
            *unit.map(**mapped, max_in_flight=1).result(),
            make_flow(add, **options)(**NAMED),
        ]

    assert f() == [21, 21, 21, 21, 21]


def test_a_function_that_yields_may_have_any_names() -> None:
    @task
    def yields(self: int, fn: int, most: int) -> Iterator[int]:
        yield self + fn + most

    @flow
    def f() -> list[int]:
        values: list[int] = yields.submit(self=1, fn=2, most=3).result()
        return values

    assert f() == [6]


def test_a_drawn_flow_may_have_any_names() -> None:
    @flow
    def f(self: int, args: int) -> int:
        made: int = make_task(add).submit(**{**NAMED, "self": self, "args": args}).result()
        return made

    assert "add" in f.generate_mermaid_graph(self=1, args=2)


@pytest.mark.slow
def test_a_task_in_a_process_may_have_any_names() -> None:
    run = make_flow(
        lambda: make_task(add).submit(**NAMED).result(), task_runner=ProcessPoolTaskRunner(1)
    )
    assert run() == 21


# ---------------------------------------------------------------- StopIteration


def first(rows: list[int]) -> int:
    return next(iter(rows))


@pytest.mark.parametrize(
    "run",
    [
        lambda unit: unit([]),
        lambda unit: unit.submit([]).result(),
        lambda unit: unit.map([[]]).result(),
        lambda unit: unit.map([[]], max_in_flight=1).result(),
        lambda unit: make_flow(first)([]),
        lambda unit: make_flow(first, retries=1)([]),
        lambda unit: unit.with_options(timeout_seconds=60)([]),
        lambda unit: unit.with_options(log_prints=True)([]),
    ],
)
def test_stop_iteration_comes_out_as_it_is(run: Callable[..., Any]) -> None:
    with pytest.raises(StopIteration):
        run(make_task(first))
    with pytest.raises(StopIteration):
        make_flow(lambda: run(make_task(first)))()


def test_stop_iteration_is_a_failure_like_others() -> None:
    state = make_flow(first)([], return_state=True)
    assert str(state) == "Failed('StopIteration')"
    assert (
        make_flow(lambda: str(make_task(first).submit([], return_state=True)))()
        == "Failed('StopIteration')"
    )


# ---------------------------------------------------------------- failures that are allowed


@task
def fails() -> int:
    raise ValueError("F")


@task
def numbers() -> list[int]:
    return [1, 2]


@task
def kind(x: object, other: object = None) -> str:
    return f"{type(x).__name__} {type(other).__name__}"


@pytest.mark.parametrize("more", [{}, {"max_in_flight": 1}, {"batch_size": 2}])
@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: ([1, 2], allow_failure(fails.submit())), ["int ValueError"] * 2),
        (lambda: ([1, 2], allow_failure(numbers.submit())), ["int int"] * 2),
        (lambda: (allow_failure(fails.submit()), [1]), ["ValueError int"]),
        (lambda: (allow_failure(numbers.submit()),), ["int NoneType"] * 2),
        (lambda: (allow_failure([fails.submit(), 2]),), ["ValueError NoneType", "int NoneType"]),
        (lambda: ([1], unmapped(allow_failure(fails.submit()))), ["int ValueError"]),
        (lambda: ([1], allow_failure(5)), ["int int"]),
    ],
)
def test_a_failure_that_is_allowed_may_stand_beside_what_is_mapped(
    make: Callable[[], Any], expected: list[str], more: Any
) -> None:
    @flow
    def f() -> list[str]:
        return list(kind.map(*make(), **more).result())

    assert f() == expected


def test_a_failure_that_is_not_allowed_is_raised() -> None:
    with pytest.raises(ValueError, match="F"):
        make_flow(lambda: kind.map([1], fails.submit()))()


# ---------------------------------------------------------------- what decides a flow's end


@task
def good() -> str:
    return "important"


@pytest.mark.parametrize(
    "body",
    [
        lambda: good.submit(),
        lambda: [good.submit(), good.submit()],
        lambda: {"a": good.submit(), "b": 1},
        lambda: good(return_state=True),
    ],
)
def test_what_a_flow_returns_decides_and_what_is_lost_is_logged(
    body: Callable[[], Any], caplog: pytest.LogCaptureFixture
) -> None:
    @flow
    def f() -> Any:
        fails.submit()
        return body()

    @flow
    async def af() -> Any:
        fails.submit()
        return body()

    states: list[Any] = [f(return_state=True), asyncio.run(af(return_state=True))]
    for state in states:
        assert state.is_completed()
        assert "important" in str(state.result())
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 2
    assert "fails-0" in warnings[0].getMessage()


def test_the_worst_of_what_is_returned_decides() -> None:
    @flow
    def f() -> Any:
        return [good.submit(), fails.submit()]

    state: Any = f(return_state=True)
    assert state.is_failed()


def test_a_plain_value_decides_nothing(services: Services) -> None:
    @flow
    def f() -> str:
        fails.submit()
        return good.submit().result()

    state: Any = f(return_state=True)
    assert state.is_failed()
