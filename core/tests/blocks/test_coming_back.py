"""Whatever `save` accepts, `load` gives back: equal, and of the same types to the bottom."""

from __future__ import annotations

import ast
import datetime as dt
import enum
import math
import operator
import re
import uuid
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, ClassVar, Generic, Literal, NamedTuple, Self, TypeVar
from zoneinfo import ZoneInfo

import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    AnyUrl,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    HttpUrl,
    Json,
    PrivateAttr,
    RootModel,
    SecretBytes,
    SecretStr,
    WrapValidator,
    computed_field,
    create_model,
    field_validator,
    model_validator,
)
from typing_extensions import TypedDict

from flowstone.blocks import Block, Secret, SecretDict, Variable
from flowstone.blocks.exact import is_same
from flowstone.context.current import Services
from flowstone.errors import BlockInvalid, DocumentInvalid, FlowstoneError
from flowstone.secrets.values import Reference
from flowstone.serializers import PickleSerializer

pytestmark = pytest.mark.usefixtures("services")

T = TypeVar("T")


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Right(enum.Flag):
    READ = 1
    WRITE = 2


class Hosts(RootModel[list[str]]):
    pass


class Target(BaseModel):
    host: str


class CloudTarget(Target):
    region: str = "eu"
    _seen: int = PrivateAttr(default=0)


class LockedTarget(CloudTarget):
    _lock: object = PrivateAttr(default_factory=object)


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    age: int


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    age: int


class Box(BaseModel, Generic[T]):
    content: T


class Loose(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)
    a: int = Field(alias="the a")

    @computed_field
    def twice(self) -> int:
        return 2 * self.a


@dataclass(frozen=True, slots=True)
class Point:
    x: int
    at: dt.date | None = None
    secret: SecretStr | None = None
    inner: tuple[Point, ...] = field(default=())


class Named(NamedTuple):
    a: int
    b: Decimal


class Typed(TypedDict):
    a: int
    b: dt.date


class Upper(str):
    __slots__ = ()


texts = st.text(st.characters(codec="utf-8"), max_size=9)
ints = st.integers(-(2**70), 2**70)
dates = st.dates()
decimals = st.decimals(allow_nan=False, allow_infinity=False)
aware = st.datetimes(timezones=st.sampled_from([dt.UTC, dt.timezone(dt.timedelta(hours=2))]))
secrets_ = texts.map(SecretStr)
points = st.builds(Point, st.integers(), dates, secrets_, st.just((Point(1),)))
clouds = st.builds(CloudTarget, host=texts, region=texts)

