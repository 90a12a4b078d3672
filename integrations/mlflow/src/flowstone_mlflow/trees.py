"""A tree of runs as MLflow is to have it: what happened to each, and what of that is sent."""

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
    """A run of Flowstone that has, or will have, an MLflow run: one of each attempt, or of all.

    Attributes:
        start: what happened at its beginning.
        attempts: those that this MLflow run stands for, the current one last.
        end: what happened at its end; None while it runs.
        mlflow_id: the MLflow run; None before it is made.
        is_uncertain: whether MLflow may have the run already, though the id is not known here.
        is_resumed: whether it had ended in MLflow before its last attempt began.
        told: of how many attempts the tasks know the id.
        reading: which attempt's log is being sent, and from which `offset` on.
        birth: the run as it was born, where this process saw that.
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
    """An outermost run and all below it.

    Attributes:
        on_retry: ``new`` where a later attempt has an MLflow run of its own, else ``resume``.
        tag: the tag of the runs that count; empty for all.
        runs: those that are tracked, in the order of their beginning; a later attempt replaces one
            that is sent.
        is_adopted: whether another process has begun to send it.
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
        """Whether the outermost run has ended, or all that a block inside it has called."""
        if self.is_over or self.root_id in self.runs:
            return self.is_over
        return bool(self.runs) and all(each.end for each in self.runs.values())

    def know_root(self, root: Run) -> None:
        """Take the outermost run from the store, where another process began it."""
        if root.kind == "flow" or MARK in root.tags:
            self._anchors[root.id] = root.id
            self._births[root.id] = root

    def list_pending(self) -> Iterator[TrackedRun]:
        """Yield the runs of which something may be to send, in the order of their beginning."""
        for tracked in [*self.retired, *self.runs.values()]:
            if not tracked.is_done:
                yield tracked

    def take(self, event: Event) -> list[Record]:
        """Take an event; return the facts that it makes, which are to be kept."""
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
                # It never began, as with parameters that are wrong; the failure is to be seen.
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
        """Take in a fact: one that happens now, or one that an ended process has kept."""
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
        """Take in what an ended process has kept."""
        self.is_adopted = True
        for fact in self.spool.read_facts():
            self.apply(fact)
        for tracked in self.list_pending():
            tracked.is_uncertain = True
            tracked.mlflow_id = self.spool.read_id(tracked.run_id, tracked.attempts[0])


def _flatten(run: Run) -> dict[str, str]:
    """Return the parameters of a flow run as texts."""
    return {name: value if isinstance(value, str) else repr(value)
            for name, value in (run.parameters or {}).items()}  # fmt: skip
