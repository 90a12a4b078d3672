"""Records as rows of the tables, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from flowstone.records.encoding import (
    decode_lease,
    decode_restart,
    decode_state,
    describe_as_json,
    dumps,
    encode_artifact,
    encode_lease,
    encode_restart,
    encode_run,
    encode_state,
    loads,
    mask_json,
)
from flowstone.records.events import KINDS, ArtifactVersion, Event, LogLine
from flowstone.records.redaction import redact
from flowstone.records.runs import Handover, Lease, Run, StateChange
from flowstone.records.states import COMPLETED, MISSING, RUNNING, State, StateType

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from flowstone.records.events import Payload
    from flowstone.records.runs import Kind

Row = tuple[Any, ...]

BIRTH, CHANGE, LINE, ARTIFACT = range(4)

#: The state that an event of this kind has if nothing is said.
_PLAIN = {kind: state for kinds in KINDS.values() for state, kind in kinds.items()}
_NAMES = {state: State(state).name for state in StateType}
_TYPES = {state.value: state for state in StateType}


def make_event_row(event: Event) -> Row:
    payload = event.payload
    if isinstance(payload, LogLine):
        parts = [payload.level, payload.logger, redact(payload.message)]
        kept = dumps(parts if payload.fields is None else [*parts, mask_json(payload.fields)])
        return event.id, event.root_id, event.run_id, event.kind, event.at, LINE, None, None, kept
    if isinstance(payload, ArtifactVersion):
        kept = dumps(encode_artifact(payload))
        return (
            event.id, event.root_id, event.run_id, event.kind, event.at, ARTIFACT, None, None, kept
        )  # fmt: skip
    state = payload.state
    is_plain = (
        state.message is None
        and state.at == event.at
        and _PLAIN.get(event.kind) is state.type
        and state.name == _NAMES[state.type]
    )
    more: str | None
    if isinstance(payload, Handover):
        body = {"state": encode_state(state), "lease": encode_lease(payload.lease)}
        form, more = CHANGE, dumps(body)
    elif isinstance(payload, StateChange):
        form, more = CHANGE, None if is_plain else dumps({"state": encode_state(state)})
    else:
        form, more = (
            BIRTH,
            None if is_plain and _is_plain_birth(payload) else _encode_birth(payload),
        )
    return (
        event.id,
        event.root_id,
        event.run_id,
        event.kind,
        event.at,
        form,
        payload.version,
        payload.attempt,
        more,
    )


def _is_plain_birth(run: Run) -> bool:
    plain_start = run.state.at if run.state.type is RUNNING else None
    return run.lease is None and run.ended is None and run.started == plain_start


def _encode_birth(run: Run) -> str:
    body = encode_run(run)
    return dumps({key: body[key] for key in ("state", "started", "ended", "lease")})


def read_event(row: Sequence[Any]) -> Event:
    """Return the event of a row: the columns of the event, then those of its run at a birth."""
    key, root_id, run_id, kind, at, form, version, attempt, more = row[:9]
    payload: Payload
    if form == LINE:
        payload = LogLine(*loads(more))
    elif form == ARTIFACT:
        payload = ArtifactVersion(**loads(more))
    else:
        body = loads(more) if more else {}
        state = decode_state(body["state"]) if body else _make_state(_PLAIN[kind], None, None, at)
        if form == CHANGE and "lease" in body:
            payload = Handover(version, state, attempt, decode_lease(body["lease"]))
        elif form == CHANGE:
            payload = StateChange(version, state, attempt)
        else:
            payload = _read_birth(row[9:], state, version, attempt, body)
    return Event(key, kind, run_id, root_id, at, payload)


def _read_birth(
    row: Sequence[Any], state: State, version: int, attempt: int, body: dict[str, Any]
) -> Run:
    started = body["started"] if body else state.at if state.type is RUNNING else None
    return _make_run(
        row,
        state,
        version,
        attempt,
        started,
        body.get("ended"),
        decode_lease(body.get("lease")),
    )


def make_run_row(run: Run) -> Row:
    return make_grown_row(run, run.state, run.version, run.attempt, run.started, run.ended)


def make_grown_row(
    run: Run, state: State, version: int, attempt: int, started: float | None, ended: float | None
) -> Row:
    """Return the row of a run that has come to another state, without making that run."""
    lease = run.lease
    message = state.message
    return (
        run.id,
        run.kind,
        run.name,
        run.unit,
        run.root_id,
        run.parent_id,
        state.type.value,
        state.name,
        message if message is None else redact(message),
        state.at,
        version,
        attempt,
        run.created,
        started,
        ended,
        dumps(run.tags) if run.tags else None,
        run.unit_version,
        None if run.parameters is None else dumps(describe_as_json(run.parameters)),
        dumps(run.inputs) if run.inputs else None,
        lease and lease.token,
        lease and lease.holder,
        lease and lease.until,
        run.recipe and dumps(encode_restart(run.recipe)),
    )


def read_run(row: Sequence[Any]) -> Run:
    token, holder, until = row[19:22]
    state = _make_state(_TYPES[row[6]], row[7], row[8], row[9])
    lease = None if token is None else Lease(token, holder, until)
    return _make_run(row, state, row[10], row[11], row[13], row[14], lease)


def _make_run(
    row: Sequence[Any],
    state: State,
    version: int,
    attempt: int,
    started: float | None,
    ended: float | None,
    lease: Lease | None,
) -> Run:
    tags, unit_version, parameters, inputs = row[15:19]
    recipe = row[22]
    return Run(
        id=row[0],
        kind=cast("Kind", row[1]),
        name=row[2],
        unit=row[3],
        root_id=row[4],
        parent_id=row[5],
        state=state,
        version=version,
        attempt=attempt,
        created=row[12],
        started=started,
        ended=ended,
        tags=tuple(loads(tags)) if tags else (),
        unit_version=unit_version,
        parameters=None if parameters is None else loads(parameters),
        inputs=tuple(loads(inputs)) if inputs else (),
        lease=lease,
        recipe=None if recipe is None else decode_restart(loads(recipe)),
    )


def _make_state(kind: StateType, name: str | None, message: str | None, at: float) -> State:
    return State(kind, name or "", message, at, MISSING if kind is COMPLETED else None)


def make_storable(rows: Iterable[Row]) -> list[Row]:
    """Return the rows with what has no UTF-8 form, as half of a surrogate pair, written out."""
    return [
        tuple(
            value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
            for value in row
        )
        for row in rows
    ]
