"""JSON: for values that are made of what JSON has, and come back exactly as they were."""

from __future__ import annotations

import json
from typing import Any

from flowstone.errors import NotSerializable

_PLAIN = frozenset({type(None), bool, int, float, str})


def is_exact(value: Any) -> bool:
    """Tell whether JSON gives a value back as it was: same types, same values."""
    kind = type(value)
    if kind in _PLAIN:
        return True
    if kind is list:
        return all(is_exact(item) for item in value)
    if kind is dict:
        return all(type(key) is str and is_exact(item) for key, item in value.items())
    return False


class JSONSerializer:
    """UTF-8 JSON; numbers that are not finite are written as Python's `json` does."""

    type = "json"

    def dumps(self, value: object) -> bytes:
        try:
            return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        except (TypeError, ValueError) as error:
            raise NotSerializable(self.type, type(value).__name__, str(error)) from error

    def loads(self, content: bytes) -> Any:
        return json.loads(content)
