"""Provenance: which run made a value, so that a graph can tell what its value went into."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, TypeVar
from weakref import ref

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

T = TypeVar("T")
V = TypeVar("V")

#: Values of these types are everywhere: that one is passed on says nothing of where it was made.
PLAIN = frozenset({type(None), bool, int, float, complex, str, bytes})
#: A list or a dict can't be referred to weakly. So many of the last are held, and no more, as each
#: may be large.
HELD = 4
#: So many others are known, and so many parts of an argument are looked at.
KNOWN, PARTS = 1000, 50


class Producers:
    """The runs that made the values which a flow's code has in its hands."""

    __slots__ = ("_held", "_known")

    def __init__(self) -> None:
        self._known: dict[int, tuple[ref[object], str]] = {}
        self._held: dict[int, tuple[object, str]] = {}

    def put(self, value: object, run_id: str) -> None:
        """Say that a run made a value."""
        try:
            self._known[id(value)] = ref(value), run_id
        except TypeError:
            self._held.pop(id(value), None)  # so that it counts as the newest
            self._held[id(value)] = value, run_id
        _cut(self._known, KNOWN)
        _cut(self._held, HELD)

    def find(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> tuple[str, ...]:
        """Return the runs that made these arguments, or what stands in their lists."""
        found = dict.fromkeys(self._find_run(value) for value in _iterate_values(args, kwargs))
        found.pop("", None)
        return tuple(found)

    def _find_run(self, value: object) -> str:
        if type(value) in PLAIN:
            return ""
        made = self._known.get(id(value))
        if made is not None and made[0]() is value:
            return made[1]
        kept = self._held.get(id(value))
        return kept[1] if kept is not None and kept[0] is value else ""


def _cut(table: dict[int, V], most: int) -> None:
    while len(table) > most:
        with suppress(RuntimeError):  # another thread has put one just now
            table.pop(next(iter(table)), None)


class Owner(Protocol):
    """The scope of a flow run."""

    producers: Producers | None


def record_producer(owner: Owner, value: T, run_id: str) -> T:
    """Say that a run of a flow made a value, where that can be known again; return the value."""
    if type(value) not in PLAIN:
        if owner.producers is None:
            owner.producers = Producers()
        owner.producers.put(value, run_id)
    return value


def _iterate_values(args: tuple[object, ...], kwargs: Mapping[str, object]) -> Iterator[object]:
    for value in (*args, *kwargs.values()):
        yield value
        if isinstance(value, (list, tuple)):
            yield from value[:PARTS]
