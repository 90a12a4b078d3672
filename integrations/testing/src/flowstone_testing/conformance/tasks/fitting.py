"""Whether a value is what a type hint says; classes are taken as they are, and not looked into."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, is_typeddict


def fits(value: object, hint: object) -> bool:
    """Tell whether a value fits a hint; a hint of a kind that is not known here fits all."""
    origin, parts = get_origin(hint), get_args(hint)
    if hint is None:
        return value is None
    if hint is float:
        return isinstance(value, float | int)
    if origin is Literal:
        return value in parts
    if origin is Annotated:
        return fits(value, parts[0])
    if origin in {Union, types.UnionType}:
        return any(fits(value, part) for part in parts)
    if isinstance(hint, TypeVar):
        return True
    if is_typeddict(hint):
        return isinstance(value, dict)
    if isinstance(origin, type):
        return isinstance(value, origin) and _inside(value, parts)
    return _is_a(value, hint)


def _inside(value: object, parts: tuple[Any, ...]) -> bool:
    """Tell whether what is in a container fits; only plain ones are looked into."""
    if isinstance(value, Mapping) and len(parts) == 2:
        return all(fits(key, parts[0]) and fits(each, parts[1]) for key, each in value.items())
    if isinstance(value, tuple) and parts and parts[-1] is not ...:
        return len(value) == len(parts) and all(map(fits, value, parts))
    if isinstance(value, list | set | frozenset | tuple) and parts:
        return all(fits(each, parts[0]) for each in value)
    return True


def _is_a(value: object, hint: Any) -> bool:
    try:
        return isinstance(value, hint)
    except TypeError:  # Any, a protocol, a new type: nothing can be told of them
        return True
