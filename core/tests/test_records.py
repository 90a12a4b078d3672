"""A record is to everybody what a dataclass of the same fields is; only defining it costs less."""

from __future__ import annotations

import dataclasses
import inspect
import pickle
import sys
from copy import copy, deepcopy
from typing import Generic, TypeVar, get_type_hints

import pytest

from flowstone.records.record import draft, evolve, fact, field, make_reader, record

T = TypeVar("T")


@record
class Point(Generic[T]):
    """A record."""

    x: int
    label: str = "a"
    seen: list[int] = field(default_factory=list, show=False)
    at: float = field(default=0.0, compare=False, metadata={"unit": "s"})

    def __post_init__(self) -> None:
        if self.x < 0:
            raise ValueError(self.x)

    @property
    def twice(self) -> int:
        return 2 * self.x


@dataclasses.dataclass(frozen=True, slots=True)
class Plain(Generic[T]):
    """The same, as a dataclass."""

    x: int
    label: str = "a"
    seen: list[int] = dataclasses.field(default_factory=list, repr=False)
    at: float = dataclasses.field(default=0.0, compare=False, metadata={"unit": "s"})


@fact
class Born:
    id: str
    tags: tuple[str, ...] = ()


@fact
class Moved(Born):
    version: int = 1


@draft
class Filled:
    id: str
    rows: list[int] = field(default_factory=list)


@fact
class Asked:
    """No fields."""


def test_it_is_made_and_shown_as_a_dataclass_is() -> None:
    point = Point[int](1, at=2.0)
    assert repr(point) == repr(Plain(1, at=2.0)).replace("Plain", "Point")
    assert (point.x, point.label, point.seen, point.at, point.twice) == (1, "a", [], 2.0, 2)
    assert point.seen is not Point(1).seen
    assert not hasattr(point, "__dict__")


def test_its_signature_is_that_of_a_dataclass() -> None:
    assert str(inspect.signature(Point)) == str(inspect.signature(Plain))
    assert get_type_hints(Point.__init__)["seen"] == list[int]


@pytest.mark.parametrize("given", [{}, {"x": 1, "y": 2}])
def test_wrong_arguments_are_refused_as_a_dataclass_refuses_them(given: dict[str, int]) -> None:
    told = []
    for kind in (Point, Plain):
        with pytest.raises(TypeError) as caught:
            kind(**given)  # type: ignore[arg-type]
        told.append(str(caught.value).replace("Plain", "Point"))
    assert told[0] == told[1]


def test_it_is_checked_after_it_was_made() -> None:
    with pytest.raises(ValueError, match="-1"):
        Point(-1)


def test_it_is_equal_by_the_fields_that_are_compared() -> None:
    assert Point(1) == Point(1, at=3.0)
    assert Point(1) != Point(2)
    assert Born("a") != Moved("a")
    assert Asked() == Asked()
    assert len({Born("a"), Born("a"), Born("b")}) == 2
    with pytest.raises(TypeError, match="unhashable"):
        hash(Point(1))  # of its list


def test_a_record_is_frozen() -> None:
    point = Point[int](1)
    for name in ("x", "at"):
        with pytest.raises(dataclasses.FrozenInstanceError, match=f"cannot assign .* '{name}'"):
            setattr(point, name, 3)
        with pytest.raises(dataclasses.FrozenInstanceError, match=f"cannot delete .* '{name}'"):
            delattr(point, name)
    with pytest.raises(AttributeError, match="other"):
        point.other = 3  # type: ignore[attr-defined]


def test_a_draft_is_filled_and_has_no_hash() -> None:
    filled = Filled("a")
    filled.rows = [1]
    assert filled == Filled("a", [1])
    with pytest.raises(TypeError, match="unhashable"):
        hash(filled)


@pytest.mark.parametrize("made", [Point(1, "b", [2], 3.0), Moved("a", ("t",), 2), Filled("a", [1])])
def test_it_is_copied_and_pickled(made: object) -> None:
    again: object = pickle.loads(pickle.dumps(made))
    for other in (copy(made), deepcopy(made), again):
        assert (other, repr(other)) == (made, repr(made))


def test_what_a_dataclass_has_pickled_a_record_of_its_name_reads() -> None:
    written = pickle.dumps(Plain(1, "b", [2], 3.0))
    read: object = pickle.loads(written.replace(b"\x05Plain", b"\x05Point"))
    assert (read, repr(read)) == (Point(1, "b", [2]), repr(Point(1, "b", at=3.0)))


def test_it_is_a_dataclass_to_who_asks() -> None:
    ours, theirs = dataclasses.fields(Point), dataclasses.fields(Plain)
    for name in ("name", "type", "default", "default_factory", "repr", "compare", "metadata"):
        assert [getattr(each, name) for each in ours] == [getattr(each, name) for each in theirs]
    assert dataclasses.asdict(Moved("a")) == {"id": "a", "tags": (), "version": 1}
    replaced: object = dataclasses.replace(Moved("a"), version=2)
    assert replaced == Moved("a", version=2)
    assert evolve(Point(1), x=2) == Point(2)
    match Moved("a"):
        case Moved(name, tags, version):
            assert (name, tags, version) == ("a", (), 1)
    assert dataclasses.is_dataclass(Point)


def test_a_dataclass_is_derived_from_it() -> None:
    @dataclasses.dataclass(frozen=True)
    class Wider(Point[int]):
        more: int = 0

    wider = Wider(1, more=3)
    assert [each.name for each in dataclasses.fields(wider)][-2:] == ["at", "more"]
    assert copy(wider) == wider


@pytest.mark.skipif(sys.version_info < (3, 13), reason="copy.replace comes with Python 3.13")
def test_it_is_replaced_by_copy() -> None:
    from copy import replace  # type: ignore[attr-defined]

    assert replace(Point(1), x=2) == Point(2)


@pytest.mark.parametrize("names", [["label"], ["at", "x"]])
def test_a_reader_reads_the_fields_that_are_named(names: list[str]) -> None:
    read = make_reader(names)
    assert read(Point(1)) == tuple(getattr(Point(1), name) for name in names)
