"""Arguments are checked against each type hint that resolves; what fits arrives as it is."""

from __future__ import annotations

import asyncio
import collections.abc as abc
import io
import logging
from collections import ChainMap, Counter, OrderedDict, defaultdict, deque
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import Enum, IntEnum
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile, SpooledTemporaryFile
from types import MappingProxyType
from typing import (
    IO,
    TYPE_CHECKING,
    Annotated,
    Any,
    BinaryIO,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Optional,
    Protocol,
    Self,
    TextIO,
    TypedDict,
    TypeVar,
    Union,
    Unpack,
    get_origin,
    runtime_checkable,
)

import numpy as np
import pandas as pd
import pytest
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, field_validator

from flowstone import flow, task
from flowstone.context.current import Services
from flowstone.errors import NotRepeatable, ParameterTypeError
from flowstone.flow_runs import retry_flow_run
from flowstone.records.runs import RunQuery

if TYPE_CHECKING:
    from _typeshed import Incomplete as Frame

T = TypeVar("T")
Whole = TypeVar("Whole", bound=int)


class Row(TypedDict):
    name: str
    size: NotRequired[int]


class Node(TypedDict):
    below: list[Node]


class Pair(NamedTuple):
    left: int
    right: str


class Box(Generic[T]):
    pass


@runtime_checkable
class Closes(Protocol):
    def close(self) -> None: ...


class Opens(Protocol):
    def open(self) -> None: ...


class Model(BaseModel):
    n: int = 1


@dataclass
class Point:
    x: int = 1


class Colour(IntEnum):
    RED = 1


class Text(str):
    __slots__ = ()


class Words(list[str]):
    pass


UserId = NewType("UserId", int)


def describe(each: object) -> str:
    return repr(each) if get_origin(each) or isinstance(each, type) else type(each).__name__


def give(hint: Any, value: object) -> Any:
    """Return what a flow gets whose parameter has a hint."""

    received: list[Any] = []

    def take(value: Any) -> None:
        received.append(value)

    take.__annotations__ = {"value": hint}
    flow(take)(value)
    return received[0]


def call(unit: abc.Callable[..., Any], *args: object, **kwargs: object) -> Any:
    """Call a flow with what type checkers would not let pass."""
    return unit(*args, **kwargs)


def count() -> abc.Generator[int, None, None]:
    yield from range(3)


async def acount() -> abc.AsyncIterator[int]:
    yield 1


FITTING: list[tuple[Any, Any]] = [
    (abc.Iterable[int], [1, 2, 3]),
    (abc.Iterable[int], {1, 2}),
    (abc.Iterable[str], "abc"),
    (abc.Iterable[str], {"a": 1}.keys()),
    (abc.Iterable, range(3)),
    (abc.Iterable[int], count()),
    (abc.Iterator[int], iter([1])),
    (abc.Generator[int, None, None], count()),
    (abc.AsyncIterator[int], acount()),
    (abc.Iterable[int] | None, (1, 2)),
    (Optional[abc.Iterable[int]], count()),  # noqa: UP045 - the older form
    (list[abc.Iterable[int]], [[1], count()]),
    (abc.Collection[int], frozenset({1})),
    (abc.Sequence[int], range(3)),
    (abc.Sequence[int], deque([1])),
    (abc.Set[int], {1}),
    (abc.Mapping[str, int], MappingProxyType({"a": 1})),
    (abc.Mapping[str, int], ChainMap({"a": 1})),
    (abc.MutableMapping[str, int], Counter("ab")),
    (dict[str, int], Counter("ab")),
    (dict[str, int], defaultdict(int, a=1)),
    (dict[str, int], OrderedDict(a=1)),
    (dict, Counter("ab")),
    (dict[str, list[int]], defaultdict(list, a=[1])),
    (dict[str, int] | None, Counter("ab")),
    (Union[str, dict[str, int]], Counter("ab")),  # noqa: UP007 - the older form
    (list[dict[str, int]], [Counter("ab")]),
    (Annotated[dict[str, int], Field(description="how many")], Counter("ab")),
    (Counter[str], Counter("ab")),
    (defaultdict[str, int], defaultdict(int, a=1)),
    (OrderedDict[str, int], OrderedDict(a=1)),
    (deque[int], deque([1], maxlen=3)),
    (list[int], [1, 2]),
    (list[str], Words(["a"])),
    (tuple[int, ...], (1, 2)),
    (tuple[int, str], (1, "a")),
    (tuple[int, str], Pair(1, "a")),
    (set[int], {1}),
    (str, Text("a")),
    (int, Colour.RED),
    (float, np.float64(1.5)),
    (datetime, pd.Timestamp("2026-01-01T00:00:00.000000001")),
    (date, date(2026, 1, 1)),
    (Literal["a", "b"], "a"),
    (Row, {"name": "a"}),
    (Row, {"name": "a", "more": 1}),
    (Node, {"below": [{"below": []}]}),
    (Pair, Pair(1, "a")),
    (Closes, io.StringIO()),
    (abc.Callable[[int], int], abs),
    (type[int], bool),
    (Box[int], Box()),
    (Model, Model()),
    (list[Model], [Model()]),
    (Point, Point()),
    (pd.DataFrame, pd.DataFrame({"a": [1]})),
    (pd.DataFrame | None, pd.DataFrame({"a": [1]})),
    (list[pd.DataFrame], [pd.DataFrame({"a": [1]})]),
    (np.ndarray, np.zeros(2)),
    (abc.Sequence[np.ndarray], [np.zeros(2)]),
    (TextIO, io.StringIO()),
    (BinaryIO, io.BytesIO()),
    (IO[str], io.StringIO()),
    (IO[bytes], io.BytesIO()),
    (IO[Any], io.BytesIO()),
    (TextIO | None, io.StringIO()),
    (UserId, 3),
    (list[UserId], [3]),
    (list[None], [None]),
    (dict[str, list[dict[str, int]]], {"a": [{"b": 1}]}),
    (list[list[int]], [Words(), [1]]),
    (Whole, 3),
]


