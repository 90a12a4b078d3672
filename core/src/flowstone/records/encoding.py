"""Records as JSON and back: the same for disk, HTTP and spool."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any

from flowstone.errors import RecordInvalid
from flowstone.records.codec import FieldForm, Json, RecordCodec
from flowstone.records.documents import Document
from flowstone.records.events import (
    ArtifactVersion,
    Event,
    ExternalHandle,
    LogLine,
    Measures,
)
from flowstone.records.limits import Claim, Limit, Refusal, Slot
from flowstone.records.record import evolve
from flowstone.records.redaction import redact
from flowstone.records.runs import (
    CodeVersion,
    Environment,
    Fence,
    Handover,
    HeartbeatReply,
    Lease,
    RestartInfo,
    Run,
    RunQuery,
    StateChange,
)
from flowstone.records.states import COMPLETED, MISSING, State, StateType, build_state

if TYPE_CHECKING:
    from flowstone.records.events import Payload

dumps = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
loads = json.loads

#: A value without a JSON form is stored as its `repr`, up to this many characters.
LONGEST_REPR = 500
#: Maximum number of stored items of a list or dict in a run's parameters.
MOST_ITEMS = 1000


def describe_as_json(value: object, depth: int = 8) -> Any:
    """Return a JSON value that describes `value` to people; mask secrets, and limit its size."""
    if value is None or value is True or value is False or type(value) is int:
        return value
    if isinstance(value, str):
        return redact(str(value))
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if depth == 0:
        return _shorten(value)
    if isinstance(value, dict):
        items = list(value.items())[:MOST_ITEMS]
        return {redact(str(key)): describe_as_json(item, depth - 1) for key, item in items}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [describe_as_json(item, depth - 1) for item in list(value)[:MOST_ITEMS]]
    return _describe_object(value, depth)


def is_exact(value: object, depth: int = 8) -> bool:
    """Return whether `describe_as_json` preserves a value exactly."""
    if value is None or type(value) in {bool, int}:
        return True
    if type(value) is str:
        return redact(value) == value
    if type(value) is float:
        return math.isfinite(value)
    if depth == 0 or type(value) not in {dict, list}:
        return False
    parts: Any = value
    if len(parts) > MOST_ITEMS:
        return False
    if isinstance(parts, dict):
        return all(
            type(key) is str and redact(key) == key and is_exact(item, depth - 1)
            for key, item in parts.items()
        )
    return all(is_exact(item, depth - 1) for item in parts)


def mask_json(value: object) -> object:
    """Return a JSON value with secrets masked, and otherwise unchanged."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {redact(key): mask_json(item) for key, item in value.items()}
    return [mask_json(item) for item in value] if isinstance(value, list) else value


def _describe_object(value: object, depth: int) -> object:
    if isinstance(value, Enum):
        return describe_as_json(value.value, depth - 1)
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    if hasattr(value, "model_dump") and not isinstance(value, type):
        # pydantic masks its secret types in this mode; other values may be anything.
        try:
            return describe_as_json(value.model_dump(mode="json"), depth - 1)
        except Exception:  # noqa: BLE001 - what can't be dumped is described instead
            return _shorten(value)
    if hasattr(type(value), "__dataclass_fields__"):
        # Takes 10 ms to import; for a dataclass it is loaded already.
        from dataclasses import fields, is_dataclass

        assert is_dataclass(value)
        return {
            f.name: describe_as_json(getattr(value, f.name), depth - 1)
            for f in fields(value)
            if f.repr
        }
    return _shorten(value)


def _shorten(value: object) -> str:
    try:
        text = str(value) if hasattr(value, "__fspath__") else repr(value)
    except Exception as error:  # noqa: BLE001 - a broken __repr__ must not break the run
        text = f"<{type(value).__name__}, whose repr raised {type(error).__name__}>"
    text = redact(text)  # before it is cut: half of a secret would not be recognized
    return text if len(text) <= LONGEST_REPR else f"{text[:LONGEST_REPR]}…"


def encode_state(state: State) -> Json:
    body: Json = {"type": state.type.value, "name": state.name, "at": state.at}
    if state.message is not None:
        body["message"] = redact(state.message)
    return body


def decode_state(body: Mapping[str, Any]) -> State:
    kind = StateType(body["type"])
    data = MISSING if kind is COMPLETED else None
    return State(kind, body.get("name", ""), body.get("message"), body.get("at", 0.0), data)


_MASKED = FieldForm(redact, str)
_MASKED_JSON = FieldForm(mask_json, lambda body: body)
#: Secrets in a document are sealed, and nothing else in it may be changed.
_JSON = FieldForm(dict, dict)
#: By annotation, how a field is encoded that JSON has no value for.
FORMS: dict[str, FieldForm] = {
    "State": FieldForm(encode_state, decode_state),
    "Mapping[str, Any]": FieldForm(describe_as_json, dict),
    "tuple[str, ...]": FieldForm(list, tuple),
    "list[str]": FieldForm(list, list),
}
LEASE_CODEC = RecordCodec(Lease, FORMS)
CODE_CODEC = RecordCodec(CodeVersion, FORMS)
ENVIRONMENT_CODEC = RecordCodec(Environment, FORMS)
FORMS |= {"CodeVersion": CODE_CODEC.form, "Environment": ENVIRONMENT_CODEC.form}
#: With the keys of the first stores.
RESTART_CODEC = RecordCodec(
    RestartInfo, FORMS, keys={"reason": "obstacle", "missing_parameters": "lost"}
)
FORMS |= {"Lease": LEASE_CODEC.form, "RestartInfo": RESTART_CODEC.form}
RUN_CODEC = RecordCodec(Run, FORMS)
FORMS["list[Run]"] = FieldForm(
    lambda runs: [RUN_CODEC.encode(run) for run in runs],
    lambda bodies: [RUN_CODEC.decode(body) for body in bodies],
)
LINE_CODEC = RecordCodec(LogLine, {"message": _MASKED, "fields": _MASKED_JSON})
ARTIFACT_CODEC = RecordCodec(ArtifactVersion, {"description": _MASKED, "data": _MASKED_JSON})
_LIMIT_CODEC = RecordCodec(Limit, FORMS)
_SLOT_CODEC = RecordCodec(Slot, FORMS)
FORMS |= {
    "Limit": _LIMIT_CODEC.form,
    "tuple[Slot, ...]": FieldForm(
        lambda slots: [_SLOT_CODEC.encode(slot) for slot in slots],
        lambda bodies: tuple(_SLOT_CODEC.decode(body) for body in bodies),
    ),
}


