"""What makes two calls the same, where people bring policies and settings of their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flowstone import flow, task
from flowstone.cache_policies import INPUTS, CacheKeyFnPolicy, CachePolicy, Inputs, TaskCall
from flowstone.context import current
from flowstone.context.current import Services
from flowstone.errors import ConfigurationError
from flowstone.settings import Settings
from flowstone.testing.memory import memory_services


@pytest.fixture(autouse=True)
def own_services(tmp_path: Path) -> Iterator[Services]:
    services = memory_services(tmp_path)
    with current.use_services(services):
        yield services
    services.close()


def counted(**options: Any) -> tuple[Any, list[Any]]:
    calls: list[Any] = []

    @task(**options)
    def count(x: Any, y: Any = 0) -> int:
        calls.append((x, y))
        return len(calls)

    return count, calls


@pytest.mark.parametrize(
    ("settings", "computed"),
    [
        (Settings(), 1),
        (Settings(default_no_cache=True), 1),
        (Settings(disable_caching=True), 2),
    ],
)
def test_a_policy_of_the_task_stands_but_for_one_setting(
    own_services: Services, settings: Settings, computed: int, tmp_path: Path
) -> None:
    count, calls = counted(cache_policy=INPUTS)
    settings = replace(settings, home=tmp_path)
    with current.use_services(replace(own_services, settings=settings)):
        count(1), count(1)
    assert len(calls) == computed


def test_the_default_policy_can_be_turned_off(own_services: Services) -> None:
    count, calls = counted(persist_result=True)

    @flow
    def f() -> None:
        count(1), count(1)

    f()
    assert len(calls) == 1
    settings = replace(own_services.settings, default_no_cache=True)
    with current.use_services(replace(own_services, settings=settings)):
        f()
    assert len(calls) == 3


@pytest.mark.parametrize("order", [1, -1])
def test_a_key_function_wins_whichever_comes_first(order: int) -> None:
    options = {"cache_policy": INPUTS, "cache_key_fn": lambda call, parameters: "same"}
    count, _ = counted(**dict(list(options.items())[::order]))
    assert [count(1), count(2)] == [1, 1]
    assert count.with_options(cache_policy=INPUTS)(3) == 2


def test_inputs_are_left_out_by_any_collection() -> None:
    assert Inputs(exclude=["y"]) == Inputs(exclude={"y"}) == INPUTS - "y"
    count, _ = counted(cache_policy=Inputs(exclude=("y",)))
    assert [count(1, 1), count(1, 2), count(2, 2)] == [1, 1, 2]


class ByParity(CachePolicy):
    def compute_key(
        self,
        task_ctx: TaskCall,
        inputs: dict[str, Any],
        flow_parameters: dict[str, Any],
        **kwargs: Any,
    ) -> str | None:
        if inputs["x"] < 0:
            return None
        return f"{task_ctx.task.name} {inputs['x'] % 2} {flow_parameters.get('day')}"


def test_a_policy_of_ones_own_says_the_key() -> None:
    count, _ = counted(cache_policy=ByParity())

    @flow
    def f(day: str) -> list[int]:
        return [count(x) for x in (2, 4, 3, -1, -1)]

    assert f("monday") == [1, 1, 2, 3, 4]
    assert f("tuesday")[:2] == [5, 5]


def test_a_policy_without_a_key_says_so() -> None:
    count, _ = counted(cache_policy=CachePolicy())
    assert count(1, return_state=True).is_failed()


def test_the_keys_of_functions_that_are_added_are_all_in_the_key() -> None:
    def key(name: str) -> CachePolicy:
        return CacheKeyFnPolicy(lambda call, parameters: str(parameters[name]))

    count, _ = counted(cache_policy=key("x") + key("y") + key("x"))
    assert [count(1, 1), count(1, 2), count(2, 2), count(2, 1), count(1, 1)] == [1, 2, 3, 4, 1]


def test_result_names_know_the_facts_of_the_run(tmp_path: Path) -> None:
    @task(
        result_storage=tmp_path / "kept",
        result_storage_key="{flow_run.flow_name}-{task_run.task_name}-{parameters[x]}",
    )
    def load(x: int) -> int:
        return x

    @flow(name="nightly")
    def f() -> list[int]:
        return [load(1), *load.map([2, 3]).result()]

    f()
    names = sorted(path.name for path in (tmp_path / "kept").iterdir())
    assert names == ["nightly-load-1", "nightly-load-2", "nightly-load-3"]


@pytest.mark.parametrize("decorate", [flow, task])
@pytest.mark.parametrize("name", ["return_state", "wait_for"])
def test_parameters_that_each_call_has_a_use_for_are_refused(decorate: Any, name: str) -> None:
    namespace: dict[str, Any] = {}
    exec(f"def f(x, *, {name}=None): ...", namespace)
    with pytest.raises(ConfigurationError, match=f"parameter '{name}'.*Rename it"):
        decorate(namespace["f"])
