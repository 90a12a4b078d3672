"""Results come back equal and of the same types: `load(save(x)) == x`, for each serializer."""

from __future__ import annotations

import dataclasses
import enum
import json
import pickle
import subprocess
import sys
import textwrap
from collections import Counter, OrderedDict, defaultdict, deque
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from ipaddress import IPv4Address, IPv6Network
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import numpy as np
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, RootModel, SecretBytes, SecretStr, field_validator

from flowstone import task
from flowstone.errors import (
    ConfigurationError,
    NotSerializable,
    SecretUnreadable,
    UnknownName,
    UnreadableResult,
)
from flowstone.serializers import (
    CompressedJSONSerializer,
    CompressedSerializer,
    JSONSerializer,
    PickleSerializer,
    find_serializer,
)

from .runners.test_process_errors import KINDS, describe

if TYPE_CHECKING:
    from flowstone.context.current import Services
    from flowstone.ports import Serializer


class Colour(enum.Enum):
    RED = "red"


class Word(enum.StrEnum):
    YES = "yes"


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Model(BaseModel):
    x: int = 1
    when: date | None = None
    inner: Model | None = None
    anything: Any = None


class Aliased(BaseModel):
    count: int = Field(alias="Count")


class Loose(BaseModel, extra="allow"):
    a: int


class Numbers(RootModel[list[int]]):
    pass


class Trimmed(BaseModel):
    text: str

    @field_validator("text")
    @classmethod
    def trim(cls, value: str) -> str:
        return value.strip()


class Hashed(BaseModel):
    password: str

    @field_validator("password")
    @classmethod
    def hide(cls, value: str) -> str:
        return f"#{value}"


@dataclasses.dataclass(frozen=True)
class Point:
    y: int = 2
    tags: frozenset[str] = frozenset()
    more: Any = None


@dataclasses.dataclass(slots=True)
class Doubled:
    n: int
    twice: int = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self.n *= 2
        self.twice = 2 * self.n


@pydantic.dataclasses.dataclass
class Checked:
    n: int


class Pair(NamedTuple):
    left: int
    right: Any


class Busy(Exception):
    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code


SERIALIZERS: list[Serializer] = [
    JSONSerializer(),
    PickleSerializer(),
    PickleSerializer(picklelib="pickle"),
    CompressedSerializer(),
    CompressedSerializer("json", "zlib"),
    CompressedJSONSerializer("bz2"),
]
by_each = pytest.mark.parametrize(
    "serializer", SERIALIZERS, ids=lambda each: f"{each.type}-{getattr(each, 'picklelib', '')}"
)


def same(one: Any, other: Any) -> bool:
    """Return whether two values are equal, with all their types, and in the order of their keys."""
    if type(one) is not type(other) or one != other:
        return False
    if isinstance(one, dict):
        return same(list(one.items()), list(other.items()))
    if isinstance(one, (list, tuple, deque)):
        return all(map(same, one, other))
    if isinstance(one, BaseModel):
        return same(one.__dict__, other.__dict__)
    if dataclasses.is_dataclass(one):
        return all(
            same(getattr(one, f.name), getattr(other, f.name)) for f in dataclasses.fields(one)
        )
    if isinstance(one, (datetime, time)):
        return repr(one) == repr(other)
    return True


