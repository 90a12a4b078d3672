"""Events: everything that happens is an `Event`, which is never changed afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowstone.records.ids import new_id
from flowstone.records.record import fact, record
from flowstone.records.runs import Handover, Run, StateChange
from flowstone.records.states import StateType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowstone.records.runs import Lease
    from flowstone.records.states import State


@record
class LogLine:
    """One line of a run's log.

    Attributes:
        level: the number of the standard library's level, such as 20 for INFO.
        logger: the logger's name.
        message: the text, with a traceback if there is one; secrets masked.
        fields: the values of `extra=`, as JSON values; None if there are none.
    """

    level: int
    logger: str
    message: str
    fields: Mapping[str, object] | None = None


@record
class ArtifactVersion:
    """One version of an artifact; the newest version of an id or a key is the current one.

    Attributes:
        id: the artifact's id; an update has the id of what it updates.
        kind: ``link``, ``markdown``, ``table``, ``progress`` or ``image``.
        key: a name to find it by; each save under a key is a new version.
        description: a text for the reader, in Markdown.
        data: its content, as JSON values; secrets masked.
    """

    id: str
    kind: str
    key: str | None
    description: str | None
    data: Any


@record
class ExternalHandle:
    """External work that a run has started; recorded before anything waits for it.

    Attributes:
        kind: its kind: ``job``, ``query``, ``container`` …
        block: the block that can access it, as ``type/name``; only ``type`` if it was not saved.
        id: the service's id of it.
        attempt: the attempt of the run that started it.
    """

    kind: str
    block: str
    id: str
    attempt: int = 1

    @property
    def is_reachable(self) -> bool:
        """Whether another process can access it through the saved block."""
        return "/" in self.block

    def __str__(self) -> str:
        kind, _, name = self.block.partition("/")
        return f"{self.kind} {self.id} ({repr(name) if name else f'unsaved {kind}'})"


@record
class Measures:
    """Numbers about the work that a run did: rows, bytes, credits.

    Attributes:
        values: by name.
        units: by the same names.
    """

    values: Mapping[str, float]
    units: Mapping[str, str]


Payload = Run | StateChange | LogLine | ArtifactVersion | ExternalHandle | Measures
#: Payloads that don't change the run. A run's writer may still write them after its end.
INFORMATIONAL = (LogLine, ArtifactVersion, ExternalHandle, Measures)


@fact
class Event:
    """One event.

    Attributes:
        id: sorts by time; a store saves an event once, however often it is sent.
        kind: what happened, in the past tense, such as ``TaskRunCompleted`` or ``LogWritten``.
        run_id: the run that it happened to.
        root_id: the outermost run of that run's tree.
        at: seconds since the epoch.
        payload: a `Run` for its creation, a `StateChange` for a later change, a `LogLine` of its
            log, an `ArtifactVersion` that it saved, an `ExternalHandle` of external work that has
            started or ended, or `Measures`.
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
EXTERNAL_WORK_STARTED = "ExternalWorkStarted"
EXTERNAL_WORK_ENDED = "ExternalWorkEnded"
MEASURED = "Measured"


def make_birth_event(run: Run) -> Event:
    """Return the event of a run's creation."""
    state = run.state
    return Event(new_id(), KINDS[run.kind][state.type], run.id, run.root_id, state.at, run)


def make_change_event(run: Run, state: State, attempt: int) -> Event:
    """Return the event of a run's new state."""
    change = StateChange(run.version + 1, state, attempt)
    return Event(new_id(), KINDS[run.kind][state.type], run.id, run.root_id, state.at, change)


def make_handover_event(run: Run, state: State, lease: Lease | None) -> Event:
    """Return the event of a root's new state and new writer, or of no writer."""
    change = Handover(run.version + 1, state, run.attempt, lease)
    return Event(new_id(), KINDS[run.kind][state.type], run.id, run.root_id, state.at, change)


def make_log_event(run: Run, at: float, line: LogLine) -> Event:
    """Return the event of a logged line."""
    return Event(new_id(), LOG_WRITTEN, run.id, run.root_id, at, line)


def make_external_event(run: Run, at: float, handle: ExternalHandle, kind: str) -> Event:
    """Return the event of external work that has started or ended, as the kind says."""
    return Event(new_id(), kind, run.id, run.root_id, at, handle)


def make_measures_event(run: Run, at: float, measures: Measures) -> Event:
    """Return the event of a run's measures."""
    return Event(new_id(), MEASURED, run.id, run.root_id, at, measures)


def make_artifact_event(run: Run | None, at: float, artifact: ArtifactVersion) -> Event:
    """Return the event of an artifact saved by a run, or outside of any run."""
    run_id, root_id = ("", "") if run is None else (run.id, run.root_id)
    return Event(new_id(), ARTIFACT_SAVED, run_id, root_id, at, artifact)


def fold(run: Run | None, event: Event) -> Run | None:
    """Return the run after the event; an event that it has seen changes nothing."""
    payload: Any = event.payload
    if isinstance(payload, Run):
        return payload if run is None or payload.version > run.version else run
    if isinstance(payload, StateChange) and run is not None and payload.version > run.version:
        return run.apply(payload)
    return run
