"""Flows and tasks in pickles: pickled by their name in a module, like functions."""

from __future__ import annotations

import sys
from copy import copy
from inspect import currentframe
from operator import attrgetter
from types import MethodType
from typing import TYPE_CHECKING

from flowstone.calls.hints import Value

if TYPE_CHECKING:
    from collections.abc import Callable

    #: What `__reduce_ex__` returns: a global name, or a function and its arguments.
    Reference = str | tuple[Callable[..., object], tuple[object, ...]]


#: Modules whose frames may be between a pickler and this module.
_BETWEEN = {__name__, "flowstone.calls.runnable", "pickle"}


def find_reference(unit: Value) -> Reference | None:
    """Return how a pickle refers to a flow or task; None if it must be pickled by value.

    One that was derived from another, by `with_options` or by binding it to an instance, is
    pickled as that one and the difference.
    """
    module, name = unit.__module__, getattr(unit, "__qualname__", "<")
    if "<" in name or _goes_by_value(module):
        return None
    if isinstance(unit.fn, MethodType):
        return _find_bound(unit)
    try:
        found: Value = attrgetter(name)(sys.modules[module])
    except (KeyError, AttributeError):
        return None
    if found is unit:
        return str(name)
    while hasattr(type(found), "with_options"):
        if type(found) is type(unit) and found.fn is unit.fn:
            return change, (found, _find_changes(found, unit))
        if found.fn is unit:  # decorated twice
            return getattr, (found, "fn")
        found = found.fn
    return None


def _find_bound(unit: Value) -> Reference | None:
    instance, name = unit.fn.__self__, unit.fn.__name__
    found: Value = getattr(instance, name, None)
    if type(found) is not type(unit) or found.fn != unit.fn:
        return None
    changes = _find_changes(found, unit)
    return (change, (_Bound(instance, name), changes)) if changes else (getattr, (instance, name))


class _Bound:
    """A method that is a flow or task; it is pickled as the parts that it was created from."""

    def __init__(self, instance: object, name: str) -> None:
        self._parts = instance, name

    def __reduce__(self) -> Reference:
        return getattr, self._parts


def _find_changes(base: Value, unit: Value) -> dict[str, object]:
    known = vars(base)
    return {
        name: value
        for name, value in unit.__getstate__().items()
        if name not in {"fn", "_around", "__wrapped__"} and known.get(name) is not value
    }


def change(unit: Value, changes: dict[str, object]) -> Value:
    """Return a flow or task that differs from another in some of its attributes."""
    changed = copy(unit)
    vars(changed).update(changes)
    return changed


def _goes_by_value(module: str) -> bool:
    """Return whether the active pickler is cloudpickle, and pickles the module by value.

    A name in `__main__` means something else in another program. The standard pickler can only
    pickle by name.
    """
    frame = currentframe()  # picklers don't identify themselves
    while frame is not None and frame.f_globals.get("__name__") in _BETWEEN:
        frame = frame.f_back
    if frame is None or "cloudpickle" not in str(frame.f_globals.get("__name__")):
        return False
    # cloudpickle takes 20 ms to import; at this point, it is imported already.
    from flowstone.task_runners.messages import goes_by_value

    return module == "__main__" or goes_by_value(module)
