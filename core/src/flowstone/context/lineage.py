"""Provenance: which run made a value, so that a graph can tell what its value went into."""

from __future__ import annotations

from itertools import islice
from sys import getrefcount, getsizeof
from typing import TYPE_CHECKING, Protocol, TypeVar, cast
from weakref import ref

from flowstone.records.runs import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Collection

T = TypeVar("T")

#: Values of these types are everywhere: that one is passed on says nothing of where it was made.
PLAIN = frozenset({type(None), bool, int, float, complex})
#: So are texts and bytes that are shorter: two that are alike may be one object.
SHORTEST = 64
#: What can't be referred to weakly is held. So many bytes of it, as estimated, may be held that
#: nobody else has any more.
HELD = 64_000_000
#: Of values that are referred to weakly, so many may be gone before they are forgotten.
GONE = 1000
#: So many parts of a call's arguments are looked at.
PARTS = 1000
#: Of so many values what the others are is judged by.
GLANCE = 100
#: So few values are looked at one by one.
FEW = 8

#: What is there of a value that only the table holds: the table's reference, and the question's.
_NOBODY = 2
#: What an entry of the table takes, in bytes.
_ENTRY = 200
#: So deep in a value its elements count for its size.
_DEEPEST = 3


class Producers:
    """The runs that made the values which a flow's code has in its hands.

    None is forgotten as long as anybody has the value: each that is passed on is known.
    """

    __slots__ = ("_gone_at", "_held", "_held_size", "_known", "_most", "_purge_at")

    def __init__(self, most: int = HELD) -> None:
        """Begin with nothing; hold so many bytes at the most that nobody else has."""
        self._known: dict[int, tuple[ref[object], str]] = {}
        self._held: dict[int, tuple[object, str]] = {}
        self._held_size, self._gone_at = 0, GONE
        self._most = self._purge_at = most

    def put(self, value: object, run_id: str) -> None:
        """Say that a run made a value."""
        key = id(value)
        try:
            self._known[key] = ref(value), run_id
        except TypeError:
            if key not in self._held:
                self._held_size += _estimate_size(value)
            self._held[key] = value, run_id
            if self._held_size > self._purge_at:
                self._purge()
        if len(self._known) > self._gone_at:
            for each, (made, _) in list(self._known.items()):
                if made() is None:
                    self._known.pop(each, None)
            self._gone_at = len(self._known) + GONE

    def _purge(self) -> None:
        """Let go of what nobody else has: it can't be passed on any more."""
        for key, entry in list(self._held.items()):
            if getrefcount(entry[0]) <= _NOBODY:
                self._held.pop(key, None)
        self._held_size = sum(_estimate_size(entry[0]) for entry in list(self._held.values()))
        self._purge_at = self._held_size + self._most

    def find(self, arguments: Collection[object]) -> tuple[str, ...]:
        """Return the runs that made these arguments, or what stands in their collections."""
        found: dict[str, None] = {}
        waiting: list[Collection[object]] = [arguments]
        left = PARTS
        for values in waiting:
            if len(values) > FEW and _is_plain(values):
                continue
            for value in values:
                if not _is_followed(value):
                    continue
                if left == 0:
                    found[UNKNOWN] = None
                    return tuple(found)
                left -= 1
                run_id = self.find_maker(value)
                if run_id:
                    found[run_id] = None
                elif isinstance(value, dict):
                    waiting.append(value.values())
                elif isinstance(value, (list, tuple, set, frozenset)):
                    waiting.append(value)
        return tuple(found)

    def find_maker(self, value: object) -> str:
        """Return the run that made a value; an empty text where none is known."""
        made = self._known.get(id(value))
        if made is not None and made[0]() is value:
            return made[1]
        kept = self._held.get(id(value))
        return kept[1] if kept is not None and kept[0] is value else ""


def _is_followed(value: object) -> bool:
    """Tell whether a value, where it is met again, is the one that a run made."""
    kind = type(value)
    if isinstance(value, (str, bytes, bytearray)):
        return len(value) >= SHORTEST
    return kind not in PLAIN and not (kind is tuple and not value)


def _is_plain(values: Collection[object]) -> bool:
    """Tell whether the first of many values are numbers or short texts; so are the others, then."""
    first = tuple(islice(values, GLANCE))
    kinds = set(map(type, first))
    if kinds == {str}:
        return max(map(len, cast("tuple[str, ...]", first))) < SHORTEST
    return kinds <= PLAIN


def _estimate_size(value: object) -> int:
    """Return about how many bytes a value takes, judging by its first elements."""
    size, count = getsizeof(value) + _ENTRY, 1
    for _ in range(_DEEPEST):
        if not isinstance(value, (list, dict, tuple, set, frozenset)) or not value:
            break
        count *= len(value)
        value = next(iter(value.values() if isinstance(value, dict) else value))
        size += count * getsizeof(value)
    return size


class Owner(Protocol):
    """The scope of a flow run."""

    producers: Producers | None


def record_producer(owner: Owner, value: T, run_id: str) -> T:
    """Say that a run of a flow made a value, where that can be known again; return the value."""
    if _is_followed(value):
        if owner.producers is None:
            owner.producers = Producers()
        owner.producers.put(value, run_id)
    return value
