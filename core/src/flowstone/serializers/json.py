"""JSON: values are restored exactly, with the same types; others are refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from flowstone.errors import NotSerializable, UnreadableResult
from flowstone.serializers.libraries import find_function, find_library
from flowstone.serializers.typed_json import Decoder, Encoder, Value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_PLAIN = frozenset({type(None), bool, int, float, str})


def is_exact(value: Value) -> bool:
    """Return whether JSON restores a value exactly: same types, same values."""
    kind = type(value)
    if kind in _PLAIN:
        return True
    if kind is list:
        return all(is_exact(item) for item in value)
    if kind is dict:
        return all(type(key) is str and is_exact(item) for key, item in value.items())
    return False


class JSONSerializer:
    """UTF-8 JSON with type marks for values that JSON lacks; see `serializers.typed_json`.

    Numbers that are not finite are written as Python's `json` does.

    Args:
        jsonlib: the name of the module that writes and reads JSON.
        object_encoder: a function, or its name as ``package.module.function``, called first for
            each object that JSON does not have; if it raises a TypeError, this class encodes it.
        object_decoder: a function, or its name, called with each JSON object as a dict; it returns
            the decoded value.
        dumps_kwargs: additional arguments for the module's `dumps`.
        loads_kwargs: additional arguments for the module's `loads`.

    Raises:
        ConfigurationError: there is no such module or function.
    """

    type = "json"

    def __init__(
        self,
        jsonlib: str = "json",
        object_encoder: Callable[..., object] | str | None = None,
        object_decoder: Callable[..., object] | str | None = None,
        dumps_kwargs: Mapping[str, object] | None = None,
        loads_kwargs: Mapping[str, object] | None = None,
    ) -> None:
        self.jsonlib = jsonlib
        self.object_encoder, self.object_decoder = object_encoder, object_decoder
        compact = {"ensure_ascii": False, "separators": (",", ":")} if jsonlib == "json" else {}
        self.dumps_kwargs = {**compact, **(dumps_kwargs or {})}
        self.loads_kwargs = {**(loads_kwargs or {})}
        self._library = json if jsonlib == "json" else find_library(self, jsonlib, "dumps", "loads")
        self._encoder = Encoder(find_function(self, object_encoder))
        self._decoder = Decoder(find_function(self, object_decoder))

    def __reduce__(self) -> tuple[object, ...]:
        functions = self.object_encoder, self.object_decoder
        return type(self), (self.jsonlib, *functions, self.dumps_kwargs, self.loads_kwargs)

    def dumps(self, value: object) -> bytes:
        try:
            text = self._library.dumps(self._encoder.encode(value), **self.dumps_kwargs)
            # A lone surrogate, as in a file name, is decoded the same way.
            return text.encode("utf-8", "surrogatepass") if isinstance(text, str) else bytes(text)
        except (TypeError, ValueError, RecursionError) as error:
            raise NotSerializable(self.type, type(value).__name__, str(error)) from error

    def loads(self, content: bytes) -> Any:
        try:
            # For short contents, `json` takes as long to detect the encoding as to decode them.
            written = content.decode("utf-8", "surrogatepass") if self._library is json else content
            return self._decoder.decode(self._library.loads(written, **self.loads_kwargs))
        except (TypeError, ValueError, LookupError, RecursionError) as error:
            raise UnreadableResult(self.type, f"{type(error).__name__}: {error}") from error
