"""Pickle, by cloudpickle: for whatever else there is; read only by the program that wrote it."""

from __future__ import annotations

import pickle
from typing import Any

import cloudpickle

from flowstone.errors import NotSerializable


class PickleSerializer:
    """What functions, classes and objects come down to. Never read one from a stranger."""

    type = "pickle"

    def dumps(self, value: Any) -> bytes:
        try:
            return bytes(cloudpickle.dumps(value))
        except Exception as error:
            raise NotSerializable(self.type, type(value).__name__, str(error)) from error

    def loads(self, content: bytes) -> Any:
        return pickle.loads(content)  # noqa: S301 - our own process's result, from its own storage
