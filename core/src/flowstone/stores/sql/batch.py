"""A batch of events, folded into as few rows as possible."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.records.record import draft, field
from flowstone.records.redaction import redact
from flowstone.records.runs import Run, StateChange
from flowstone.records.states import RUNNING, TERMINAL
from flowstone.stores.sql.rows import make_event_row
from flowstone.stores.sql.run_table import RUNS, STATE_VALUES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowstone.records.events import Event
    from flowstone.records.states import State
    from flowstone.stores.sql.run_table import Row


@draft
class Batch:
    """The rows to write for some events.

    Attributes:
        facts: rows for `events`.
        births: rows for `runs`, each with the run at the end of the batch.
        moves: parameters of `UPDATE runs`, one for each run that was created earlier.
        moved: the runs of `moves`.
        out_of_order: runs whose changes are not consecutive here.
    """

    facts: list[Row] = field(default_factory=list)
    births: list[Row] = field(default_factory=list)
    moves: list[Row] = field(default_factory=list)
    moved: set[str] = field(default_factory=set)
    out_of_order: set[str] = field(default_factory=set)


class _Growth:
    """How far a run comes in the batch, from its birth, or from an earlier version.

    Attributes:
        run: as it is born; None where it was born earlier.
        before: the version that it has before the batch.
        started: when it is started for the first time, where that is in the batch.
        last: what leaves it as it is at the end of the batch.
    """

    __slots__ = ("before", "last", "run", "started")

    def __init__(self, run: Run | None, first: Run | StateChange) -> None:
        state = first.state
        self.run, self.before, self.last = run, first.version - 1, first
        self.started = state.at if state.type is RUNNING else None
        if run is not None:
            self.started = run.started

    def take(self, step: StateChange) -> None:
        """Advance to the next version."""
        self.last = step
        if self.started is None and step.state.type is RUNNING:
            self.started = step.state.at

    def make_row(self) -> Row:
        """Return the row of the run, which was created in the batch."""
        run, last = self.run, self.last
        assert run is not None
        state = last.state
        ended = run.ended if last is run else _find_end(state)
        return RUNS.make_grown_row(run, state, last.version, last.attempt, self.started, ended)

    def make_update_row(self, run_id: str) -> Row:
        """Return the parameters of `UPDATE runs`: new values, then the expected id and version."""
        last, state = self.last, self.last.state
        return (
            STATE_VALUES[state.type],
            state.name,
            None if state.message is None else redact(state.message),
            state.at,
            last.version,
            last.attempt,
            self.started,
            _find_end(state),
            run_id,
            self.before,
        )


def _find_end(state: State) -> float | None:
    return state.at if state.type in TERMINAL else None


def make_batch(events: Sequence[Event]) -> Batch:
    """Fold events into rows: one for each event, and one for each run."""
    made = Batch(facts=[make_event_row(event) for event in events])
    born: dict[str, _Growth] = {}
    moved: dict[str, _Growth] = {}
    for event in events:
        payload, run_id = event.payload, event.run_id
        if isinstance(payload, StateChange):
            growth = born.get(run_id) or moved.get(run_id)
            if growth is None:
                moved[run_id] = _Growth(None, payload)
            elif payload.version == growth.last.version + 1:
                growth.take(payload)
            else:
                made.out_of_order.add(run_id)
        elif isinstance(payload, Run) and run_id not in born:
            born[run_id] = _Growth(payload, payload)
    made.births = [growth.make_row() for growth in born.values()]
    made.moves = [growth.make_update_row(run_id) for run_id, growth in moved.items()]
    made.moved = set(moved)
    return made
