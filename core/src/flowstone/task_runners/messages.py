"""Pickles for child processes: by reference if they can import an object, otherwise by value."""

from __future__ import annotations

import pickle
import sys
from contextlib import suppress
from operator import attrgetter
from types import FunctionType
from typing import Any

import cloudpickle

from flowstone.serializers import sealed_pickle


class _Pickler(sealed_pickle.SealingPickler):
    """cloudpickle with secrets sealed; a module's flow or task stands for its function.

    By value it would include everything that the function refers to, locks and connections too.
    """

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, FunctionType):
            unit = _find_original(obj)
            if unit is not None:
                return getattr, (unit, "fn")
        return super().reducer_override(obj)


class _LenientPickler(_Pickler):
    """The same, but parts of exceptions that can't be pickled are omitted."""

    @staticmethod
    def can_pickle(value: object) -> bool:
        if isinstance(value, BaseException):  # its parts are checked when it is pickled itself
            value = type(value)
        return _pack_readably(value, _LenientPickler) is not None


def pack(value: object) -> bytes:
    """Return a value as bytes. Raises the errors of parts that can't be pickled."""
    return sealed_pickle.dump_sealed(value, _Pickler)


unpacked = pickle.loads


def pack_error(error: BaseException) -> bytes | None:
    """Return an exception as bytes, without parts that can't be sent; None if it can't be."""
    return _pack_readably(error, _Pickler) or _pack_readably(error, _LenientPickler)


def _pack_readably(value: object, pickler: type[_Pickler]) -> bytes | None:
    with suppress(Exception):  # some exceptions can be pickled, but not unpickled
        content = sealed_pickle.dump_sealed(value, pickler)
        unpacked(content)
        return content
    return None


def count_sent_by_value() -> int:
    """Return the number of modules whose contents are sent by value."""
    return len(cloudpickle.list_registry_pickle_by_value())


def send_by_value(name: str) -> bool:
    """Send what a module or submodule defines by value from now on; return whether that is new."""
    known = cloudpickle.list_registry_pickle_by_value()
    modules = [
        module
        for key, module in sys.modules.items()
        if (key == name or key.startswith(f"{name}."))
        and getattr(module, "__name__", None) == key
        and key not in known
    ]
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    return bool(modules)


def _find_original(obj: FunctionType) -> object | None:
    """Return the flow or task that has a function's name in its module."""
    module, name = obj.__module__, obj.__qualname__
    if module == "__main__" or "<" in name or goes_by_value(module):
        return None
    try:
        found: object = attrgetter(name)(sys.modules[module])
    except (KeyError, AttributeError):
        return None
    while hasattr(type(found), "with_options"):  # it may have been decorated twice
        if getattr(found, "fn", None) is obj:
            return found
        found = getattr(found, "fn", None)
    return None


def goes_by_value(module: str) -> bool:
    """Return whether the contents of a module are sent by value."""
    known = cloudpickle.list_registry_pickle_by_value()
    parts = module.split(".")
    return any(".".join(parts[:length]) in known for length in range(1, len(parts) + 1))
