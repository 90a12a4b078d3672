"""Facts: everything that happens is an `Event`, and is never changed afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowstone.records.ids import new_id
from flowstone.records.runs import Handover, Run, StateChange
from flowstone.records.states import StateType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowstone.records.runs import Lease
    from flowstone.records.states import State


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a run's log.

    Attributes:
        level: the standard library's number, 20 for INFO.
        logger: the logger's name.
        message: the text, with a traceback where there was one; secrets masked.
        fields: what was said beside the text, by `extra=`, as JSON values; None for nothing.
    """

    level: int
    logger: str
    message: str
    fields: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class ArtifactVersion:
    """An artifact as it was saved once: the newest of an id, or of a key, is what it is now.

    Attributes:
        id: of the artifact; an update carries the id of what it updates.
        kind: ``link``, ``markdown``, ``table``, ``progress`` or ``image``.
        key: by which people find it; each saving under a key is a version of it.
        description: what a person should know of it, as Markdown.
        data: its content, as JSON values; secrets masked.
    """

    id: str
    kind: str
    key: str | None
    description: str | None
    data: Any


Payload = Run | StateChange | LogLine | ArtifactVersion
#: What tells something of a run without changing it. A run's writer may tell it after the end.
INFORMATIONAL = (LogLine, ArtifactVersion)


@dataclass(frozen=True, slots=True)
class Event:
    """One fact.

    Attributes:
        id: sorts by time; a store keeps an id once, however often it is sent.
        kind: what happened, in the past tense, such as ``TaskRunCompleted`` or ``LogWritten``.
        run_id: the run that it happened to.
        root_id: the outermost run of that run's tree.
        at: seconds since the epoch.
        payload: a `Run` at its birth, a `StateChange` of it later, a `LogLine` of its log, or an
            `ArtifactVersion` that it saved.
    """

    id: str
    kind: str
    run_id: str
    root_id: str
    at: float
    payload: Payload


_PAST = {
    StateType.SCHEDULED: "Scheduled",
    StateType.PENDING: "Submitted",
    StateType.RUNNING: "Started",
    StateType.COMPLETED: "Completed",
    StateType.FAILED: "Failed",
    StateType.CANCELLED: "Cancelled",
    StateType.CRASHED: "Crashed",
    StateType.PAUSED: "Paused",
    StateType.CANCELLING: "CancelRequested",
}
KINDS: Mapping[str, Mapping[StateType, str]] = {
    "flow": {state: f"FlowRun{past}" for state, past in _PAST.items()},
    "task": {state: f"TaskRun{past}" for state, past in _PAST.items()},
}
LOG_WRITTEN = "LogWritten"
ARTIFACT_SAVED = "ArtifactSaved"


def make_birth_event(run: Run) -> Event:
    """Return the fact that a run has come to be."""
    state = run.state
    return Event(new_id(), KINDS[run.kind][state.type], run.id, run.root_id, state.at, run)


def make_change_event(run: Run, state: State, attempt: int) -> Event:
    """Return the fact that a run has gone into a state."""
    change = StateChange(run.version + 1, state, attempt)
    return Event(new_id(), KINDS[run.kind][state.type], run.id, run.root_id, state.at, change)


def make_handover_event(run: Run, state: State, lease: Lease | None) -> Event:
    """Return the fact that a root has gone into a state, and to another writer or to none."""
    change = Handover(run.version + 1, state, run.attempt, lease)
    return Event(new_id(), KINDS[run.kind][state.type], run.id, run.root_id, state.at, change)


def make_log_event(run: Run, at: float, line: LogLine) -> Event:
    """Return the fact that a run has logged a line."""
    return Event(new_id(), LOG_WRITTEN, run.id, run.root_id, at, line)


def make_artifact_event(run: Run | None, at: float, artifact: ArtifactVersion) -> Event:
    """Return the fact that a run has saved an artifact, or somebody outside any run."""
    run_id, root_id = ("", "") if run is None else (run.id, run.root_id)
    return Event(new_id(), ARTIFACT_SAVED, run_id, root_id, at, artifact)


def fold(run: Run | None, event: Event) -> Run | None:
    """Return the run as the event leaves it; an event that it has seen changes nothing."""
    payload: Any = event.payload
    if isinstance(payload, Run):
        return payload if run is None or payload.version > run.version else run
    if isinstance(payload, StateChange) and run is not None and payload.version > run.version:
        return run.apply(payload)
    return run
