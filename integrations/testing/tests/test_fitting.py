from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, NewType, Protocol, TypedDict, TypeVar

import pytest

from flowstone_testing.conformance.tasks.fitting import fits

T = TypeVar("T")


class Row(TypedDict):
    id: int


class Sized(Protocol):
    def size(self) -> int: ...


FITTING = [
    (1, int),
    (1, float),
    (None, None),
    ("a", str | None),
    ([1, 2], list[int]),
    ([], list[int]),
    ({"a": [1]}, dict[str, list[int]]),
    ((1, "a"), tuple[int, str]),
    ((1, 2, 3), tuple[int, ...]),
    ({1}, set[int]),
    ("a", Literal["a", "b"]),
    (1, Annotated[int, "of something"]),
    ({"id": 1}, Row),
    (object(), Any),
    (object(), object),
    (object(), T),
    (3, Sized),
    (3, NewType("Key", int)),
    (Path(), Path),
    (iter([1]), Iterator[int]),
    (len, Callable[[str], int]),
]
NOT = [
    ("1", int),
    (1, str),
    (0, None),
    (1, str | None),
    ([1, "a"], list[int]),
    ((1,), list[int]),
    ({"a": 1}, dict[str, str]),
    ({1: "a"}, dict[str, str]),
    ((1, "a", 2), tuple[int, str]),
    ((1, "a"), tuple[int, ...]),
    ("c", Literal["a", "b"]),
    ("1", Annotated[int, "of something"]),
    ([("id", 1)], Row),
    ("2026", datetime),
]


@pytest.mark.parametrize(("value", "hint"), FITTING)
def test_it_fits(value: object, hint: Any) -> None:
    assert fits(value, hint)


@pytest.mark.parametrize(("value", "hint"), NOT)
def test_it_does_not(value: object, hint: Any) -> None:
    assert not fits(value, hint)
