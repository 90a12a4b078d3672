"""A batch of facts, folded into as few rows as will do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flowstone.records.encoding import encode_state
from flowstone.records.runs import Run, StateChange
from flowstone.records.states import RUNNING, TERMINAL
from flowstone.stores.sql.rows import make_event_row
from flowstone.stores.sql.run_table import RUNS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowstone.records.events import Event
    from flowstone.records.states import State
    from flowstone.stores.sql.run_table import Row


@dataclass(slots=True)
class Batch:
    """What to write for some events.

    Attributes:
        facts: rows for `events`.
        births: rows for `runs`, each as the run is at the end of the batch.
        moves: parameters of `UPDATE runs`, of runs that were born earlier.
        moved: the runs that `moves` are about.
        tangled: runs whose changes are not in step here.
    """

    facts: list[Row] = field(default_factory=list)
    births: list[Row] = field(default_factory=list)
    moves: list[Row] = field(default_factory=list)
    moved: set[str] = field(default_factory=set)
    out_of_order: set[str] = field(default_factory=set)


class _Growth:
    """A run that was born in the batch, and how far it has come."""

    __slots__ = ("attempt", "run", "started", "state", "version")

    def __init__(self, run: Run) -> None:
        self.run = run
        self.state: State = run.state
        self.version = run.version
        self.attempt = run.attempt
        self.started = run.started

    def row(self) -> Row:
        state = self.state
        if state is self.run.state:
            ended = self.run.ended
        else:
            ended = state.at if state.type in TERMINAL else None
        return RUNS.make_grown_row(self.run, state, self.version, self.attempt, self.started, ended)


def make_batch(events: Sequence[Event]) -> Batch:
    """Fold events into rows."""
    made = Batch(facts=[make_event_row(event) for event in events])
    grown: dict[str, _Growth] = {}
    for event in events:
        payload = event.payload
        if isinstance(payload, StateChange):
            growth = grown.get(event.run_id)
            if growth is None:
                made.moves.append(make_update_row(event.run_id, payload))
                made.moved.add(event.run_id)
            elif not _grow(growth, payload):
                made.out_of_order.add(event.run_id)
        elif isinstance(payload, Run) and event.run_id not in grown:
            grown[event.run_id] = _Growth(payload)
    made.births = [growth.row() for growth in grown.values()]
    return made


def _grow(growth: _Growth, change: StateChange) -> bool:
    if change.version != growth.version + 1:
        return False
    state = change.state
    growth.state = state
    growth.version = change.version
    growth.attempt = change.attempt
    if growth.started is None and state.type is RUNNING:
        growth.started = state.at
    return True


def make_update_row(run_id: str, change: StateChange) -> Row:
    """Return the parameters of `UPDATE runs`: the new values, then id and version it must have."""
    state = change.state
    return (
        state.type.value,
        state.name,
        encode_state(state).get("message"),
        state.at,
        change.version,
        change.attempt,
        state.at if state.type is RUNNING else None,
        state.at if state.is_final() else None,
        run_id,
        change.version - 1,
    )
