"""Records as rows of the tables, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.records.encoding import (
    ARTIFACT_CODEC,
    LEASE_CODEC,
    RUN_CODEC,
    decode_record,
    decode_state,
    dumps,
    encode_record,
    encode_state,
    loads,
    mask_json,
)
from flowstone.records.events import (
    KINDS,
    ArtifactVersion,
    Event,
    LogLine,
)
from flowstone.records.record import evolve
from flowstone.records.redaction import redact
from flowstone.records.runs import Handover, Run, StateChange
from flowstone.records.states import RUNNING, State, StateType
from flowstone.stores.sql.run_table import RUNS, make_state

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowstone.records.events import Payload
    from flowstone.stores.sql.run_table import Row

BIRTH, CHANGE, LINE, ARTIFACT, RECORD = range(5)

#: The default state of events of this kind.
_PLAIN = {kind: state for kinds in KINDS.values() for state, kind in kinds.items()}
_NAMES = {state: State(state).name for state in StateType}


def make_event_row(event: Event) -> Row:
    payload = event.payload
    version = attempt = None
    if isinstance(payload, StateChange):
        is_plain = type(payload) is StateChange and _is_plain(event, payload.state)
        form, kept = CHANGE, None if is_plain else _encode_change(payload)
        version, attempt = payload.version, payload.attempt
    elif isinstance(payload, Run):
        is_plain = _is_plain(event, payload.state) and _is_plain_birth(payload)
        form, kept = BIRTH, None if is_plain else _encode_birth(payload)
        version, attempt = payload.version, payload.attempt
    elif isinstance(payload, LogLine):
        parts = [payload.level, payload.logger, redact(payload.message)]
        line = parts if payload.fields is None else [*parts, mask_json(payload.fields)]
        form, kept = LINE, dumps(line)
    elif isinstance(payload, ArtifactVersion):
        form, kept = ARTIFACT, dumps(ARTIFACT_CODEC.encode(payload))
    else:
        form, kept = RECORD, dumps(encode_record(payload))
    return (
        event.id, event.root_id, event.run_id, event.kind, event.at, form, version, attempt, kept
    )  # fmt: skip


def _is_plain(event: Event, state: State) -> bool:
    """Return whether the other columns describe a state completely."""
    return (
        state.message is None
        and state.at == event.at
        and _PLAIN.get(event.kind) is state.type
        and state.name == _NAMES[state.type]
    )


def _encode_change(change: StateChange) -> str:
    if isinstance(change, Handover):
        lease = change.lease and LEASE_CODEC.encode(change.lease)
        return dumps({"state": encode_state(change.state), "lease": lease})
    return dumps({"state": encode_state(change.state)})


def _is_plain_birth(run: Run) -> bool:
    plain_start = run.state.at if run.state.type is RUNNING else None
    return run.lease is None and run.ended is None and run.started == plain_start


def _encode_birth(run: Run) -> str:
    body = RUN_CODEC.encode(run)
    return dumps({key: body[key] for key in ("state", "started", "ended", "lease")})


def read_event(row: Row) -> Event:
    """Return the event of a row: the event's columns, then its run's if it is a creation."""
    key, root_id, run_id, kind, at, form, version, attempt, more = row[:9]
    payload: Payload
    if form == LINE:
        payload = LogLine(*loads(more))
    elif form == ARTIFACT:
        payload = ARTIFACT_CODEC.decode(loads(more))
    elif form == RECORD:
        payload = decode_record(loads(more))
    else:
        body = loads(more) if more else {}
        state = decode_state(body["state"]) if body else make_state(_PLAIN[kind], None, None, at)
        lease = LEASE_CODEC.decode(body["lease"]) if body.get("lease") else None
        if form == CHANGE and "lease" in body:
            payload = Handover(version, state, attempt, lease)
        elif form == CHANGE:
            payload = StateChange(version, state, attempt)
        else:
            payload = evolve(
                RUNS.read_run(row[9:]),
                state=state,
                version=version,
                attempt=attempt,
                started=body["started"] if body else state.at if state.type is RUNNING else None,
                ended=body.get("ended"),
                lease=lease,
            )
    return Event(key, kind, run_id, root_id, at, payload)


def make_storable(rows: Iterable[Row]) -> list[Row]:
    """Return the rows with text that UTF-8 can't encode, such as lone surrogates, escaped."""
    return [
        tuple(
            value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
            for value in row
        )
        for row in rows
    ]