@pytest.mark.parametrize(("hint", "value"), FITTING, ids=describe)
def test_a_value_of_the_hinted_type_arrives_as_it_is(hint: Any, value: object) -> None:
    assert give(hint, value) is value


COERCED: list[tuple[Any, Any, Any]] = [
    (abc.Iterable[int], ["1"], [1]),
    (abc.Iterable[int], ("1",), (1,)),
    (abc.Iterable[int], {"1"}, {1}),
    (abc.Iterable[int] | None, ["1"], [1]),
    (abc.Collection[int], deque(["1"]), deque([1])),
    (abc.Sequence[int], ("1",), (1,)),
    (list[int], ("1",), [1]),
    (tuple[abc.Iterable[int], float], ([1], 1), ([1], 1.0)),
    (dict[str, int], Counter({"a": "1"}), {"a": 1}),
    (list[dict[str, int]], [Counter("a"), {"b": "1"}], [Counter("a"), {"b": 1}]),
    (float, 1, 1.0),
    (int, True, 1),
    (list[int], [True], [1]),
    (date, datetime(2026, 1, 1, tzinfo=UTC), date(2026, 1, 1)),
    (Path, "/a", Path("/a")),
    (Row, {"name": "a", "size": "1", "more": 2}, {"name": "a", "size": 1, "more": 2}),
    (Pair, ("1", "a"), Pair(1, "a")),
    (Model, {"n": "2"}, Model(n=2)),
    (Point, {"x": "2"}, Point(2)),
    (Annotated[int, {"doc": "how many"}], "5", 5),
    (Annotated[int, ["unhashable"]] , "5", 5),
    (Annotated[list[int], AfterValidator(sorted)], [2, 1], [1, 2]),
    (Annotated[dict, AfterValidator(dict)], Counter("a"), {"a": 1}),
    (Annotated[abc.Iterable[int], {}], ["1"], [1]),
    (Whole, "3", 3),
    (UserId, "3", 3),
]  # fmt: skip


