"""Errors as JSON and back, with their attributes and records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone import errors
from flowstone.errors.base import FlowstoneError, revive
from flowstone.records.encoding import RECORDS, decode_value, describe_as_json, encode_record
from flowstone.records.redaction import redact

if TYPE_CHECKING:
    from flowstone.records.codec import Json

_RECORDS = tuple(codec.record for codec in RECORDS.values())


def encode_error(error: FlowstoneError) -> Json:
    """Return an error as JSON: its type, its message and its attributes; secrets masked."""
    return {
        "type": type(error).__name__,
        "args": [_encode_fact(value) for value in error.args],
        "facts": {name: _encode_fact(value) for name, value in vars(error).items()},
    }


def decode_error(body: Json) -> FlowstoneError:
    """Return the error; for an unknown type, a `FlowstoneError` that says so."""
    found = getattr(errors, body["type"], None)
    kind = found if isinstance(found, type) and issubclass(found, FlowstoneError) else None
    args = tuple(decode_value(value) for value in body.get("args", ()))
    facts = {name: decode_value(value) for name, value in body.get("facts", {}).items()}
    return revive(kind or FlowstoneError, args, facts)


def _encode_fact(value: object) -> object:
    if isinstance(value, _RECORDS):
        return {"$record": encode_record(value)}
    if isinstance(value, tuple):
        return {"$tuple": [_encode_fact(item) for item in value]}
    if isinstance(value, list):
        return [_encode_fact(item) for item in value]
    if isinstance(value, dict):
        return {"$dict": {redact(str(key)): _encode_fact(item) for key, item in value.items()}}
    plain = describe_as_json(value)
    return _encode_fact(plain) if isinstance(plain, (list, dict)) else plain
