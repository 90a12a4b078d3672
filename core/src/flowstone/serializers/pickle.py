"""Pickle, by cloudpickle: for whatever else there is; read only by the program that wrote it."""

from __future__ import annotations

from typing import Any

from flowstone.errors import NotSerializable
from flowstone.serializers.moves import unpickle
from flowstone.serializers.sealed_pickle import dump_sealed


class PickleSerializer:
    """What functions, classes and objects come down to. Never read one from a stranger.

    Secrets of pydantic's types are sealed in it.
    """

    type = "pickle"

    def dumps(self, value: object) -> bytes:
        try:
            return dump_sealed(value)
        except Exception as error:
            raise NotSerializable(self.type, type(value).__name__, str(error)) from error

    def loads(self, content: bytes) -> Any:
        return unpickle(content)
