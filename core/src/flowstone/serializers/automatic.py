"""The default serializer: JSON if it is exact, Arrow for tables, otherwise pickle."""

from __future__ import annotations

from typing import Any

from flowstone.errors import NotSerializable
from flowstone.serializers.arrow import ArrowSerializer, is_exact_table
from flowstone.serializers.json import JSONSerializer, is_exact
from flowstone.serializers.pickle import PickleSerializer

_CHOICES = (JSONSerializer(), ArrowSerializer(), PickleSerializer())
_PICKLE = 2


class AutomaticSerializer:
    """Chooses a serializer for each value; the first byte says which one."""

    type = "auto"

    def dumps(self, value: object) -> bytes:
        chosen = 0 if is_exact(value) else 1 if is_exact_table(value) else _PICKLE
        try:
            return bytes([chosen]) + _CHOICES[chosen].dumps(value)
        except NotSerializable:
            if chosen == _PICKLE:
                raise
            return bytes([_PICKLE]) + _CHOICES[_PICKLE].dumps(value)

    def loads(self, content: bytes) -> Any:
        return _CHOICES[content[0]].loads(content[1:])