@pytest.mark.parametrize(("hint", "value", "wanted"), COERCED, ids=describe)
def test_another_value_is_made_to_fit(hint: Any, value: object, wanted: object) -> None:
    received = give(hint, value)
    assert received == wanted
    assert type(received) is type(wanted)
    if isinstance(received, list):
        assert list(map(type, received)) == list(map(type, wanted))  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (abc.Iterable[int], ["many"]),
        (abc.Iterable[int], 5),
        (abc.Collection[int], ["many"]),
        (abc.Sequence[str], "abc"),
        (abc.Mapping[str, int], MappingProxyType),
        (abc.AsyncIterator[int], [1]),
        (dict[str, int], Counter({"a": "many"})),
        (dict[str, list[dict[str, int]]], {"a": [{"b": "many"}]}),
        (list[list[int]], [[1], ["many"]]),
        (Row, {"size": 1}),
        (Row, {"name": 1}),
        (Pair, (1,)),
        (Closes, 1),
        (abc.Callable[[], None], 1),
        (Literal["a"], "b"),
        (TextIO, io.BytesIO()),
        (TextIO, "a path"),
        (BinaryIO, io.StringIO()),
        (IO[bytes], io.StringIO()),
        (TextIO | None, 1),
        (list[TextIO], [io.BytesIO()]),
        (pd.DataFrame, {"a": [1]}),
        (Annotated[int, {"doc": 1}], "many"),
        (Whole, "many"),
    ],
    ids=describe,
)
def test_what_does_not_fit_is_refused(hint: Any, value: object) -> None:
    with pytest.raises(ParameterTypeError, match="value"):
        give(hint, value)


