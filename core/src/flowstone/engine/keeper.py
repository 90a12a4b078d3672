"""The keeper of one run: it stamps each step with the time, and writes it as a fact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowstone.events import KINDS, Event, born, written
from flowstone.ids import new_id
from flowstone.runs import Change, Lease, Run
from flowstone.states import BIRTH, MISSING, PENDING, RUNNING, TERMINAL, State, StateType

if TYPE_CHECKING:
    from flowstone.ambient import Services
    from flowstone.events import Line
    from flowstone.runs import Kind


class Keeper:
    """Knows the run as it is now, and is the only one that moves it.

    Flow runs and roots are written through; task runs go to the journal.
    """

    __slots__ = ("_attempt", "_journal", "_through", "_time", "run")

    def __init__(self, services: Services, run: Run) -> None:
        """Take a run that is not born yet: version 0."""
        self._journal = services.journal
        self._time = services.clock.time
        self._through = run.kind == "flow" or run.parent_id is None
        self._attempt = 0
        self.run = run

    def record(
        self, kind: StateType, name: str, message: str | None = None, data: Any = None
    ) -> Run:
        """Put the run into a state, and return it as it is then.

        Raises:
            FencedRun: it was ended or taken over from outside.
            StoreError: the fact can't be kept.
        """
        state = State(kind, name, message, self._time(), data)
        if kind is RUNNING:
            self._attempt += 1
        if self.run.version == 0:
            if kind in BIRTH:
                return self._born(state)
            self._born(State(PENDING, "Pending", None, state.at))
        return self._changed(state)

    def _born(self, state: State) -> Run:
        run = self.run.after(Change(1, state, self._attempt))
        if self._through:
            self._journal.create(born(run))
        else:
            self._journal.append(born(run))
        self.run = run
        return run

    def _changed(self, state: State) -> Run:
        run = self.run
        change = Change(run.version + 1, state, self._attempt)
        event = Event(new_id(), KINDS[run.kind][state.type], run.id, run.root_id, state.at, change)
        if self._through:
            self._journal.record(event)
        else:
            self._journal.append(event)
        self.run = run = run.after(change)
        if run.parent_id is None and state.type in TERMINAL:
            self._journal.release(run.id)
        return run

    def write(self, line: Line) -> None:
        """Add a line to the run's log."""
        self._journal.append(written(self.run, self._time(), line))


def unborn(  # noqa: PLR0913 - the facts that a run is born with
    services: Services,
    kind: Kind,
    run_id: str,
    name: str,
    unit: str,
    parent: Run | None,
    *,
    tags: tuple[str, ...] = (),
    unit_version: str | None = None,
    parameters: dict[str, Any] | None = None,
    inputs: tuple[str, ...] = (),
) -> Run:
    """Return a run at version 0, before its first state; a root gets a lease."""
    now = services.clock.time()
    lease = None
    if parent is None:
        until = now + services.settings.lease_seconds
        lease = Lease(new_id(), services.holder(), until)
    return Run(
        run_id,
        kind,
        name,
        unit,
        run_id if parent is None else parent.root_id,
        None if parent is None else parent.id,
        _UNBORN,
        0,
        0,
        now,
        None,
        None,
        tags,
        unit_version,
        parameters,
        inputs,
        lease,
    )


_UNBORN = State(PENDING, "Unborn", None, 0.0, MISSING)