def encode_record(record: object) -> Json:
    """Return a record as JSON with its type."""
    tag, codec = _TAGS[type(record)]
    return {"type": tag, **codec.encode(record)}


def decode_record(body: Json) -> Any:
    """Return the record that `encode_record` has encoded.

    Raises:
        RecordInvalid: its type is unknown to this version, or a field is missing.
    """
    codec = RECORDS.get(body.get("type", ""))
    if codec is None:
        raise RecordInvalid("record", f"unknown record type {body.get('type')!r}")
    return codec.decode(body)


def decode_value(value: object) -> object:
    """Return a value in which records, tuples and dicts are JSON objects with one key.

    Raises:
        RecordInvalid: as for `decode_record`.
    """
    if isinstance(value, list):
        return list(map(decode_value, value))
    if not isinstance(value, dict):
        return value
    ((form, body),) = value.items()
    if form == "$record":
        return decode_record(body)
    if form == "$tuple":
        return tuple(map(decode_value, body))
    return {key: decode_value(item) for key, item in body.items()}


def _decode_payload(body: Json) -> Payload:
    if "type" not in body:  # the first versions distinguished them by their keys
        if "run" in body:
            body = {"type": "run", **body["run"]}
        elif "artifact" in body:
            body = {"type": "artifact", **body["artifact"]}
        else:
            key = next((key for key in ("level", "lease") if key in body), "")
            tag = {"level": "log_line", "lease": "handover"}.get(key, "state_change")
            body = {"type": tag, **body}
    payload: Payload = decode_record(body)
    return payload


EVENT_CODEC = RecordCodec(Event, {"payload": FieldForm(encode_record, _decode_payload)})
#: The forms of fields with records of several types, by the type in their JSON.
RECORDS: dict[str, RecordCodec[Any]] = {
    "run": RUN_CODEC,
    "state_change": RecordCodec(StateChange, FORMS),
    "handover": RecordCodec(Handover, FORMS),
    "log_line": LINE_CODEC,
    "artifact": ARTIFACT_CODEC,
    "external_handle": RecordCodec(
        ExternalHandle, {"kind": _MASKED, "block": _MASKED, "id": _MASKED}
    ),
    "measures": RecordCodec(Measures, {"values": _MASKED_JSON, "units": _MASKED_JSON}),
    "lease": LEASE_CODEC,
    "fence": RecordCodec(Fence, FORMS),
    "heartbeat_reply": RecordCodec(HeartbeatReply, FORMS),
    "run_query": RecordCodec(RunQuery, FORMS),
    "document": RecordCodec(Document, {"body": _JSON}),
    "limit": _LIMIT_CODEC,
    "slot": _SLOT_CODEC,
    "claim": RecordCodec(Claim, FORMS),
    "refusal": RecordCodec(Refusal, FORMS),
    "event": EVENT_CODEC,
}
_TAGS = {codec.record: (tag, codec) for tag, codec in RECORDS.items()}


def encode_event(event: Event) -> Json:
    return EVENT_CODEC.encode(event)


def decode_event(body: Json) -> Event:
    return EVENT_CODEC.decode(body)


def strip_event(event: Event) -> Event:
    """Return the event as every store saves it: without values, secrets masked."""
    payload = _strip_payload(event.payload)
    if payload is event.payload:
        return event
    return Event(event.id, event.kind, event.run_id, event.root_id, event.at, payload)


def _strip_payload(payload: Payload) -> Payload:
    if isinstance(payload, LogLine):
        message = redact(payload.message)
        if payload.fields is None:
            return payload if message == payload.message else evolve(payload, message=message)
        return LINE_CODEC.decode(loads(dumps(LINE_CODEC.encode(payload))))
    if isinstance(payload, ArtifactVersion):
        return ARTIFACT_CODEC.decode(loads(dumps(ARTIFACT_CODEC.encode(payload))))
    if isinstance(payload, ExternalHandle | Measures):
        stripped: Payload = decode_record(encode_record(payload))
        return stripped
    state = _strip_state(payload.state)
    if isinstance(payload, Handover):
        return evolve(payload, state=state)
    if isinstance(payload, StateChange):
        return StateChange(payload.version, state, payload.attempt)
    if state is payload.state and payload.parameters is None:
        return payload
    parameters = None if payload.parameters is None else describe_as_json(payload.parameters)
    return evolve(payload, state=state, parameters=parameters)


def _strip_state(state: State) -> State:
    message = None if state.message is None else redact(state.message)
    data = MISSING if state.type is COMPLETED else None
    if message == state.message and data is state.data:
        return state
    return build_state(state.type, state.name, message, state.at, data)