FIELDS: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "str": (str, texts | st.sampled_from(["env:A", "literal:x", "$block", "2020-01-01", "null"])),
    "int": (int, ints),
    "float": (float, st.floats(allow_nan=False)),
    "bool": (bool, st.booleans()),
    "bytes": (bytes, st.binary(max_size=9)),
    "date": (dt.date, dates),
    "datetime": (dt.datetime, st.datetimes()),
    "aware": (AwareDatetime, aware),
    "time": (dt.time, st.times()),
    "timedelta": (dt.timedelta, st.timedeltas()),
    "decimal": (Decimal, decimals),
    "fraction": (Fraction, st.fractions()),
    "complex": (complex, st.complex_numbers(allow_nan=False)),
    "uuid": (uuid.UUID, st.uuids()),
    "path": (Path, st.sampled_from([Path("a/b"), Path("/x"), Path()])),
    "pure path": (PurePosixPath, st.sampled_from([PurePosixPath("a/b")])),
    "enum": (Colour, st.sampled_from(Colour)),
    "int enum": (Level, st.sampled_from(Level)),
    "flag": (Right, st.sampled_from([Right.READ, Right.READ | Right.WRITE, Right(0)])),
    "literal": (Literal["a", 1, True], st.sampled_from(["a", 1])),
    "zone": (ZoneInfo, st.sampled_from([ZoneInfo("Europe/Paris"), ZoneInfo("UTC")])),
    "ipv4": (IPv4Address, st.ip_addresses(v=4)),
    "ipv6": (IPv6Address, st.ip_addresses(v=6)),
    "network": (IPv4Network, st.just(IPv4Network("10.0.0.0/8"))),
    "pattern": (
        re.Pattern[str],
        st.sampled_from([re.compile("a+"), re.compile("b", re.IGNORECASE)]),
    ),
    "url": (HttpUrl, st.just(HttpUrl("https://me:pw@example.org/a?b=c"))),
    "any url": (AnyUrl, st.just(AnyUrl("ftp://example.org/a"))),
    "bytesize": (ByteSize, st.just(ByteSize(1024))),
    "list": (list[int], st.lists(ints, max_size=3)),
    "tuple": (tuple[int, str], st.tuples(ints, texts)),
    "set": (set[dt.date], st.sets(dates, max_size=3)),
    "frozenset": (frozenset[int], st.frozensets(ints, max_size=3)),
    "deque": (deque[int], st.lists(ints, max_size=3).map(deque)),
    "dict of dates": (dict[dt.date, Decimal], st.dictionaries(dates, decimals)),
    "dict of ints": (dict[int, str], st.dictionaries(ints, texts)),
    "dict of $": (dict[str, int], st.dictionaries(st.sampled_from(["$block", "$ref", "a"]), ints)),
    "ordered": (OrderedDict[str, int], st.just(OrderedDict(b=1, a=2))),
    "defaultdict": (defaultdict[str, list[int]], st.just(defaultdict(list, a=[1]))),
    "counter": (Counter[str], st.just(Counter("aab"))),
    "named tuple": (Named, st.builds(Named, ints, decimals)),
    "typed dict": (Typed, st.fixed_dictionaries({"a": ints, "b": dates})),
    "union": (int | str | dt.date | Decimal, ints | texts | dates | decimals),
    "texts first": (str | dt.date | Path, texts | dates | st.just(Path("a"))),
    "discriminated": (
        Annotated[Cat | Dog, Field(discriminator="kind")],
        st.builds(Cat, age=ints) | st.builds(Dog, age=ints),
    ),
    "look-alikes": (
        Cat | Box[int] | Dog,
        st.builds(Dog, age=ints) | st.builds(Box[int], content=ints),
    ),
    "root model": (Hosts, st.lists(texts, max_size=3).map(Hosts)),
    "model": (Target, st.builds(Target, host=texts)),
    "subclass": (Target, clouds),
    "generic": (Box[dt.date], st.builds(Box[dt.date], content=dates)),
    "extra and alias": (Loose, st.just(Loose(**{"the a": 1, "b": [1], "c": dt.date(2020, 1, 1)}))),
    "dataclass": (Point, points),
    "secret": (SecretStr, secrets_),
    "secret bytes": (SecretBytes, st.binary(max_size=9).map(SecretBytes)),
    "secret date": (pydantic.Secret[dt.date], dates.map(pydantic.Secret)),
    "secret dict": (SecretDict, st.dictionaries(texts, texts, max_size=2).map(SecretDict)),
    "secret bytes in any": (pydantic.Secret[Any], st.just(pydantic.Secret(b"\xff"))),
    "block": (Variable, st.builds(Variable, value=ints)),
    "block with a secret": (Secret, st.builds(Secret, value=texts)),
    "json": (Json[dict[str, int]], st.just({"a": 1})),
}
#: What pydantic takes as this type only as a text.
WRITTEN: dict[str, Callable[[Any], Any]] = {"json": lambda _: '{"a": 1}'}


def check(block: Block) -> Block:
    block.save("one", overwrite=True)
    loaded = type(block).load("one")
    assert loaded == block
    assert is_same(loaded, block)
    pickled = PickleSerializer().loads(PickleSerializer().dumps(block))
    assert pickled == block
    assert is_same(pickled, block)
    return loaded


def make_block(name: str) -> type[Block]:
    hint: Any = FIELDS[name][0]
    return create_model(
        "Holder",
        __base__=Block,
        bare=(hint, ...),
        maybe=(hint | None if name != "pattern" else hint, None),
        many=(list[hint], ...),
        named=(dict[str, hint], ...),
        pair=(tuple[hint, int], ...),
    )


