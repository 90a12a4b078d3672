"""Calls of a port and their replies as bytes, for a remote store."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from flowstone.errors import FlowstoneError, RecordInvalid
from flowstone.records.encoding import RECORDS, decode_value, encode_record
from flowstone.records.error_encoding import decode_error, encode_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowstone.records.codec import Json

_RECORDS = tuple(codec.record for codec in RECORDS.values())


class StoreCall(NamedTuple):
    """A call of a method of a port.

    Attributes:
        id: the id of the call; a call that is sent again with the same id is executed once.
        method: the name of the method.
        arguments: positional arguments.
        options: keyword arguments.
    """

    id: str
    method: str
    arguments: tuple[object, ...] = ()
    options: Mapping[str, object] = {}


class StoreReply(NamedTuple):
    """The reply to a call.

    Attributes:
        id: the id of the call.
        value: the value that it returned, or the error that it raised.
    """

    id: str
    value: object


def encode_call(call: StoreCall) -> bytes:
    """Return a call as JSON, in ASCII: UTF-8 can't encode lone surrogates."""
    options = {name: _encode(value) for name, value in call.options.items()}
    body = {"id": call.id, "method": call.method, "arguments": list(map(_encode, call.arguments))}
    return json.dumps({**body, "options": options}).encode()


def decode_call(content: bytes) -> StoreCall:
    """Return the call that `encode_call` has encoded.

    Raises:
        RecordInvalid: it is not a call, or has a record that this version does not know.
    """
    body = _load(content)
    options = {name: decode_value(value) for name, value in body.get("options", {}).items()}
    return StoreCall(
        body["id"], body["method"], tuple(map(decode_value, body.get("arguments", ()))), options
    )


def encode_reply(reply: StoreReply) -> bytes:
    """Return a reply as JSON; an error with its attributes, secrets masked."""
    if isinstance(reply.value, FlowstoneError):
        body: dict[str, object] = {"error": encode_error(reply.value)}
    else:
        body = {"value": _encode(reply.value)}
    return json.dumps({"id": reply.id, **body}).encode()


def decode_reply(content: bytes) -> StoreReply:
    """Return the reply that `encode_reply` has encoded.

    Raises:
        RecordInvalid: it is not a reply, or has a record that this version does not know.
    """
    body = _load(content)
    if "error" in body:
        return StoreReply(body["id"], decode_error(body["error"]))
    return StoreReply(body["id"], decode_value(body.get("value")))


def _load(content: bytes) -> Json:
    try:
        body = json.loads(content)
    except ValueError as error:
        raise RecordInvalid("message", f"it is not JSON: {error}") from error
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
