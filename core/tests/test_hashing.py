from __future__ import annotations

import math
import re
import subprocess
import sys
from collections import Counter, OrderedDict, deque, namedtuple
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from flowstone.errors import NotHashable
from flowstone.results.fingerprints import fingerprint

Point = namedtuple("Point", "x y")  # noqa: PYI024


class Colour(Enum):
    RED = 1
    BLUE = 2


@dataclass
class Order:
    count: int
    tags: set[str]


class Model(BaseModel):
    name: str
    secret: SecretStr = SecretStr("s")


class Slotted:
    __slots__ = ("x",)

    def __init__(self, x: int) -> None:
        self.x = x


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
values = st.recursive(
    scalars | st.binary(),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(), inner)
        | st.frozensets(scalars)
    ),
    max_leaves=12,
)


@given(values)
def test_a_copy_has_the_same_fingerprint(value: Any) -> None:
    import copy

    assert fingerprint(value) == fingerprint(copy.deepcopy(value))


@given(values, values)
def test_other_values_have_other_fingerprints(one: Any, other: Any) -> None:
    if repr(one) != repr(other) and one != other:
        assert fingerprint(one) != fingerprint(other)


@given(st.dictionaries(st.text(), scalars), st.randoms())
def test_the_order_of_a_dict_does_not_count(value: dict[str, Any], random: Any) -> None:
    items = list(value.items())
    random.shuffle(items)
    assert fingerprint(value) == fingerprint(dict(items))


DIFFERENT: list[Any] = [
    1, "1", b"1", 1.5, True, None, (1,), [1], {1}, {1: 1}, [[1], 2], [1, [2]], "a", ["a"],
    ("ab", "c"), ("a", "bc"), range(3), Colour.RED, Colour.BLUE, Colour, Order(1, {"a"}),
    Order(2, {"a"}), Model(name="x"), Model(name="y"), Model(name="x", secret=SecretStr("t")),
    Point(1, 2), Path("a"), Path("b"), date(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC),
    timedelta(1), Decimal("1.0"), Decimal("1.00"), Slotted(1), Slotted(2), len, str.upper,
    partial(max, 1), partial(max, 2), OrderedDict(a=1), lambda: 1, lambda: 2,
    np.array([1, 2]), np.array([1.0, 2.0]), np.array([[1, 2]]), np.float64(1.5),
    np.array(["a", {}], dtype=object),
    pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"b": [1, 2]}),
    pd.DataFrame({"a": [1, 2]}, index=[1, 2]), pd.DataFrame({"a": [1.0, 2.0]}),
    pd.Series([1, 2]), pd.Series([1, 2], name="a"), pd.Index([1, 2]),
    pl.DataFrame({"a": [1, 2]}), pl.DataFrame({"a": [1, 3]}), pl.Series("a", [1, 2]),
    pa.table({"a": [1, 2]}), pa.table({"a": [1, None]}), pa.array([1, 2]),
    10**5000, 10**5000 + 1, re.compile("a"), re.compile("b"), re.compile("a", re.IGNORECASE),
    np.ma.array([1, 2]), np.ma.array([1, 2], mask=[False, True]), np.ma.array([1, 999999]),
    *(pd.DataFrame({"a": pd.Series(cells, dtype=object)}) for cells in (
        [1, "2"], ["1", "2"], [1, 2], [[1], 2], [[2], 2], [{"a": 1}, None], ["x", None],
        ["x", math.nan], ["x", pd.NA], ["x", "None"], [None, None], [date(2026, 1, 1), 1],
    )),
    pd.DataFrame({"a": [1, 2]}, index=pd.Index([0, 1], name="id")),
    pd.DataFrame([[1], [2]], columns=pd.Index(["a"], name="columns")),
    pd.DataFrame({"a": [1, 2]}, index=pd.MultiIndex.from_tuples([(0, 0), (0, 1)])),
    pd.DataFrame({"a": [1, 2]}, index=pd.MultiIndex.from_tuples([(0, 0), (0, "1")])),
    *(pd.Series(pd.Categorical(["a"], categories, ordered=ordered))
      for categories in (["a", "b"], ["b", "a"], ["a"]) for ordered in (True, False)),
    *(make(zero) for zero in (0.0, -0.0) for make in (
        float, complex, Decimal, lambda x: complex(1, x), lambda x: (x, 0), lambda x: {"zero": x},
        lambda x: np.array([x]), np.float64, lambda x: pd.Series([x]),
        lambda x: pd.Series([x, None], dtype="Float64"), lambda x: pd.Index([x]),
        lambda x: pl.Series([x]), lambda x: pa.array([x]), lambda x: pd.Series([x, "x"]),
        lambda x: math.copysign(math.inf, x),
    )),
    *(make([7]) for make in (
        set, frozenset, list, tuple, deque, lambda x: dict.fromkeys(x), OrderedDict.fromkeys,
        Counter, lambda x: [frozenset(x)], lambda x: [set(x)],
    )),
]  # fmt: skip