VALUES: list[Any] = [
    uuid4(),
    datetime(2026, 1, 1, tzinfo=UTC),
    datetime(2026, 1, 1, 12, 30, 15, 123456),  # noqa: DTZ001 - naive ones are values too
    datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1),
    datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=5, minutes=30), "IST")),
    date(2026, 1, 1),
    time(12, 30, tzinfo=UTC),
    timedelta(days=-1, microseconds=1),
    UTC,
    ZoneInfo("UTC"),
    Model(x=2, when=date(2026, 1, 1), inner=Model(), anything={1: (2, b"3")}),
    Aliased(Count=2),
    Loose(a=1, b=(1, 2)),
    Numbers([1, 2]),
    Trimmed(text=" a "),
    Point(3, frozenset({"a"}), Decimal("1.10")),
    Doubled(2),
    Checked(1),
    Pair(1, Path("/a")),
    b"x\xff",
    bytearray(b"x"),
    {1, 2},
    {(1, "a"), (2, "b")},
    frozenset({"a"}),
    (1, (2, "a")),
    (),
    Path("/a/b"),
    PurePosixPath("a"),
    PureWindowsPath("c:/a"),
    Decimal("1.10"),
    Fraction(1, 3),
    1 + 2j,
    range(1, 9, 2),
    Colour.RED,
    Word.YES,
    Access.READ | Access.WRITE,
    Counter("aab"),
    OrderedDict([(2, "b"), (1, "a")]),
    defaultdict(list, a=[1]),
    deque([1, 2], maxlen=3),
    IPv4Address("1.2.3.4"),
    IPv6Network("::/64"),
    {1: "int", "1": "text", None: 0, (1, 2): 3},
    {"__type__": "datetime", "value": "2026"},
    {"a": [None, True, 1, 1.5, "ü", "\ud800"]},
    float("inf"),
    10**30,
    ...,
]


@by_each
@pytest.mark.parametrize("value", VALUES, ids=lambda each: type(each).__name__)
def test_a_value_comes_back(serializer: Serializer, value: object) -> None:
    assert same(serializer.loads(serializer.dumps(value)), value)
    deep = {"deep": [value, {"deeper": value}]}
    assert same(serializer.loads(serializer.dumps(deep)), deep)


zones = st.sampled_from([None, UTC, ZoneInfo("Europe/Berlin"), timezone(timedelta(seconds=90))])
hashable = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False),
        st.text(),
        st.binary(),
        st.uuids(),
        st.dates(),
        st.datetimes(timezones=zones, allow_imaginary=False),
        st.times(),
        st.timedeltas(),
        st.decimals(allow_nan=False),
        st.fractions(),
        st.complex_numbers(allow_nan=False),
        st.ip_addresses(),
        st.sampled_from([*Colour, *Word, *Access, Access.READ | Access.WRITE]),
        st.builds(PurePosixPath, st.text(st.characters(codec="ascii", exclude_characters="\0"))),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(tuple),
        st.frozensets(inner, max_size=3),
        st.builds(Pair, st.integers(), inner),
        st.builds(Point, st.integers(), st.frozensets(st.text(), max_size=2), inner),
    ),
    max_leaves=5,
)
results = st.recursive(
    hashable,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(hashable, inner, max_size=3),
        st.dictionaries(st.sampled_from(["__type__", "value"]), inner),
        st.sets(hashable, max_size=3),
        st.dictionaries(st.text(), inner, max_size=3).map(OrderedDict),
        st.lists(inner, max_size=3).map(deque),
        st.builds(Model, x=st.integers(), anything=inner),
        st.builds(lambda item: Loose(a=1, more=item), inner),
    ),
    max_leaves=10,
)


@by_each
@given(value=results)
def test_any_result_comes_back(serializer: Serializer, value: object) -> None:
    assert same(serializer.loads(serializer.dumps(value)), value)


@pytest.mark.parametrize("name", sorted(KINDS.keys() - {"pydantic", "circle"}))
def test_an_exception_comes_back_from_json(services: Services, name: str) -> None:
    error, serializer = KINDS[name](), JSONSerializer()
    assert describe(serializer.loads(serializer.dumps(error))) == describe(error)


def test_what_of_an_exception_json_has_not_is_left_out() -> None:
    error = Busy("busy", code=503)
    error.response = object()  # type: ignore[attr-defined]
    error.__cause__ = ValueError("below")
    error.__cause__.__cause__ = error  # in a circle
    again = JSONSerializer().loads(JSONSerializer().dumps(error))
    assert (type(again), again.code, str(again)) == (Busy, 503, "busy")
    assert again.__cause__ is None
    assert again.__notes__ == ["These attributes could not be pickled and were dropped: response."]


@pytest.mark.parametrize("value", [object(), lambda: 1, np.int64(1), int, open, print])
def test_what_json_has_not_is_refused(value: object) -> None:
    with pytest.raises(NotSerializable, match="'json' serializer"):
        JSONSerializer().dumps([value])


