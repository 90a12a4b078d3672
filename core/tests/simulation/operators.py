"""Other processes: people and reapers that meddle with runs while they are driven."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from flowstone.errors import Conflict, IllegalTransition, StoreError
from flowstone.records.events import make_change_event
from flowstone.records.runs import Run, RunQuery, is_waiting
from flowstone.records.states import (
    CANCELLED,
    CANCELLING,
    COMPLETED,
    NEXT,
    Cancelled,
    Cancelling,
    Scheduled,
    State,
    StateType,
)

from . import here
from .scheduler import Host
from .wire import FaultyStore, deliver

if TYPE_CHECKING:
    from .world import World

ACTS = ("cancel", "cancel", "reap", "reap", "take up", "break the rules", "deliver")


class Operator(Host):
    """Somebody at another terminal."""

    def __init__(self, world: World, name: str, rng: Random) -> None:
        super().__init__(name)
        self.world = world
        self.was_held_up, self.faults = False, 0
        self._rng = rng
        self.store = FaultyStore(world, self, world.own_store())  # type: ignore[arg-type]
        self.acts = [
            (rng.choice((0.01, 0.1, 1.0, 5.0)), rng.choice(ACTS)) for _ in range(rng.randint(1, 6))
        ]

    def arrive(self) -> None:
        here.enter(self)  # type: ignore[arg-type]

    def live(self) -> None:
        for seconds, kind in self.acts:
            self.world.scheduler.sleep(seconds)
            try:
                self._act(kind)
            except (StoreError, Conflict) as error:
                self.world.note(f"{kind}: {type(error).__name__}")

    def _act(self, kind: str) -> None:
        if kind == "reap":
            self.store.reap()
            return
        if kind == "deliver":
            if self.world.copies:
                deliver(self.world, self.world.copies.pop(0), self.world.store)
            return
        roots = self.store.runs(RunQuery(listed=True))
        roots = [run for run in roots if run.is_root]
        if roots:
            chosen = self._rng.choice(roots)
            {"cancel": self._cancel, "take up": self._take_up}.get(kind, self._break)(chosen)

    def _cancel(self, run: Run) -> None:
        if run.deployment is not None and is_waiting(run):  # nobody would hear of a request
            self.store.record(make_change_event(run, Cancelled("asked"), run.attempt))
        elif not run.state.is_final() and run.state.type is not CANCELLING:
            self.store.record(make_change_event(run, Cancelling("asked"), run.attempt))

    def _take_up(self, run: Run) -> None:
        """Take up a run that has ended, and end it again; one of a deployment others would take."""
        if run.deployment is None and run.state.is_final() and run.state.type is not COMPLETED:
            self.world.taken_up.add(run.id)
            run = self.store.record(make_change_event(run, Scheduled(), run.attempt))
            self.store.record(make_change_event(run, State(CANCELLED), run.attempt))

    def _break(self, run: Run) -> None:
        """Ask for what `NEXT` has not: the store must refuse it."""
        wrong = [kind for kind in StateType if kind not in NEXT[run.state.type]]
        if not wrong:
            return
        try:
            self.store.record(make_change_event(run, State(self._rng.choice(wrong)), run.attempt))
        except IllegalTransition:
            self.world.note("refused, as it should be")