def test_values_of_all_kinds_differ() -> None:
    prints = [fingerprint(value) for value in DIFFERENT]
    assert len(set(prints)) == len(prints)
    assert prints == [fingerprint(value) for value in DIFFERENT]


def _odd_values() -> Iterator[Any]:
    nest: list[Any] = []
    for _ in range(5000):
        nest = [nest]
    yield nest

    def early() -> object:
        return late

    yield early  # before the name that it holds has a value
    late = 1

    class Broken:
        def __reduce_ex__(self, protocol: object) -> Any:
            raise OSError(late)

    yield Broken()
    unset = Order.__new__(Order)
    yield unset
    yield pd.DataFrame({"a": [1, Lock()]})
    yield np.array([Lock()], dtype=object)


@pytest.mark.parametrize("number", range(6))
def test_whatever_is_odd_is_not_hashed_and_named(number: int) -> None:
    for each, value in enumerate(_odd_values()):
        if each == number:
            with pytest.raises(NotHashable, match=r"argument 'x'.* cache_policy=INPUTS - 'x', or"):
                fingerprint(value, "argument 'x'")


def test_a_slice_of_a_table_is_what_it_shows() -> None:
    table = pa.table({"a": list(range(100)), "b": ["x"] * 100})
    assert fingerprint(table.slice(10, 5)) == fingerprint(
        pa.table({"a": list(range(10, 15)), "b": ["x"] * 5})
    )
    frame = pl.DataFrame({"a": range(10)})
    assert fingerprint(frame[2:4]) == fingerprint(pl.DataFrame({"a": [2, 3]}))
    array = np.arange(10)
    assert fingerprint(array[::2]) == fingerprint(np.array([0, 2, 4, 6, 8]))


def test_a_closure_counts_what_it_holds() -> None:
    def adder(n: int) -> Any:
        return lambda x: x + n

    assert fingerprint(adder(1)) == fingerprint(adder(1))
    assert fingerprint(adder(1)) != fingerprint(adder(2))


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"a": [1, (x for x in [1])]}, "value['a'][1]"),
        ([open], None),
        ({"lock": Lock()}, "value['lock']"),
    ],
)
def test_what_can_not_be_followed_is_said_by_its_path(value: Any, path: str | None) -> None:
    if path is None:
        assert fingerprint(value)
        return
    with pytest.raises(NotHashable) as caught:
        fingerprint(value)
    assert caught.value.path == path


def test_what_can_not_be_hashed_says_which_argument_to_leave_out() -> None:
    with pytest.raises(NotHashable, match=r"argument 'lock'.* cache_policy=INPUTS - 'lock', or"):
        fingerprint([Lock()], "argument 'lock'")


def test_a_value_that_contains_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(NotHashable, match="contains itself"):
        fingerprint(value)


def test_processes_with_other_hash_seeds_agree() -> None:
    code = (
        "from flowstone.results.fingerprints import fingerprint as f; from pathlib import Path\n"
        "import numpy as np, pandas as pd, polars as pl, pyarrow as pa\n"
        "print(f([{'b', 'a', 'c'}, frozenset('xyz'), {'k': {1.5, 2}}, Path('x'), len,\n"
        " np.arange(4), pd.DataFrame({'a': ['x', 'y']}), pl.DataFrame({'a': [1]}),\n"
        " pa.table({'a': [1]})]))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1