def test_what_would_not_come_back_is_refused() -> None:
    class Local(BaseModel):
        n: int

    nested: list[object] = []
    nested.append(nested)
    refused: list[object] = [Local(n=1), Hashed(password="x"), nested, defaultdict(lambda: 1)]
    for value in refused:
        with pytest.raises(NotSerializable):
            JSONSerializer().dumps(value)


def test_plain_json_stays_as_it_is() -> None:
    value = {"a": [1, 2.5, None, True, "ü"]}
    assert JSONSerializer().dumps(value) == '{"a":[1,2.5,null,true,"ü"]}'.encode()
    assert json.loads(JSONSerializer().dumps({"a": (1, 2)})) == {
        "a": {"__type__": "tuple", "value": [1, 2]}
    }


@pytest.mark.parametrize("value", [SecretStr("hunter2-word"), SecretBytes(b"hunter2-word")])
@by_each
def test_a_secret_is_sealed(services: Services, serializer: Serializer, value: object) -> None:
    content = serializer.dumps({"deep": [value]})
    assert b"hunter2-word" not in content
    if serializer.type == "json":
        with pytest.raises(SecretUnreadable):
            serializer.loads(content[:-40] + b"A" * 33 + content[-7:])
    assert serializer.loads(content) == {"deep": [value]}


# ---------------------------------------------------------------- what a document may not do


@pytest.mark.parametrize(
    "document",
    [
        '{"__type__": "os:system", "value": "echo"}',
        '{"__type__": "subprocess:Popen", "value": {"args": ["echo"]}}',
        '{"__type__": "builtins:eval", "value": "1"}',
        '{"__type__": "builtins:object", "value": {}}',
        '{"__type__": "pathlib:Path", "value": "/"}',
        '{"__type__": "nothing", "value": 1}',
        '{"__type__": 1, "value": 1}',
        '{"__type__": ["a"], "value": 1}',
        '{"__type__": "core.tests.test_serializers:json.loads", "value": "1"}',
        '{"__type__": "core.tests.test_serializers:Missing", "value": {}}',
        '{"__type__": "core.tests.test_serializers:Model", "value": {"x": "many"}}',
        '{"__type__": "core.tests.test_serializers:Point", "value": {"other": 1}}',
        '{"__type__": "core.tests.test_serializers:Colour", "value": "BLUE"}',
        '{"__type__": "datetime", "value": "never"}',
        '{"__type__": "UUID", "value": "x"}',
        '{"__type__": "bytes", "value": 5}',
        '{"__type__": "SecretStr", "value": "x"}',
        "not json",
        "",
    ],
)
def test_a_document_makes_nothing_but_data(services: Services, document: str) -> None:
    with pytest.raises((UnreadableResult, SecretUnreadable)):
        JSONSerializer().loads(document.encode())


def test_a_document_imports_nothing() -> None:
    for name in ("antigravity", "xmlrpc.client"):
        assert name not in sys.modules
        with pytest.raises(UnreadableResult, match="import its module first"):
            JSONSerializer().loads(f'{{"__type__": "{name}:Fault", "value": {{}}}}'.encode())
        assert name not in sys.modules


# ---------------------------------------------------------------- what serializers take


class Money:
    def __init__(self, cents: int) -> None:
        self.cents = cents


def encode_money(value: object) -> object:
    if isinstance(value, Money):
        return {"cents": value.cents}
    raise TypeError


def decode_money(value: dict[str, Any]) -> object:
    return Money(value["cents"]) if value.keys() == {"cents"} else value


@pytest.mark.parametrize("as_names", [False, True])
def test_json_takes_an_encoder_and_a_decoder(as_names: bool) -> None:
    encoder: Any = f"{__name__}.encode_money" if as_names else encode_money
    decoder: Any = f"{__name__}:decode_money" if as_names else decode_money
    serializer = JSONSerializer(object_encoder=encoder, object_decoder=decoder)
    again = serializer.loads(
        serializer.dumps({"price": [Money(5)], "at": date(2026, 1, 1), "t": (1,)})
    )
    assert again["price"][0].cents == 5
    assert again["at"] == date(2026, 1, 1)
    assert again["t"] == (1,)


