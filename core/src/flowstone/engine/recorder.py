"""The recorder of one run: adds the time to each state change, and writes it as an event."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from flowstone.engine.arguments import PLAIN
from flowstone.engine.clock import start_steady_time
from flowstone.errors import CancelSignal, Conflict, FencedRun, StoreError, SuspendSignal
from flowstone.records.events import (
    KINDS,
    Event,
    make_birth_event,
    make_handover_event,
    make_log_event,
)
from flowstone.records.ids import new_id
from flowstone.records.redaction import register_secrets
from flowstone.records.runs import Handover, Lease, Origin, Run, StateChange
from flowstone.records.states import (
    BIRTH,
    CANCELLING,
    PAUSED,
    PENDING,
    RUNNING,
    TERMINAL,
    UNBORN,
    State,
    StateType,
    build_state,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from flowstone.context.current import Services
    from flowstone.errors import StopSignal
    from flowstone.ports import CurrentRun
    from flowstone.records.events import LogLine


class Takeover(NamedTuple):
    """A root run that this process takes over.

    Attributes:
        run: its current state; no process holds it.
        event: the `Handover` to record.
    """

    run: Run
    event: Event

    @property
    def origin(self) -> Origin:
        """The attributes that it was created with, and the new lease."""
        return self.run.origin(cast("Handover", self.event.payload).lease)


class RunRecorder:
    """Holds the current state of a run, and is the only one that changes it.

    Flow runs and roots are written immediately; task runs are appended to the journal.
    """

    __slots__ = (
        "_attempt",
        "_born",
        "_changes",
        "_generation",
        "_journal",
        "_pending",
        "_through",
        "origin",
        "time",
        "token",
    )

    def __init__(
        self, services: Services, origin: Origin, parent: CurrentRun | None = None
    ) -> None:
        """Prepare the record of a new run; a child uses the token and the clock of its parent."""
        self._journal = services.journal
        tree_time = None if parent is None else parent.time
        self.time = tree_time or start_steady_time(services.clock)
        self._through = origin.kind == "flow" or origin.parent_id is None
        self._attempt = 0
        self._born: Run | None = None
        self._changes: list[StateChange] = []  # not yet applied to `_born`: the run is rarely read
        self._pending: tuple[Event, State] | None = None
        self._generation = _generation
        self.origin = origin
        token = None if parent is None else parent.token
        self.token = token if origin.lease is None else origin.lease.token

    @property
    def is_copy(self) -> bool:
        """Whether this is the copy in a forked child; the parent records the run."""
        return self._generation != _generation

    def may_block(self) -> bool:
        """Return whether recording the next state has to wait for the store."""
        return self._through or self._journal.is_full()

    @property
    def run(self) -> Run:
        """The current run; available after its first state."""
        born = self._born
        assert born is not None
        if self._changes:
            for change in self._changes:
                born = born.apply(change)
            self._born, self._changes = born, []  # in one statement, as an interrupt may follow
        return born

    @property
    def attempt(self) -> int:
        """The number of times that the run has been started."""
        return self._attempt

    @property
    def state(self) -> State:
        """The current state of the run."""
        if self._changes:
            return self._changes[-1].state
        return UNBORN if self._born is None else self._born.state

    def record(
        self, kind: StateType, name: str, message: str | None = None, data: Any = None
    ) -> State:
        """Put the run into a state, and return that state.

        Raises:
            FencedRun: it was ended or taken over from outside.
            StoreError: the event can't be stored.
        """
        if data is not None and type(data) not in PLAIN:
            register_secrets(data)
        if self._pending is not None and self._repeat_fact(kind, name, message):
            return State(kind, name, message, self.state.at, data)
        state = build_state(kind, name, message, self.time(), data)
        if kind is RUNNING:
            self._attempt += 1
        if self._born is None:
            if kind in BIRTH:
                self._record_birth(state)
                return state
            self._record_birth(build_state(PENDING, "Pending", None, state.at))
        self._record_change(state)
        return state

    def take_up(self, takeover: Takeover) -> None:
        """Continue an existing run, as its only writer from here on.

        Raises:
            Conflict: another process was first.
        """
        self._born = self._journal.record(takeover.event, self.token)
        self._attempt = self._born.attempt

    def _record_birth(self, state: State) -> None:
        run = self.origin.make_run(state, self._attempt)
        self._keep_birth(make_birth_event(run), run)

    def _record_change(self, state: State) -> None:
        """Go into the next state."""
        last = self._changes[-1] if self._changes else self._born
        assert last is not None
        who, kept = self.origin, state
        if state.data is not None:  # stores don't accept it, and a queued event must not hold it
            kept = build_state(state.type, state.name, state.message, state.at)
        change = StateChange(last.version + 1, kept, self._attempt)
        kind = KINDS[who.kind][state.type]
        event = Event(new_id(), kind, who.id, who.root_id, state.at, change)
        self._keep_change(event, change, state)

    def _repeat_fact(self, kind: StateType, name: str, message: str | None) -> bool:
        """Write a pending event again after an error or interrupt; return whether it is this one.

        It may have been stored already; as its id is the same, it is stored once.
        """
        assert self._pending is not None
        event, state = self._pending
        payload = event.payload
        if isinstance(payload, StateChange):
            self._keep_change(event, payload, state)
        elif isinstance(payload, Run):
            self._keep_birth(event, payload)
        return (state.type, state.name, state.message) == (kind, name, message)

    # Until it is sure that a fact is kept, it is pending: an interrupt may come anywhere in these
    # two, and have the same said again.

    def _keep_birth(self, event: Event, run: Run) -> None:
        self._pending = event, run.state
        if self._through:
            self._journal.create(event, self.token)
        else:
            self._journal.append(event, self.token)
        self._born = run
        self._pending = None

    def _keep_change(self, event: Event, change: StateChange, state: State) -> None:
        self._pending = event, state
        version = change.version
        if self._generation == _generation:  # not in a forked child's copy
            if self._through:
                version = self._record_through(event).version
            else:
                self._journal.append(event, self.token)
        if version != change.version or state is not change.state:
            # A request to end the run may have come in between.
            change = StateChange(version, state, change.attempt)
        self._changes.append(change)
        if self.origin.parent_id is None and state.type in TERMINAL and not self.is_copy:
            self._journal.release(self.origin.id)
        self._pending = None

    def refresh(self) -> Run:
        """Return the run in the store, and continue from there if another process changed it.

        Raises:
            FencedRun: it was ended or taken over from outside.
        """
        actual = self._journal.refresh(self.origin.id, self.token)
        if actual.version > self.run.version:
            self._born, self._changes = actual, []
        return actual

    def find_request(self) -> str | None:
        """Return the reason of a request to end the run; None if there is none, or on an error.

        If the store can't be read, recording the end will raise the same error.
        """
        try:
            state = self._journal.refresh(self.origin.id, self.token).state
        except (FencedRun, StoreError):
            return None
        return state.message if state.type is CANCELLING else None

    def resume(self) -> bool:
        """Continue a paused run in the same attempt; return whether it was resumed by a request."""
        was_paused, version = self.state.type is PAUSED, self.run.version
        state = State(RUNNING, "Running", None, self.time())
        self._record_change(state)
        return not was_paused or self.run.version > version + 1

    def suspend(self, message: str, data: BaseException) -> State:
        """Release the lease of the run, and return the state that it is left in."""
        state = State(PAUSED, "Suspended", message, self.time(), data)
        self._born = self._journal.record(make_handover_event(self.run, state, None), self.token)
        self._changes = []
        self._journal.release(self.origin.id)
        return state

    def _record_through(self, event: Event) -> Run:
        try:
            return self._journal.record(event, self.token)
        except (CancelSignal, SuspendSignal) as signal:
            if isinstance(signal.__cause__, Conflict):
                self._pending = None  # refused because of a request to stop: it is not stored
            raise

    def abandon(self) -> None:
        """Abandon a root whose end could not be stored: when its lease expires, it is Crashed."""
        if self.origin.parent_id is None and not self.is_copy:
            self._journal.abandon(self.origin.id, self.token)

    def leave(self, run_ids: Iterable[str]) -> None:
        """Ignore further events of submitted runs that could not be stopped."""
        self._journal.leave(self.origin.root_id, run_ids)

    def on_request(self, stop: Callable[[type[StopSignal]], None]) -> None:
        """Call `stop`, in another thread, with the signal of a request to stop the run."""
        self._journal.on_request(self.origin.id, stop)

    def flush(self) -> None:
        """Write everything that was recorded until now.

        Raises:
            StoreError: the store can't write it.
        """
        self._journal.flush()

    def write(self, line: LogLine) -> None:
        """Add a line to the run's log."""
        self._journal.append(make_log_event(self.run, self.time(), line))


def make_lease(services: Services) -> Lease:
    """Return a new lease for a root that this process drives."""
    return Lease(new_id(), services.holder(), seconds=services.settings.lease_seconds)


#: The number of forks between this process and the one that imported this module.
_generation = 0


def _count_fork() -> None:
    global _generation
    _generation += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_count_fork)
