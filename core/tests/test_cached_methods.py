"""What a function holds is an input of its calls: a method its `self`, a partial its arguments."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import cached_property, partial, wraps
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest
from pydantic import BaseModel, ConfigDict, PrivateAttr

from flowstone import Task, flow, task
from flowstone.cache_policies import FLOW_PARAMETERS, INPUTS, TASK_SOURCE
from flowstone.context.current import Services
from flowstone.records.runs import RunQuery

#: For what a type checker does not take for a function.
make_task: Any = task
cached = task(cache_policy=INPUTS)


@pytest.fixture(autouse=True)
def calls(services: Services, tmp_path: Path) -> list[Any]:
    seen.clear()
    return seen


#: What was computed, and not taken from the cache.
seen: list[Any] = []


def times(factor: int, x: int) -> int:
    seen.append((factor, x))
    return factor * x


class Scale:
    def __init__(self, factor: int) -> None:
        self.factor = factor

    of = cached(lambda self, x: times(self.factor, x))

    @task(cache_key_fn=lambda _, parameters: f"{parameters['self'].factor}-{parameters['x']}")
    def by_key(self, x: int) -> int:
        return times(self.factor, x)

    @task(task_run_name="{self.factor}-times-{x}")
    def named(self, x: int) -> int:
        return times(self.factor, x)

    @flow(flow_run_name="{self.factor}-as-flow-{x}")
    def as_flow(self, x: int) -> int:
        return by_flow(x)


class Slotted:
    __slots__ = ("factor",)

    def __init__(self, factor: int) -> None:
        self.factor = factor

    of = Scale.of


class Other(Scale):
    """Has a subclass's method called with other values, and is its parent's for the rest."""


@dataclass
class Record:
    factor: int
    of = Scale.of


class Grown(Record):
    def __init__(self, factor: int) -> None:
        super().__init__(1)
        self.more = factor

    @cached
    def of(self, x: int) -> int:
        return times(self.more, x)


class Model(BaseModel):
    model_config = ConfigDict(ignored_types=(Task,))
    factor: int

    @cached
    def of(self, x: int) -> int:
        return times(self.factor, x)


class Private(BaseModel):
    model_config = ConfigDict(ignored_types=(Task,))
    _factor: int = PrivateAttr(0)

    def __init__(self, factor: int) -> None:
        super().__init__()
        self._factor = factor

    @cached
    def of(self, x: int) -> int:
        return times(self._factor, x)


class Called:
    def __init__(self, factor: int) -> None:
        self.factor = factor

    def __call__(self, x: int) -> int:
        return times(self.factor, x)

    @property
    def of(self) -> Any:
        return make_task(self, cache_policy=INPUTS)


class Held:
    """Makes its task of what already holds the factor."""

    def __init__(self, factor: int) -> None:
        self.of: Any = make_task(partial(times, factor), cache_policy=INPUTS)


class Decorated:
    def __init__(self, factor: int) -> None:
        self.factor = factor

    @cached
    @wraps(times)
    def of(self, *args: int) -> int:
        return times(self.factor, *args)


@task(cache_policy=FLOW_PARAMETERS)
def by_flow(x: int) -> int:
    seen.append(x)
    return x


KINDS = [Scale, Slotted, Record, Grown, Model, Private, Called, Held, Decorated]


@pytest.mark.parametrize("kind", KINDS)
def test_two_objects_share_a_result_only_where_they_are_equal(kind: Any, calls: list[Any]) -> None:
    assert (make(kind, 2).of(5), make(kind, 3).of(5), make(kind, 2).of(5)) == (10, 15, 10)
    assert calls == [(2, 5), (3, 5)]


def make(kind: Any, factor: int) -> Any:
    return kind(factor=factor)


def test_a_subclass_is_another_object(calls: list[Any]) -> None:
    assert (Scale(2).of(5), Other(2).of(5)) == (10, 10)
    assert calls == [(2, 5), (2, 5)]


def test_all_ways_to_call_a_method_make_one_key(calls: list[Any]) -> None:
    scale = Scale(2)

    @flow
    def f() -> list[int]:
        return [
            scale.of(5),
            Scale.of(scale, 5),
            scale.of.submit(x=5).result(),
            *scale.of.map([5]).result(),
        ]

    assert f() == [10, 10, 10, 10]
    assert calls == [(2, 5)]


def test_batches_of_methods_hold_their_object(calls: list[Any]) -> None:
    @flow
    def f(factor: int) -> list[int]:
        return list(Scale(factor).of.map([5, 6], batch_size=2).result())

    assert (f(2), f(3), f(2)) == ([10, 12], [15, 18], [10, 12])
    assert len(calls) == 4


def test_a_key_function_gets_the_object(calls: list[Any]) -> None:
    assert (Scale(2).by_key(5), Scale(3).by_key(5), Scale(2).by_key(5)) == (10, 15, 10)
    assert calls == [(2, 5), (3, 5)]


def test_the_object_may_be_left_out(calls: list[Any]) -> None:
    of = Scale.of.with_options(cache_policy=INPUTS - "self")
    assert (of(Scale(2), 5), of(Scale(3), 5)) == (10, 10)


def test_classmethods_hold_their_class_and_staticmethods_nothing(calls: list[Any]) -> None:
    class One:
        factor: ClassVar = 2

        @cached
        @classmethod
        def of(cls, x: int) -> int:
            return times(cls.factor, x)

        @cached
        @staticmethod
        def bare(x: int) -> int:
            return times(1, x)

    class Two(One):
        factor: ClassVar = 3

    one, two = cast("Any", One), cast("Any", Two)
    assert (one.of(5), two.of(5), two().of(5), one().bare(5), two.bare(5)) == (10, 15, 15, 5, 5)
    assert calls == [(2, 5), (3, 5), (1, 5)]


def test_what_an_object_has_computed_of_itself_does_not_count(calls: list[Any]) -> None:
    @dataclass
    class Lazy:
        factor: int
        ignored: list[int] = field(default_factory=list)

        @cached_property
        def doubled(self) -> int:
            return self.factor * 2

        @cached
        def of(self, x: int) -> int:
            return times(self.doubled, x)

    lazy = Lazy(1)
    assert (lazy.of(5), lazy.of(5)) == (10, 10)
    assert calls == [(2, 5)]


def test_an_object_that_can_not_be_hashed_is_not_cached_and_that_is_said(
    services: Services, calls: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    locked = Scale(2)
    locked.lock = threading.Lock()  # type: ignore[attr-defined]
    assert (locked.of(5), locked.of(5)) == (10, 10)
    assert calls == [(2, 5), (2, 5)]
    assert "not cached: argument 'self'" in caplog.text


def test_templates_of_names_know_the_object(services: Services) -> None:
    scale = Scale(2)
    scale.named(5)
    scale.as_flow(6)
    names = {run.name for run in services.runs.runs(RunQuery())}
    assert {"2-times-5", "2-as-flow-6"} <= names


def test_the_object_of_a_flow_is_one_of_its_parameters(calls: list[Any]) -> None:
    assert (Scale(2).as_flow(5), Scale(3).as_flow(5), Scale(2).as_flow(5)) == (5, 5, 5)
    assert calls == [5, 5]


def test_the_source_of_what_holds_arguments_is_the_functions() -> None:
    def one(x: int) -> int:
        return x + 1

    def two(x: int) -> int:
        return x + 2

    first, second = (make_task(partial(fn, 1), cache_policy=TASK_SOURCE) for fn in (one, two))
    assert (first(), second()) == (2, 3)
    assert make_task(Called(2), cache_policy=TASK_SOURCE)(1) == 2