def test_open_files_of_any_kind_fit(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("a")
    with path.open() as text, path.open("rb") as raw, path.open("rb", buffering=0) as bare:
        assert [give(TextIO, text), give(BinaryIO, raw), give(IO[bytes], bare)] == [text, raw, bare]
    with NamedTemporaryFile("w") as text_file, SpooledTemporaryFile() as spooled:
        assert give(TextIO, text_file) is text_file
        assert give(BinaryIO, spooled) is spooled
        with pytest.raises(ParameterTypeError):
            give(TextIO, spooled)


def test_a_hint_for_the_type_checker_only_leaves_the_others_checked(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @flow
    def load(n: int, frame: Frame | None = None, frames: list[Frame] | None = None) -> Frame:
        return n

    with caplog.at_level(logging.WARNING, "flowstone"):
        assert call(load, "7", "anything") == 7
        assert call(load.with_options(name="again"), "8") == 8
        with pytest.raises(ParameterTypeError):
            call(load, "many")
    (warning,) = caplog.messages
    assert "'load': these parameters are not validated" in warning
    assert "frame (name 'Frame' is not defined); frames (" in warning


def test_a_return_hint_is_not_looked_at(caplog: pytest.LogCaptureFixture) -> None:
    @flow
    def load(n: int) -> Frame:
        return n

    assert call(load, "7") == 7
    assert "not validated" not in caplog.text


def test_a_hint_that_says_nothing_checkable_is_named(caplog: pytest.LogCaptureFixture) -> None:
    @flow
    def use(door: Opens, doors: list[Opens], n: int) -> int:
        return n

    assert [call(use, 1, [1], "7"), call(use, 1, [1], "7")] == [7, 7]
    told = [message for message in caplog.messages if "not validated" in message]
    assert len(told) == 2
    assert "door (" in told[0]
    assert "doors (" in told[1]


def test_local_classes_partials_and_callable_objects_are_checked() -> None:
    class Local(BaseModel):
        n: int

    @flow
    def of_local(local: Local, locals_: list[Local] | None = None) -> int:
        return local.n

    class Adder:
        def __call__(self, a: int, b: int = 0) -> int:
            return a + b

    def add(a: int, b: int) -> int:
        return a + b

    assert call(of_local, {"n": "2"}) == 2
    assert call(flow(name="add")(partial(add, 1)), "2") == 3
    assert call(flow(name="adder")(Adder()), "1", "2") == 3


def test_self_is_the_class_of_the_method() -> None:
    class Version:
        @flow
        def is_same(self, other: Self) -> bool:
            return self is other

        @flow
        @classmethod
        def takes(cls, other: Self) -> bool:
            return isinstance(other, cls)

    one = Version()
    assert call(one.is_same, one)
    assert call(Version.takes, one)
    for unit in (one.is_same, Version.takes):
        with pytest.raises(ParameterTypeError):
            call(unit, 1)


def test_the_rest_of_the_arguments_is_checked() -> None:
    @flow
    def write(*numbers: int, **options: Unpack[Row]) -> Any:
        return numbers, options

    assert call(write, "1", name="a", size="2") == ((1,), {"name": "a", "size": 2})
    with pytest.raises(ParameterTypeError):
        call(write, size=1)


def test_an_async_flow_gets_its_arguments_in_the_same_way() -> None:
    received: list[Any] = []

    @flow
    async def take(xs: abc.Iterable[int], counts: dict[str, int], file: TextIO, n: int) -> None:
        received.extend([xs, counts, file, n])

    given = [1, 2], Counter("a"), io.StringIO()
    asyncio.run(call(take, *given, "7"))
    assert all(one is other for one, other in zip(received, given, strict=False))
    assert received[3] == 7


def test_a_future_s_value_arrives_as_it_is() -> None:
    @task
    def words() -> dict[str, int]:
        return Counter("ab")

    received: list[Any] = []

    @flow
    def inner(counts: dict[str, int]) -> None:
        received.append(counts)

    @flow
    def outer() -> None:
        call(inner, words.submit())

    outer()
    assert type(received[0]) is Counter


# ---------------------------------------------------------------- validators run once

calls: list[object] = []
fails: list[bool] = []


def note(value: Any) -> Any:
    calls.append(value)
    return value


class Order(BaseModel):
    sku: str
    day: date = date(2026, 1, 1)
    parts: list[Order] = []

    @field_validator("sku")
    @classmethod
    def known(cls, value: str) -> str:
        return note(value)  # type: ignore[no-any-return]


class Hashed(BaseModel):
    password: str

    @field_validator("password")
    @classmethod
    def hide(cls, value: str) -> str:
        return f"#{value}"


class Finished(BaseModel):
    n: int

    def model_post_init(self, _context: object, /) -> None:
        note(self.n)


@dataclass
class Parcel:
    weight: Annotated[int, AfterValidator(note)]
    day: date = date(2026, 1, 1)

    def __post_init__(self) -> None:
        note(self.weight)


@pytest.mark.parametrize(
    ("hint", "make"),
    [
        (Order, lambda: Order(sku="x")),
        (Order, lambda: Order(sku="x", parts=[Order(sku="y")])),
        (Order | None, lambda: Order(sku="x")),
        (list[Order], lambda: [Order(sku="x")]),
        (dict[str, Order], lambda: {"a": Order(sku="x")}),
        (Finished, lambda: Finished(n=1)),
        (Parcel, lambda: Parcel(1)),
    ],
)
def test_validators_of_a_value_run_when_it_is_made(
    services: Services, hint: Any, make: Any
) -> None:
    value = make()
    calls.clear()
    assert give(hint, value) is value
    assert calls == []
    (run,) = services.runs.runs(RunQuery())
    assert run.recipe is not None
    assert run.recipe.missing_parameters == ()


def test_validators_of_a_parameter_run_once() -> None:
    calls.clear()
    assert give(Annotated[Path, AfterValidator(note)], "/a") == Path("/a")
    assert give(Annotated[Path, BeforeValidator(note)], Path("/b")) == Path("/b")
    assert give(Order, {"sku": "x"}) == Order.model_construct(sku="x")
    assert calls == [Path("/a"), Path("/b"), "x"]


@flow
def ship(order: Order) -> str:
    if fails.pop():
        raise ValueError("not yet")
    return order.sku


@flow
def log_in(user: Hashed) -> str:
    if fails.pop():
        raise ValueError("not yet")
    return user.password


def test_a_retried_run_gets_its_model_again(services: Services) -> None:
    fails[:] = [False, True]
    order = Order(sku="x", parts=[Order(sku="y")])
    ship(order, return_state=True)
    (run,) = services.runs.runs(RunQuery())
    assert retry_flow_run(run.id).result() == "x"


def test_a_model_that_its_validators_change_again_is_not_taken_for_the_same(
    services: Services,
) -> None:
    fails[:] = [True]
    log_in(Hashed(password="x"), return_state=True)
    (run,) = services.runs.runs(RunQuery())
    with pytest.raises(NotRepeatable, match="the validators of parameter 'user'"):
        retry_flow_run(run.id)


class Shade(Enum):
    DARK = "dark"


def test_what_is_no_json_comes_again(services: Services) -> None:
    for hint, value in ((Shade, Shade.DARK), (set[str], {"a", "b"}), (Path, Path("/a"))):
        give(hint, value)
    assert all(
        run.recipe is not None and run.recipe.missing_parameters == ()
        for run in services.runs.runs(RunQuery())
    )
