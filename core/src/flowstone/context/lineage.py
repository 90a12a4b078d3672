"""Provenance: which run created a value, so that a graph can show the data flow."""

from __future__ import annotations

from itertools import islice
from sys import getrefcount, getsizeof
from typing import TYPE_CHECKING, Protocol, TypeVar, cast
from weakref import ref

from flowstone.records.runs import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Collection

T = TypeVar("T")

#: Values of these types are everywhere: passing one on says nothing of its origin.
PLAIN = frozenset({type(None), bool, int, float, complex})
#: So are shorter texts and bytes: two that are equal may be one object.
SHORTEST = 64
#: Values without weak references are held. This is the maximum estimated size in bytes of held
#: values that no other code has any more.
HELD = 64_000_000
#: Number of freed values, for those with weak references, that trigger a cleanup.
GONE = 1000
#: Maximum number of parts of a call's arguments that are inspected.
PARTS = 1000
#: Number of values that are sampled to judge the others.
GLANCE = 100
#: Number of values up to which each is inspected.
FEW = 8

#: The reference count of a value that only the table holds: the table's, and the query's.
_NOBODY = 2
#: The size of a table entry, in bytes.
_ENTRY = 200
#: The depth to which elements are included in a value's size.
_DEEPEST = 3


class Producers:
    """The runs that created the values of a flow's code.

    None is forgotten while other code has the value: each value that is passed on is known.
    """

    __slots__ = ("_gone_at", "_held", "_held_size", "_known", "_most", "_purge_at")

    def __init__(self, most: int = HELD) -> None:
        """Start empty; hold at most that many bytes of values that no other code has."""
        self._known: dict[int, tuple[ref[object], str]] = {}
        self._held: dict[int, tuple[object, str]] = {}
        self._held_size, self._gone_at = 0, GONE
        self._most = self._purge_at = most

    def put(self, value: object, run_id: str) -> None:
        """Record that a run created a value."""
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
        """Drop values that no other code has: they can't be passed on any more."""
        for key, entry in list(self._held.items()):
            if getrefcount(entry[0]) <= _NOBODY:
                self._held.pop(key, None)
        self._held_size = sum(_estimate_size(entry[0]) for entry in list(self._held.values()))
        self._purge_at = self._held_size + self._most

    def find(self, arguments: Collection[object]) -> tuple[str, ...]:
        """Return the runs that created these arguments, or the elements of their collections."""
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
        """Return the run that created a value; an empty string if it is unknown."""
        made = self._known.get(id(value))
        if made is not None and made[0]() is value:
            return made[1]
        kept = self._held.get(id(value))
        return kept[1] if kept is not None and kept[0] is value else ""


def _is_followed(value: object) -> bool:
    """Return whether a value that is met again must be the one that a run created."""
    kind = type(value)
    if isinstance(value, (str, bytes, bytearray)):
        return len(value) >= SHORTEST
    return kind not in PLAIN and not (kind is tuple and not value)


def _is_plain(values: Collection[object]) -> bool:
    """Return whether a sample of many values has only numbers or short texts."""
    first = tuple(islice(values, GLANCE))
    kinds = set(map(type, first))
    if kinds == {str}:
        return max(map(len, cast("tuple[str, ...]", first))) < SHORTEST
    return kinds <= PLAIN


def _estimate_size(value: object) -> int:
    """Return the estimated size of a value in bytes, from its first elements."""
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
    """Record that a run of a flow created a value, if it can be recognized; return the value."""
    if _is_followed(value):
        if owner.producers is None:
            owner.producers = Producers()
        owner.producers.put(value, run_id)
    return value
