"""The serializer that a value calls for: JSON where it is exact, Arrow for tables, pickle last."""

from __future__ import annotations

from typing import Any

from flowstone.serializers.arrow import ArrowSerializer, is_table
from flowstone.serializers.json import JSONSerializer, is_exact
from flowstone.serializers.pickle import PickleSerializer

_CHOICES = (JSONSerializer(), ArrowSerializer(), PickleSerializer())


class AutomaticSerializer:
    """Chooses for each value; the first byte says which it was."""

    type = "auto"

    def dumps(self, value: Any) -> bytes:
        chosen = 0 if is_exact(value) else 1 if is_table(value) else 2
        return bytes([chosen]) + _CHOICES[chosen].dumps(value)

    def loads(self, content: bytes) -> Any:
        return _CHOICES[content[0]].loads(content[1:])
