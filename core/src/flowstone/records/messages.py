"""Calls of a port and their answers as bytes, for whatever carries them to a store elsewhere."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from flowstone.errors import FlowstoneError, RecordInvalid
from flowstone.records.encoding import RECORDS, decode_record, encode_record
from flowstone.records.error_encoding import decode_error, encode_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowstone.records.codec import Json

_RECORDS = tuple(codec.record for codec in RECORDS.values())


class StoreCall(NamedTuple):
    """A call of a method of a port.

    Attributes:
        id: the same where the call is sent again, as its answer was lost: it is done once.
        method: its name.
        arguments: by position.
        options: by name.
    """

    id: str
    method: str
    arguments: tuple[object, ...] = ()
    options: Mapping[str, object] = {}


class StoreAnswer(NamedTuple):
    """What a call came to.

    Attributes:
        id: the call's.
        value: what it returned; or the error that it raised.
    """

    id: str
    value: object


def encode_call(call: StoreCall) -> bytes:
    """Return a call as JSON, in ASCII: half of a surrogate pair has no form in UTF-8."""
    options = {name: _encode(value) for name, value in call.options.items()}
    body = {"id": call.id, "method": call.method, "arguments": list(map(_encode, call.arguments))}
    return json.dumps({**body, "options": options}).encode()


def decode_call(content: bytes) -> StoreCall:
    """Return the call that `encode_call` has encoded.

    Raises:
        RecordInvalid: it is none, or has a record that this version does not know.
    """
    body = _load(content)
    options = {name: _decode(value) for name, value in body.get("options", {}).items()}
    return StoreCall(
        body["id"], body["method"], tuple(map(_decode, body.get("arguments", ()))), options
    )


def encode_answer(answer: StoreAnswer) -> bytes:
    """Return an answer as JSON; an error with its facts, secrets masked."""
    if isinstance(answer.value, FlowstoneError):
        body: dict[str, object] = {"error": encode_error(answer.value)}
    else:
        body = {"value": _encode(answer.value)}
    return json.dumps({"id": answer.id, **body}).encode()


def decode_answer(content: bytes) -> StoreAnswer:
    """Return the answer that `encode_answer` has encoded.

    Raises:
        RecordInvalid: it is none, or has a record that this version does not know.
    """
    body = _load(content)
    if "error" in body:
        return StoreAnswer(body["id"], decode_error(body["error"]))
    return StoreAnswer(body["id"], _decode(body.get("value")))


def _load(content: bytes) -> Json:
    try:
        body = json.loads(content)
    except ValueError as error:
        raise RecordInvalid("message", f"it is no JSON: {error}") from error
    if not isinstance(body, dict) or "id" not in body:
        raise RecordInvalid("message", "it has no id")
    return body


def _encode(value: object) -> object:
    if isinstance(value, _RECORDS):
        return {"$record": encode_record(value)}
    if isinstance(value, tuple):
        return {"$tuple": list(map(_encode, value))}
    if isinstance(value, list):
        return list(map(_encode, value))
    if isinstance(value, dict):
        return {"$dict": {key: _encode(item) for key, item in value.items()}}
    return value


def _decode(value: object) -> object:
    if isinstance(value, list):
        return list(map(_decode, value))
    if not isinstance(value, dict):
        return value
    ((form, body),) = value.items()
    if form == "$record":
        return decode_record(body)
    if form == "$tuple":
        return tuple(map(_decode, body))
    return {key: _decode(item) for key, item in body.items()}
