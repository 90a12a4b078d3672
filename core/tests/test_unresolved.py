"""A future that is used as if it were its value says what to write."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from flowstone import Future, flow, task
from flowstone.errors import FutureUnresolved

pytestmark = pytest.mark.usefixtures("flowstone_services")

USES: dict[str, Callable[[Any], object]] = {
    "+": lambda future: future + 1,
    "-": lambda future: 1 - future,
    "*": lambda future: 2 * future,
    "%": lambda future: future % 2,
    "**": lambda future: pow(future, 2),
    "|": lambda future: future | {},
    "abs()": abs,
    "<": lambda future: future < 1,
    ">=": lambda future: future >= 1,
    "int()": int,
    "float()": float,
    "round()": round,
    "len()": len,
    "an index": range,
    "in": lambda future: 1 in future,
    "indexing or iteration": lambda future: future["key"],
    ".upper": lambda future: future.upper(),
    "format '.2f'": lambda future: f"{future:.2f}",
}
#: These are written in another way, and answered in the same words.
ALSO: dict[str, Callable[[Any], object]] = {
    "sum": lambda future: sum([future, future]),
    "concatenate": lambda future: "a" + future,
    "extend": lambda future: operator.add([1], future),
    "iterate": list,
    "unpack": lambda future: operator.itemgetter(0, 1)(future),
    "write": lambda future: operator.setitem(future, 0, 1),
    "max": lambda future: max(future, future),
}


@task
def double(number: int) -> int:
    return 2 * number


@pytest.mark.parametrize("use", [*USES, *ALSO])
def test_each_use_of_a_value_says_result(use: str) -> None:
    @flow
    def careless() -> object:
        return (USES | ALSO)[use](double.submit(1))

    with pytest.raises(FutureUnresolved, match=r"use \.result\(\), or await it") as caught:
        careless()
    assert isinstance(caught.value, TypeError)
    assert isinstance(caught.value, AttributeError)
    assert caught.value.future.startswith("double-")
    assert use in ALSO or f"is a future, and {use} needs its value" in str(caught.value)


def test_a_future_stays_what_it_was() -> None:
    @flow
    def careful() -> None:
        future = double.submit(1)
        stream = double.map([1, 2], max_in_flight=1)
        for each in (future, stream):
            assert each
            assert each == each
            assert not hasattr(each, "upper")
            assert not hasattr(each, "__array__")
            assert f"{each}" == repr(each)
        assert not isinstance(future, Iterable)
        assert [each.result() for each in stream] == [2, 4]
        assert double.map(double.map([1, 2], max_in_flight=1), max_in_flight=1).result() == [4, 8]

    careful()


def test_one_that_is_not_made_yet_has_no_attributes() -> None:
    """As where a copy of it is begun."""
    with pytest.raises(AttributeError, match="no attribute 'name'"):
        _ = Future.__new__(Future).name


def test_a_stream_of_futures_says_so_too() -> None:
    @flow
    def careless() -> object:
        stream: Any = double.map([1, 2], max_in_flight=1)
        return stream[0] + len(stream)

    with pytest.raises(FutureUnresolved, match=r"'double\.map' is a future"):
        careless()


def test_a_flow_that_is_drawn_says_so_too() -> None:
    @flow
    def careless() -> object:
        future: Any = double.submit(1)
        return future + 1

    with pytest.raises(FutureUnresolved):
        careless.generate_mermaid_graph()