@pytest.mark.parametrize("name", FIELDS)
def test_every_type_of_field_comes_back(name: str) -> None:
    kind = make_block(name)
    write = WRITTEN.get(name, lambda value: value)

    @settings(
        max_examples=12, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(FIELDS[name][1])
    def comes_back(value: Any) -> None:
        given_ = write(value)
        check(kind(bare=given_, maybe=given_, many=[given_], named={"a": given_}, pair=(given_, 1)))

    comes_back()


class Anything(Block):
    model_config = ConfigDict(extra="allow")
    value: Any = None


@pytest.mark.parametrize("name", [name for name in FIELDS if name != "pattern"])
def test_what_a_field_of_any_type_holds_comes_back(name: str) -> None:
    @settings(max_examples=8, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(FIELDS[name][1])
    def comes_back(value: Any) -> None:
        check(Anything(value=[value, {"a": (value, {1: value})}], further=value))

    comes_back()


def test_numbers_that_are_none_come_back() -> None:
    class Measure(Block):
        value: float = math.nan
        many: tuple[Decimal, ...] = (Decimal("NaN"), Decimal("-Infinity"))
        least: float = -math.inf

    Measure().save("m")
    assert is_same(Measure.load("m"), Measure())


# ---------------------------------------------------------------- validators


def add_mark(text: str) -> str:
    return f"{text}!"


def only_unmarked(text: str) -> str:
    if text.endswith("!"):
        raise ValueError("it is marked already")
    return add_mark(text)


class Remarked(Block):
    text: Annotated[str, AfterValidator(add_mark)] = "a"


class Split(Block):
    text: Annotated[list[str], BeforeValidator(lambda text: text.split(","))]


class Refusing(Block):
    text: Annotated[str, AfterValidator(only_unmarked)]


class Wrapping(Block):
    text: Annotated[str, WrapValidator(lambda text, read: read(text) * 2)]


class Decorated(Block):
    token: SecretStr
    when: dt.date = dt.date(2020, 1, 1)
    spare: Remarked = Field(default_factory=lambda: Remarked(text="b"))

    @field_validator("token")
    @classmethod
    def _double(cls, token: SecretStr) -> SecretStr:
        return SecretStr(token.get_secret_value() * 2)


class Counted(Block):
    count: int = 0
    text: str = "a"

    @model_validator(mode="after")
    def _count(self) -> Counted:
        self.__dict__["count"] += 1
        return self


class Renaming(Block):
    count: int = 0

    @model_validator(mode="before")
    @classmethod
    def _only_old(cls, data: Any) -> Any:
        return {"count": data["old"]}


@pytest.mark.parametrize(
    "make",
    [
        lambda: Remarked(text="a"),
        lambda: Split(text="a,b"),
        lambda: Refusing(text="a"),
        lambda: Wrapping(text="ab"),
        lambda: Decorated(token="tell-nobody"),
        lambda: Counted(text="b"),
        lambda: Renaming.model_validate({"old": 3}),
        lambda: Anything(value=[Remarked(text="x")], further=Remarked(text="y")),
    ],
)
def test_validators_are_for_what_people_pass(make: Callable[[], Block]) -> None:
    block = make()
    for _ in range(2):
        block = check(block)
    assert block == make()


def test_what_was_saved_past_validators_has_its_secrets_sealed(services: Services) -> None:
    Decorated(token="canary-4711").save("d")
    body = services.documents.get("block:decorated", "d").body
    assert "exact" in body
    assert "canary" not in repr(body)


def test_a_reference_comes_back_past_validators(monkeypatch: pytest.MonkeyPatch) -> None:
    class Pair(Remarked):
        token: SecretStr
        more: SecretDict = SecretDict({})

    monkeypatch.setenv("PAIR_TOKEN", "tell-nobody")
    block = Pair(token="env:PAIR_TOKEN", more={"a": "env:PAIR_TOKEN", "b": "text"})
    loaded = check(block)
    assert isinstance(loaded, Pair)
    assert loaded.token.get_secret_value() == "tell-nobody"
    assert loaded.more.get_secret_value() == {"a": "tell-nobody", "b": "text"}
    assert isinstance(loaded.token, Reference)
    assert loaded.token.place == "Pair.token"


def test_a_block_is_prepared_once_when_it_is_loaded_and_not_when_it_is_saved() -> None:
    prepared: list[str] = []

    class Prepared(Remarked):
        def block_initialization(self) -> None:
            prepared.append(self.text)

    Prepared(text="a").save("p")
    assert Prepared.load("p").text == "a!"
    assert prepared == ["a!", "a!"]


def test_private_attributes_of_models_come_back() -> None:
    target, locked = CloudTarget(host="h"), LockedTarget(host="l")
    target._seen = locked._seen = 3
    found = check(Anything(value=target))
    assert isinstance(found, Anything)
    assert found.value._seen == 3
    Anything(value=locked).save("locked")
    loaded = Anything.load("locked").value
    assert loaded._seen == 3
    assert loaded._lock is not locked._lock


# ---------------------------------------------------------------- what can't be kept


class Opaque:
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Opaque)

    __hash__ = None  # type: ignore[assignment]


def test_what_cannot_come_back_is_refused() -> None:
    class LocalTarget(Target):
        port: int = 1

    for value in (Opaque(), operator.add, int, LocalTarget(host="h"), ast.parse("1"), object()):
        with pytest.raises(BlockInvalid, match="value"):
            Anything(value=[value]).save("refused")
    with pytest.raises(FlowstoneError):
        Anything.load("refused")


# ---------------------------------------------------------------- what was saved before, and later


def test_a_document_without_exact_forms_is_validated_as_before(services: Services) -> None:
    body = {"type": "remarked", "schema": 1, "fields": {"text": "a"}}
    services.documents.put("block:remarked", "old", body, expected=None)
    assert Remarked.load("old").text == "a!"


def test_a_newer_type_migrates_what_was_saved_past_validators(services: Services) -> None:
    class Note(Block):
        text: Annotated[str, AfterValidator(add_mark)]

    Note(text="a").save("n")

    class Later(Block):
        _block_type_slug = "note"
        schema_version = 2
        migrations: ClassVar[Any] = {1: lambda old: {"words": [old["text"]]}}
        words: list[str]

    assert Later.load("n").words == ["a!"]


def test_a_type_that_is_gone_is_named(services: Services) -> None:
    Anything(value=CloudTarget(host="h")).save("gone")
    found = services.documents.get("block:anything", "gone")
    body = {**found.body, "exact": {"value": {"$model": {"fields": {}}, "type": "no.such:Target"}}}
    services.documents.put("block:anything", "gone", body, expected=None)
    with pytest.raises(DocumentInvalid, match=r"there is no class 'no.such:Target'"):
        Anything.load("gone")
    body = {**found.body, "exact": {"value": 1, "nothing": 2}}
    services.documents.put("block:remarked", "odd", {**body, "type": "remarked"}, expected=None)
    with pytest.raises(DocumentInvalid, match="value: there is no such field any more"):
        Remarked.load("odd")


@pytest.mark.parametrize("value", [SecretStr("hunter2-x"), SecretBytes(b"hunter2-x"), "hunter2-x"])
def test_a_secret_of_a_secret_is_the_secret(value: Any) -> None:
    want = b"hunter2-x" if isinstance(value, SecretBytes) else "hunter2-x"
    Secret(value=value).save("pw")
    assert Secret.load("pw").get() == want
    block = Secret(value={"a": [value]})
    assert check(block).get() == {"a": [want]}  # type: ignore[attr-defined]
    block.value = pydantic.Secret(value)
    assert block.get() == want


class Trap:
    calls: ClassVar[list[object]] = []

    def __new__(cls, *args: object) -> Self:
        cls.calls.append(args)
        return super().__new__(cls)

    def update(self, *args: object) -> None:
        self.calls.append(args)


@pytest.mark.parametrize(
    "form",
    [
        {"$items": ["x"]},
        {"$pairs": []},
        {"$model": {"fields": {}}},
        {"$data": {}},
        {"$of": "x"},
        {"$ref": "env:X"},
        {"$secret": "x", "as": "exact"},
        {"$of": "x", "$data": {}},
        {"$of": "x", "$pairs": []},
        {},
    ],
    ids=str,
)
def test_a_document_calls_no_class_that_such_a_form_is_not_made_of(
    form: dict[str, Any], services: Services
) -> None:
    Anything(value=CloudTarget(host="h")).save("bad")
    found = services.documents.get("block:anything", "bad")
    value = {**form, "type": f"{__name__}:Trap"}
    body = {**found.body, "exact": {"value": value}}
    services.documents.put("block:anything", "bad", body, expected=None)
    with pytest.raises(DocumentInvalid, match="the whole block"):
        Anything.load("bad")
    assert Trap.calls == []


@pytest.mark.parametrize(
    "form", [{"$items": ["x"]}, {"$pairs": 3, "type": "builtins:dict"}], ids=str
)
def test_a_damaged_document_is_told(form: dict[str, Any], services: Services) -> None:
    Anything(value=CloudTarget(host="h")).save("bad")
    found = services.documents.get("block:anything", "bad")
    body = {**found.body, "exact": {"value": form}}
    services.documents.put("block:anything", "bad", body, expected=None)
    with pytest.raises(DocumentInvalid, match="its exact form is damaged"):
        Anything.load("bad")


@pytest.mark.parametrize(
    ("value", "more"),
    [
        (deque([1, 2], maxlen=2), operator.attrgetter("maxlen")),
        (defaultdict(list, a=[1]), operator.attrgetter("default_factory")),
    ],
    ids=["deque", "defaultdict"],
)
def test_a_container_comes_back_with_what_it_has_beside_its_items(
    value: Any, more: Callable[[Any], object]
) -> None:
    Anything(value=value).save("container")
    again = Anything.load("container").value
    assert again == value
    assert more(again) == more(value)
    pickled = PickleSerializer().loads(PickleSerializer().dumps(Anything(value=value)))
    assert more(pickled.value) == more(value)


def test_a_defaultdict_whose_factory_is_code_is_refused() -> None:
    with pytest.raises(BlockInvalid, match="is code"):
        Anything(value=defaultdict(lambda: 1, a=2)).save("factory")
