"""Processes that take part in the runs of others: resume, suspend and retry them, set limits."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from flowstone.errors import Conflict, FlowstoneError, StoreError
from flowstone.flow_runs import resume_flow_run, retry_flow_run
from flowstone.flow_runs.pauses import suspend_flow_run
from flowstone.records.runs import RunQuery
from flowstone.records.states import COMPLETED, PAUSED

from . import acting
from .ledger import INNER, OUTER, TAGGED
from .process import Process

if TYPE_CHECKING:
    from flowstone.records.runs import Run

    from .world import World

ACTS = ("retry", "retry", "resume", "resume", "resume", "suspend", "set limit")


class Person(Process):
    """Somebody at another terminal, whose process executes what it takes up."""

    def __init__(self, world: World, name: str, rng: Random) -> None:
        super().__init__(world, name, None, rng)
        self._rng = rng
        self.acts = [
            (rng.choice((0.1, 1.0, 3.0, 8.0)), rng.choice(ACTS)) for _ in range(rng.randint(2, 7))
        ]

    def live(self) -> None:
        for seconds, kind in self.acts:
            self.world.scheduler.sleep(seconds)
            try:
                self._act(kind)
            except (Conflict, StoreError) as error:
                self.world.note(f"{kind}: {type(error).__name__}")
        self._leave()

    def _act(self, kind: str) -> None:
        if kind == "set limit":
            limit = self.world.ledger.limits[self._rng.choice((INNER, OUTER, TAGGED))]
            slots = self._rng.choice((0, 1, 1, 2, 3))
            self.world.note(f"limit {limit.name} has {slots} slots")
            self.world.ledger.set(limit._replace(slots=slots))
            return
        able = [run for run in self.store.runs(RunQuery(listed=True)) if _may(kind, run)]
        if not able:
            return
        run = self._rng.choice(able)
        self.world.note(f"{kind} {self.world.auditor.name(run.id)}")
        if kind == "suspend":
            try:
                suspend_flow_run(flow_run_id=run.id)
            except FlowstoneError as error:
                self.world.note(f"{kind}: {type(error).__name__}")
            return
        self.know(self.world.programs[run.root_id])
        work = retry_flow_run if kind == "retry" else resume_flow_run
        place = f"{acting.__name__}:f{(run.parameters or {})['number']}"
        self.execute(run.id, lambda: work(run.id, entrypoint=place))


def _may(kind: str, run: Run) -> bool:
    if kind == "resume":
        return run.state.type is PAUSED
    if kind == "suspend":
        return run.is_root and not run.state.is_final()
    return run.is_root and run.state.is_final() and run.state.type is not COMPLETED
