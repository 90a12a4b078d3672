"""Pickle, with cloudpickle: for all other values; only the program that wrote it can read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowstone.errors import NotSerializable
from flowstone.serializers.libraries import find_library
from flowstone.serializers.moves import unpickle

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType


class PickleSerializer:
    """For functions, classes and other objects. Never read a pickle from an untrusted source.

    Secrets of pydantic's types are sealed in it.

    Args:
        picklelib: the name of the module whose `Pickler` writes and whose `loads` reads.

    Raises:
        ConfigurationError: there is no such module.
    """

    type = "pickle"

    def __init__(self, picklelib: str = "cloudpickle") -> None:
        self.picklelib = picklelib
        self._library: ModuleType | None = None
        self._loads: Callable[[bytes], object] = unpickle
        if picklelib != "cloudpickle":
            self._library = find_library(self, picklelib, "Pickler", "loads")
            self._loads = self._library.loads

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.picklelib,)

    def dumps(self, value: object) -> bytes:
        # Importing cloudpickle takes 20 ms; most results are JSON, and don't need it.
        from flowstone.serializers.sealed_pickle import dump_sealed, make_sealing_pickler

        try:
            if self._library is None:
                return dump_sealed(value)
            return dump_sealed(value, make_sealing_pickler(self._library.Pickler))
        except Exception as error:
            raise NotSerializable(self.type, type(value).__name__, str(error)) from error

    def loads(self, content: bytes) -> Any:
        return self._loads(content)
