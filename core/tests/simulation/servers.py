"""Processes that serve a deployment: they make its runs when they are due, and execute them."""

from __future__ import annotations

from functools import partial
from random import Random
from typing import TYPE_CHECKING

from flowstone.deployments.timetable import Timetable
from flowstone.errors import Conflict, StoreError
from flowstone.flow_runs.executions import execute_scheduled_run
from flowstone.records.deployments import KIND, Deployment, encode_deployment
from flowstone.records.runs import RunQuery, is_waiting
from flowstone.records.schedules import Interval

from . import acting
from .process import Process
from .programs import Extras, Generator

if TYPE_CHECKING:
    from flowstone.records.runs import Run

    from .world import World

#: Seconds between two times at which the deployment is due.
EVERY = 20.0
_WAITING = ("Scheduled", "AwaitingConcurrencySlot")


class Served:
    """A deployment that is due every few seconds, and those who serve it."""

    def __init__(self, world: World, rng: Random) -> None:
        self._world = world
        generator = Generator(rng, Extras(rng, False, False, None, None))
        flows = [generator.flow() for _ in range(4)]
        number = min(flows, key=lambda node: len(list(node.lines("")))).number  # it runs often
        self.nodes = generator.nodes
        self._deployment = Deployment(
            name="d",
            flow_name="f",
            entrypoint=f"{acting.__name__}:f{number}",
            parameters={"number": number},
            schedules=(Interval(EVERY, slug="often", misfire="all"),),
            id="the deployment",
        )
        self.name = self._deployment.full_name
        world.store.put(KIND, self.name, encode_deployment(self._deployment))
        self.servers = [Server(world, self, f"S{number}", rng) for number in range(3)]

    def make_last(self) -> Server:
        """Return one that has all the time it needs, with a store that works."""
        return Server(self._world, self, "last", Random(0), is_last=True)

    def find_runs(self) -> list[Run]:
        return self._world.store.runs(RunQuery(deployments=(self.name,)))

    def finish(self) -> None:
        """Each time has one run, none is left out, and each run has ended."""
        expect, runs = self._world.auditor.expect, self.find_runs()
        times = [round((run.scheduled_time or 0.0) / EVERY) for run in runs]
        doubled = {at for at in times if times.count(at) > 1}
        expect(not doubled, f"{len(doubled)} times have more than one run")
        if times:
            left_out = set(range(min(times), max(times))) - set(times)
            expect(not left_out, f"{len(left_out)} times have no run")
        waiting = sum(not run.state.is_final() for run in runs)
        expect(not waiting, f"{waiting} runs that were due have not ended")


class Server(Process):
    """Somebody who serves the deployment, whose clock is set now and then."""

    def __init__(
        self, world: World, table: Served, name: str, rng: Random, *, is_last: bool = False
    ) -> None:
        super().__init__(world, name, None, rng)
        self._table, self._rng, self._is_last = table, Random(rng.random()), is_last
        self.nodes = table.nodes
        self._timetable = Timetable([table.name])
        self._makes_runs = True  # the last one stops, so that there is an end
        self._looks = self._rng.randint(4, 12)

    def live(self) -> None:
        while self._goes_on():
            self.world.scheduler.sleep(self._rng.choice((0.5, 2.0, 8.0)))
            if self._rng.random() < 0.2 and not self._is_last:
                self.clock.step(self._rng.choice((-40.0, -6.0, 6.0, 20.0)))
            try:
                self._look()
            except (Conflict, StoreError) as error:
                self.world.note(f"look: {type(error).__name__}")
        self._leave()

    def _goes_on(self) -> bool:
        if self._is_last:
            return any(not run.state.is_final() for run in self._table.find_runs())
        self._looks -= 1
        return self._looks >= 0

    def _look(self) -> None:
        now = self.clock.time()
        if self._makes_runs:
            self._timetable.tick(now)
            self._makes_runs = not self._is_last
        query = RunQuery(
            deployments=(self._table.name,), states=_WAITING, scheduled_until=now, limit=3
        )
        found = self.store.runs(query)
        self.world.scheduler.pause()  # others look at the same time
        for run in found:
            if is_waiting(run):
                self.execute(run.id, partial(execute_scheduled_run, run.id))
