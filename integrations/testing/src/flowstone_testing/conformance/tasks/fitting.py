"""Check whether a value matches a type hint; the fields of classes are not checked."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, is_typeddict


def fits(value: object, hint: object) -> bool:
    """Return whether a value fits a hint; an unknown kind of hint fits everything."""
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
    """Return whether the items of a container fit; only builtin containers are checked."""
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
    except TypeError:  # Any, a protocol, a new type: these can't be checked
        return True
