"""A record with some fields changed, for less than `dataclasses.replace` takes."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

R = TypeVar("R")


def evolve(record: R, **changes: object) -> R:
    """Return a copy of a dataclass with the fields changed that are named."""
    kind: Any = type(record)
    read, places = _find_places(kind)
    values = [*read(record)]
    for name, value in changes.items():
        values[places[name]] = value
    changed: R = kind(*values)
    return changed


@cache
def _find_places(
    record: type[Any],
) -> tuple[Callable[[object], tuple[object, ...]], Mapping[str, int]]:
    names = [field.name for field in fields(record)]
    return attrgetter(*names), {name: place for place, name in enumerate(names)}
