"""Pickle, by cloudpickle: for whatever else there is; read only by the program that wrote it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowstone.errors import NotSerializable
from flowstone.serializers.libraries import find_library
from flowstone.serializers.moves import unpickle
from flowstone.serializers.sealed_pickle import SealingPickler, dump_sealed, make_sealing_pickler

if TYPE_CHECKING:
    from collections.abc import Callable
    from pickle import Pickler


class PickleSerializer:
    """What functions, classes and objects come down to. Never read one from a stranger.

    Secrets of pydantic's types are sealed in it.

    Args:
        picklelib: the module whose `Pickler` writes, and whose `loads` reads, by its name.

    Raises:
        ConfigurationError: there is no such module.
    """

    type = "pickle"

    def __init__(self, picklelib: str = "cloudpickle") -> None:
        self.picklelib = picklelib
        self._pickler: type[Pickler] = SealingPickler
        self._loads: Callable[[bytes], object] = unpickle
        if picklelib != "cloudpickle":
            library = find_library(self, picklelib, "Pickler", "loads")
            self._pickler = make_sealing_pickler(library.Pickler)
            self._loads = library.loads

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.picklelib,)

    def dumps(self, value: object) -> bytes:
        try:
            return dump_sealed(value, self._pickler)
        except Exception as error:
            raise NotSerializable(self.type, type(value).__name__, str(error)) from error

    def loads(self, content: bytes) -> Any:
        return self._loads(content)
