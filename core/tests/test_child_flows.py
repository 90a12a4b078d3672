"""A flow that is executed again takes up what its child flows have completed and kept."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from flowstone import flow, task
from flowstone.context.current import Services
from flowstone.records.runs import RunQuery

kept = flow(persist_result=True)


@pytest.fixture(autouse=True)
def calls(services: Services) -> Counter[Any]:
    called.clear()
    return called


#: How often each was called.
called: Counter[Any] = Counter()


@kept
def child(x: object = 1) -> str:
    called["child", x if isinstance(x, int) else type(x).__name__] += 1
    return f"hi {x}"


@kept
async def achild(x: int) -> int:
    called["achild", x] += 1
    return x


@kept
def family(x: int) -> str:
    called["family"] += 1
    value = child(x)
    if called["family"] == 1:
        raise ValueError("once")
    return value


def fail_once(name: str) -> None:
    called[name] += 1
    if called[name] == 1:
        raise ValueError("once")


def retried(body: Callable[[], Any]) -> Any:
    """Run a flow twice, as its first attempt fails at its end."""

    @flow(retries=1, persist_result=True)
    def parent() -> Any:
        value = body()
        fail_once("parent")
        return value

    return parent()


def test_a_child_that_completed_is_taken_up(services: Services, calls: Counter[Any]) -> None:
    assert retried(child) == "hi 1"
    assert (calls["child", 1], calls["parent"]) == (1, 2)
    states = [run.state.name for run in services.runs.runs(RunQuery()) if run.unit == "child"]
    assert states == ["Completed", "Cached"]


def test_each_call_of_a_child_is_its_own(calls: Counter[Any]) -> None:
    assert retried(lambda: [child(1), child(1), child(2)]) == ["hi 1", "hi 1", "hi 2"]
    assert (calls["child", 1], calls["child", 2]) == (2, 1)


def test_other_arguments_are_another_call(calls: Counter[Any]) -> None:
    assert retried(lambda: child(calls["parent"])) == "hi 1"
    assert (calls["child", 0], calls["child", 1]) == (1, 1)


def test_two_parents_share_nothing(calls: Counter[Any]) -> None:
    retried(child)
    calls["parent"] = 1
    retried(child)
    assert calls["child", 1] == 2


def test_async_children_are_taken_up(calls: Counter[Any]) -> None:
    @flow(retries=1, persist_result=True)
    async def parent() -> list[int]:
        values = await asyncio.gather(achild(1), achild(2))
        fail_once("parent")
        return list(values)

    assert asyncio.run(parent()) == [1, 2]
    assert (calls["achild", 1], calls["achild", 2], calls["parent"]) == (1, 1, 2)


def test_the_children_of_a_child_that_failed_are_taken_up(calls: Counter[Any]) -> None:
    @flow(retries=1, persist_result=True)
    def grandparent() -> str:
        return family(1)

    assert grandparent() == "hi 1"
    assert (calls["family"], calls["child", 1]) == (2, 1)


def test_a_child_in_a_task_is_taken_up(calls: Counter[Any]) -> None:
    @task
    def step() -> str:
        return child(3)

    assert retried(lambda: step.with_options(persist_result=False).submit().result()) == "hi 3"
    assert calls["child", 3] == 1


def test_a_child_whose_arguments_can_not_be_compared_runs_again(calls: Counter[Any]) -> None:
    lock = threading.Lock()
    assert retried(lambda: child(lock)).startswith("hi <")
    assert calls["child", "lock"] == 2


def test_nothing_is_taken_up_that_is_not_kept_or_not_to_be_used(calls: Counter[Any]) -> None:
    retried(child.with_options(persist_result=False))
    assert calls["child", 1] == 2


def test_other_code_is_another_call(calls: Counter[Any]) -> None:
    def one() -> int:
        return 1

    def two() -> int:
        return 2

    def body() -> int:
        return kept(two if calls["parent"] else one).with_options(name="same")()

    assert retried(body) == 2
