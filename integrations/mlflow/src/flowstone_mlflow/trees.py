"""The tree of runs to send to MLflow: their facts, and how much has been sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flowstone.records.runs import Run, StateChange
from flowstone.records.states import CANCELLED, COMPLETED, RUNNING, StateType
from flowstone_mlflow.position import MARK, TRACKED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowstone.records.events import Event
    from flowstone.records.states import State
    from flowstone_mlflow.spool import Record, Spool

FINISHED, FAILED, KILLED = "FINISHED", "FAILED", "KILLED"


@dataclass(eq=False, slots=True)
class TrackedRun:
    """A Flowstone run with an MLflow run, which may not exist yet: one per attempt, or one for all.

    Attributes:
        start: the fact of its start.
        attempts: the attempts of this MLflow run, the current one last.
        end: the fact of its end; None while it runs.
        mlflow_id: the id of the MLflow run; None until it is created.
        is_uncertain: whether MLflow may have the run already, although its id is unknown here.
        is_resumed: whether it had ended in MLflow before its last attempt began.
        told: the number of attempts whose tasks know the id.
        reading: the attempt whose log is being sent, starting at `offset`.
        birth: the run at its creation, if this process observed it.
    """

    start: Record
    attempts: list[int]
    end: Record | None = None
    mlflow_id: str | None = None
    is_uncertain: bool = False
    is_resumed: bool = False
    told: int = 0
    reading: int = 0
    offset: int = 0
    sent_params: bool = False
    is_done: bool = False
    birth: Run | None = None

    @property
    def run_id(self) -> str:
        return str(self.start["run"])

    def __str__(self) -> str:
        return f"{self.start['type']} run {self.start['name']!r}"


@dataclass(eq=False)
class Tree:
    """An outermost run and all runs below it.

    Attributes:
        on_retry: ``new`` if each attempt has its own MLflow run, else ``resume``.
        tag: the tag of the runs to track; empty for all.
        runs: the tracked runs, ordered by start; a later attempt replaces one that is sent.
        is_adopted: whether another process has started to send it.
        is_over: whether the outermost run has ended.
    """

    spool: Spool
    on_retry: str
    tag: str = ""
    runs: dict[str, TrackedRun] = field(default_factory=dict)
    retired: list[TrackedRun] = field(default_factory=list)
    is_adopted: bool = False
    is_over: bool = False
    _births: dict[str, Run] = field(default_factory=dict)
    _anchors: dict[str, str | None] = field(default_factory=dict)

    @property
    def root_id(self) -> str:
        return self.spool.root_id

    @property
    def has_ended(self) -> bool:
        """Whether the outermost run has ended, or all runs that a block inside it has called."""
        if self.is_over or self.root_id in self.runs:
            return self.is_over
        return bool(self.runs) and all(each.end for each in self.runs.values())

    def know_root(self, root: Run) -> None:
        """Set the outermost run, from the store, if another process started it."""
        if root.kind == "flow" or MARK in root.tags:
            self._anchors[root.id] = root.id
            self._births[root.id] = root

    def list_pending(self) -> Iterator[TrackedRun]:
        """Yield the runs that may have unsent data, ordered by start."""
        for tracked in [*self.retired, *self.runs.values()]:
            if not tracked.is_done:
                yield tracked

    def take(self, event: Event) -> list[Record]:
        """Process an event; return the resulting facts, which have to be stored."""
        payload = event.payload
        if isinstance(payload, Run):
            if event.run_id not in self._anchors:
                is_tracked = payload.kind == "flow" or MARK in payload.tags
                is_tracked = is_tracked and (not self.tag or self.tag in payload.tags)
                above = self._anchors.get(payload.parent_id) if payload.parent_id else None
                self._anchors[event.run_id] = event.run_id if is_tracked else above
                if is_tracked:
                    self._births[event.run_id] = payload
        elif not isinstance(payload, StateChange):
            return []
        return list(self._make_facts(event, payload.state, payload.attempt))

    def _make_facts(self, event: Event, state: State, attempt: int) -> Iterator[Record]:
        run_id = event.run_id
        birth, known = self._births.get(run_id), self.runs.get(run_id)
        if state.type is RUNNING and (birth is not None or known is not None):
            yield from self._start(run_id, birth, known, max(attempt, 1), event.at)
        elif state.is_final():
            self._births.pop(run_id, None)
            if (
                known is None
                and birth is not None
                and state.type in {StateType.FAILED, StateType.CRASHED}
            ):
                # It never started, for example because of invalid parameters; show the failure.
                yield from self._start(run_id, birth, None, max(attempt, 1), event.at)
                known = self.runs[run_id]
            if run_id == self.root_id:
                yield {"root": "ended"}
                self.is_over = True
            if known is not None and known.end is None:
                yield self._end(known, state, event.at)

    def _start(
        self, run_id: str, birth: Run | None, known: TrackedRun | None, attempt: int, at: float
    ) -> Iterator[Record]:
        if known is not None and attempt in known.attempts and known.end is None:
            return
        if known is not None and known.end is None and self.on_retry == "new":
            yield self.apply({"end": run_id, "status": FAILED, "at": at})
        fact: Record = {"run": run_id, "attempt": attempt, "at": at}
        if birth is None:
            assert known is not None
            fact = {**known.start, **fact}
        else:
            above = self._anchors.get(birth.parent_id) if birth.parent_id else None
            fact |= {
                "name": birth.name,
                "unit": birth.unit,
                "type": birth.kind,
                "parent": above,
                "caller": birth.parent_id,
                "tags": [tag for tag in birth.tags if tag != MARK and not tag.startswith(TRACKED)],
                "params": _flatten(birth),
            }
        self.is_over = False
        yield self.apply(fact)
        self.runs[run_id].birth = birth

    def _end(self, known: TrackedRun, state: State, at: float) -> Record:
        status = {COMPLETED: FINISHED, CANCELLED: KILLED}.get(state.type, FAILED)
        message = (state.message or "")[:1000]
        fact = {"end": known.run_id, "status": status, "at": at}
        told = {"state": state.name, "message": message} if status != FINISHED else {}
        return self.apply({**fact, **told})

    def apply(self, fact: Record) -> Record:
        """Apply a fact: a new one, or one that an ended process has stored."""
        if "end" in fact:
            if (known := self.runs.get(fact["end"])) is not None:
                known.end = fact
        elif fact.get("root") == "ended":
            self.is_over = True
        elif "run" in fact:
            self._apply_start(fact)
        return fact

    def _apply_start(self, fact: Record) -> None:
        run_id, attempt = fact["run"], fact["attempt"]
        known = self.runs.get(run_id)
        self._anchors.setdefault(run_id, run_id)
        if known is not None and self.on_retry == "resume":
            known.attempts.append(attempt)
            known.is_resumed = known.is_done
            known.end, known.is_done = None, False
            return
        if known is not None and not known.is_done:
            self.retired.append(known)
        self.runs[run_id] = TrackedRun(fact, [attempt])

    def load(self) -> None:
        """Apply the facts that an ended process has stored."""
        self.is_adopted = True
        for fact in self.spool.read_facts():
            self.apply(fact)
        for tracked in self.list_pending():
            tracked.is_uncertain = True
            tracked.mlflow_id = self.spool.read_id(tracked.run_id, tracked.attempts[0])


def _flatten(run: Run) -> dict[str, str]:
    """Return the parameters of a flow run as strings."""
    return {name: value if isinstance(value, str) else repr(value)
            for name, value in (run.parameters or {}).items()}  # fmt: skip