def test_json_takes_another_library_and_its_arguments(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "shouting_json.py").write_text(
        textwrap.dedent("""
            import json
            def dumps(value, loud=True): return json.dumps(value).encode() + b"!" * loud
            def loads(content, quiet=False): return json.loads(content.rstrip(b"!"))
        """)
    )
    monkeypatch.syspath_prepend(tmp_path)
    serializer = JSONSerializer(jsonlib="shouting_json")
    assert serializer.dumps([1]) == b"[1]!"
    assert serializer.loads(serializer.dumps({1: (2,)})) == {1: (2,)}
    quiet = JSONSerializer("shouting_json", dumps_kwargs={"loud": False}, loads_kwargs={"quiet": 1})
    assert quiet.loads(quiet.dumps([1])) == [1]
    assert JSONSerializer(dumps_kwargs={"indent": 1}).dumps([1]) == b"[\n 1\n]"


@pytest.mark.parametrize(
    "make",
    [
        lambda: JSONSerializer(jsonlib="no_such_library"),
        lambda: JSONSerializer(jsonlib="math"),
        lambda: JSONSerializer(object_encoder="no.such.function"),
        lambda: JSONSerializer(object_decoder=5),  # type: ignore[arg-type]
        lambda: PickleSerializer(picklelib="no_such_library"),
        lambda: PickleSerializer(picklelib="json"),
        lambda: CompressedSerializer("json", compressionlib="rar"),
    ],
)
def test_what_there_is_not_is_refused_at_once(make: Any) -> None:
    with pytest.raises(ConfigurationError):
        make()


def test_compression_takes_a_serializer_by_its_name() -> None:
    assert CompressedSerializer().type == "compressed/pickle"
    assert CompressedSerializer("json", compressionlib="gzip").type == "compressed/json/gzip"
    assert find_serializer("compressed/json/gzip").loads(
        CompressedSerializer(serializer="json", compressionlib="gzip").dumps((1,))
    ) == (1,)
    with pytest.raises(UnknownName):
        CompressedSerializer("yaml")


def test_serializers_are_pickled_with_their_arguments() -> None:
    for serializer in (
        PickleSerializer("pickle"),
        CompressedSerializer("json", "bz2"),
        JSONSerializer(object_encoder=encode_money, object_decoder=decode_money),
    ):
        again = pickle.loads(pickle.dumps(serializer))
        assert again.type == serializer.type
        assert again.loads(serializer.dumps({"a": (1,)})) == {"a": (1,)}


# ---------------------------------------------------------------- as results

made: list[object] = []


def test_a_result_comes_back_by_the_options_of_its_serializer(services: Services) -> None:
    serializer = JSONSerializer(object_encoder=encode_money, object_decoder=decode_money)

    @task(persist_result=True, result_serializer=serializer, cache_key_fn=lambda *_: "money")
    def pay() -> Money:
        made.append(1)
        return Money(5)

    made.clear()
    states = [pay(return_state=True) for _ in range(2)]
    assert [state.result().cents for state in states] == [5, 5]
    assert [state.name for state in states] == ["Completed", "Cached"]
    assert len(made) == 1


@pytest.mark.parametrize("value", [Model(), Point(), UUID(int=1), {1}, b"x", (1, 2), Path("/a")])
@pytest.mark.parametrize("name", ["json", "compressed/json"])
def test_a_cached_result_in_json_is_the_same(services: Services, name: str, value: object) -> None:
    @task(persist_result=True, result_serializer=name, cache_key_fn=lambda *_: "kept")
    def give() -> object:
        return value

    assert same(give(), value)
    again = give(return_state=True)
    assert again.name == "Cached"
    assert same(again.result(), value)


def test_a_program_reads_what_it_wrote_before(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent("""
            import sys
            from dataclasses import dataclass
            from pathlib import Path
            from flowstone.serializers import JSONSerializer

            @dataclass
            class Point:
                x: int

            file = Path("kept.json")
            if not file.exists():
                file.write_bytes(JSONSerializer().dumps([Point(1), ValueError("a")]))
            else:
                print(*map(repr, JSONSerializer().loads(file.read_bytes())))
        """)
    )
    command = [sys.executable, str(program)]
    subprocess.run(command, check=True, cwd=tmp_path)
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "Point(x=1) ValueError('a')" in done.stdout
