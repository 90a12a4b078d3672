"""Records as JSON and back: one way, for disk, HTTP and spool alike."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

from flowstone.records.events import ArtifactVersion, Event, LogLine
from flowstone.records.redaction import redact
from flowstone.records.runs import Handover, Lease, RestartInfo, Run, StateChange
from flowstone.records.states import COMPLETED, MISSING, State, StateType

if TYPE_CHECKING:
    from flowstone.records.events import Payload

Json = dict[str, Any]

dumps = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
loads = json.loads

#: A value without a JSON form is kept as its `repr`, up to this many characters.
LONGEST_REPR = 500
#: Of a list or dict in a run's parameters, so many items are kept.
MOST_ITEMS = 1000


def describe_as_json(value: object, depth: int = 8) -> Any:
    """Return a JSON value that tells a person what `value` is; secrets masked, size bounded."""
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
    """Tell whether `describe_as_json` keeps a value as it is, to the last bit."""
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
    """Return a JSON value with secrets masked, and nothing else changed."""
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
    if is_dataclass(value) and not isinstance(value, type):
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
    text = redact(text)  # before it is cut: the half of a secret is not known as one
    return text if len(text) <= LONGEST_REPR else f"{text[:LONGEST_REPR]}…"


def encode_state(state: State) -> Json:
    body: Json = {"type": state.type.value, "name": state.name, "at": state.at}
    if state.message is not None:
        body["message"] = redact(state.message)
    return body


def decode_state(body: Mapping[str, Any]) -> State:
    kind = StateType(body["type"])
    data = MISSING if kind is COMPLETED else None
    return State(kind, body["name"], body.get("message"), body["at"], data)


def encode_lease(lease: Lease | None) -> Json | None:
    if lease is None:
        return None
    return {"token": lease.token, "holder": lease.holder, "until": lease.until}


def decode_lease(body: Mapping[str, Any] | None) -> Lease | None:
    return None if body is None else Lease(**body)


def encode_restart(recipe: RestartInfo) -> Json:
    return {
        "entrypoint": recipe.entrypoint,
        "obstacle": recipe.reason,
        "lost": list(recipe.missing_parameters),
    }


def decode_restart(body: Mapping[str, Any]) -> RestartInfo:
    return RestartInfo(body["entrypoint"], body.get("obstacle"), tuple(body["lost"]))


def encode_run(run: Run) -> Json:
    return {
        "id": run.id,
        "kind": run.kind,
        "name": run.name,
        "unit": run.unit,
        "root_id": run.root_id,
        "parent_id": run.parent_id,
        "state": encode_state(run.state),
        "version": run.version,
        "attempt": run.attempt,
        "created": run.created,
        "started": run.started,
        "ended": run.ended,
        "tags": list(run.tags),
        "unit_version": run.unit_version,
        "parameters": None if run.parameters is None else describe_as_json(run.parameters),
        "inputs": list(run.inputs),
        "lease": encode_lease(run.lease),
        "recipe": run.recipe and encode_restart(run.recipe),
    }


def decode_run(body: Mapping[str, Any]) -> Run:
    recipe = body.get("recipe")
    return Run(
        **{
            **body,
            "state": decode_state(body["state"]),
            "tags": tuple(body["tags"]),
            "inputs": tuple(body["inputs"]),
            "lease": decode_lease(body["lease"]),
            "recipe": recipe and decode_restart(recipe),
        }
    )


def encode_line(line: LogLine) -> Json:
    body: Json = {"level": line.level, "logger": line.logger, "message": redact(line.message)}
    if line.fields is not None:
        body["fields"] = mask_json(line.fields)
    return body


def encode_artifact(artifact: ArtifactVersion) -> Json:
    description = artifact.description
    return {
        "id": artifact.id,
        "kind": artifact.kind,
        "key": artifact.key,
        "description": None if description is None else redact(description),
        "data": mask_json(artifact.data),
    }


def encode_payload(payload: Payload) -> Json:
    if isinstance(payload, StateChange):
        body: Json = {"version": payload.version, "attempt": payload.attempt}
        body["state"] = encode_state(payload.state)
        if isinstance(payload, Handover):
            body["lease"] = encode_lease(payload.lease)
        return body
    if isinstance(payload, LogLine):
        return encode_line(payload)
    if isinstance(payload, ArtifactVersion):
        return {"artifact": encode_artifact(payload)}
    return {"run": encode_run(payload)}


def decode_payload(body: Mapping[str, Any]) -> Payload:
    if "run" in body:
        return decode_run(body["run"])
    if "level" in body:
        return LogLine(**body)
    if "artifact" in body:
        return ArtifactVersion(**body["artifact"])
    step = body["version"], decode_state(body["state"]), body["attempt"]
    return Handover(*step, decode_lease(body["lease"])) if "lease" in body else StateChange(*step)


def encode_event(event: Event) -> Json:
    return {
        "id": event.id,
        "kind": event.kind,
        "run_id": event.run_id,
        "root_id": event.root_id,
        "at": event.at,
        "payload": encode_payload(event.payload),
    }


def decode_event(body: Mapping[str, Any]) -> Event:
    return Event(**{**body, "payload": decode_payload(body["payload"])})


def strip_event(event: Event) -> Event:
    """Return the event as any store keeps it: no values, secrets masked."""
    payload = _strip_payload(event.payload)
    if payload is event.payload:
        return event
    return Event(event.id, event.kind, event.run_id, event.root_id, event.at, payload)


def _strip_payload(payload: Payload) -> Payload:
    if isinstance(payload, LogLine):
        message = redact(payload.message)
        if payload.fields is None:
            return payload if message == payload.message else replace(payload, message=message)
        return LogLine(**loads(dumps(encode_line(payload))))
    if isinstance(payload, ArtifactVersion):
        return ArtifactVersion(**loads(dumps(encode_artifact(payload))))
    state = _strip_state(payload.state)
    if isinstance(payload, Handover):
        return replace(payload, state=state)
    if isinstance(payload, StateChange):
        return StateChange(payload.version, state, payload.attempt)
    if state is payload.state and payload.parameters is None:
        return payload
    parameters = None if payload.parameters is None else describe_as_json(payload.parameters)
    return replace(payload, state=state, parameters=parameters)


def _strip_state(state: State) -> State:
    message = None if state.message is None else redact(state.message)
    data = MISSING if state.type is COMPLETED else None
    if message == state.message and data is state.data:
        return state
    return State(state.type, state.name, message, state.at, data)
