"""A simulated process: the real engine in it, and what it is asked for by the code that it runs."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowstone.context import current
from flowstone.context.current import Services
from flowstone.engine.blocking_calls import is_on_loop
from flowstone.errors import CancelSignal, FencedRun, FlowstoneError, StoreError, TerminationSignal
from flowstone.flow_runs import retry_flow_run
from flowstone.records.runs import Handover, Run
from flowstone.settings import Settings

from . import acting, here
from .acting import flow_of
from .elsewhere import Elsewhere
from .flights import Flight
from .programs import Generator, Node
from .scheduler import Host
from .slots import FaultyDocuments, FaultySlots
from .threads import Pool, SimClock, SimThreads
from .wire import FaultyStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from flowstone.engine.journal import WriteBehind
    from flowstone.futures import Future
    from flowstone.records.events import Event
    from flowstone.states import State

    from .world import World

LEASE = 6.0


class Process(Host):
    """A simulated process with the real engine in it."""

    def __init__(self, world: World, name: str, generator: Generator | None, rng: Random) -> None:
        super().__init__(name)
        self.world = world
        self.was_held_up = False
        self.is_leaving = self.is_calling = False
        self.stops = self.faults = 0  # in the current call
        self.futures: list[Future[Any]] = []
        self.roots: list[str] = []
        self.abandoned: set[str] = set()
        self._attempts: dict[int, int] = {}
        self.flights: dict[int, Flight] = {}  # of each stream, in its last attempt
        self.slot_faults = 0
        self._is_confused = False
        self.flows: list[Node] = []
        self.nodes: dict[int, Node] = {}
        self.full = rng.choice((3, 1000))  # so many facts make a journal write itself
        if generator is not None:
            self.flows = [generator.flow() for _ in range(rng.choice((1, 1, 2)))]
            self.nodes = generator.nodes
        self._pools = 0
        scheduler = world.scheduler
        self.store = FaultyStore(world, self, world.own_store())
        ahead = 0.0 if world.parts.is_plain else world.clocks.choice((0.0, 0.0, 60.0, -60.0))
        self.clock, threads = SimClock(scheduler, ahead), SimThreads(scheduler, self)
        clock = self.clock
        runs: Any = self.store
        slots = FaultySlots(world, self, world.own_store())
        documents = FaultyDocuments(world, self, world.own_store())
        self.gate = world.parts.gate(slots, documents, clock, self.holder, LEASE, threads)
        journal = audited(world.parts.journal)
        self.journal: Any = journal(self.store, clock, LEASE, threads, self.gate.leases)
        self.journal.watch(self)
        self.services = Services(
            SETTINGS, runs, documents, NOTHING, NOTHING, clock, self.journal, self.holder, slots,
            self.gate, NOTHING,
            threads,
        )  # fmt: skip

    def holder(self) -> str:
        return f"simulated/{self.name}/0"

    def arrive(self) -> None:
        current._stack[:] = [self.services]
        here.enter(self)

    def live(self) -> None:
        """Run the program's flows, and leave as a process does."""
        for node in self.flows:
            self.execute(None, partial(flow_of(node), node.number, return_state=True))
            if node.again and self.roots:
                self._retry(self.roots[-1], node)
        self._leave()

    def _retry(self, root: str, node: Node) -> None:
        """Execute one's own run again, if it has failed; what is left of it may still go on."""
        if self.world.auditor.may_be_retried(root):
            self.world.note(f"retry {self.world.auditor.name(root)}")
            place = f"{acting.__name__}:f{node.number}"
            self.execute(root, lambda: retry_flow_run(root, entrypoint=place))

    def know(self, other: Process) -> None:
        """Have the program of another process at hand, as one who executes its run again has."""
        self.nodes, self._attempts = other.nodes, other._attempts

    def execute(self, root: str | None, call: Callable[[], State]) -> None:
        """Call a flow, or execute a run again; check what came of it."""
        self.futures.clear()
        begun = len(self.roots)
        self.stops = self.faults = 0
        self.is_calling = True
        try:
            state = call()
        except (FlowstoneError, FencedRun, *STOPS) as error:
            self.is_calling = False
            self.world.note(f"the call raised {type(error).__name__}")
            if isinstance(error, STOPS) and len(self.roots) > begun:
                self._check_stopped()
            self._check_idle()
            return
        self.is_calling = False
        self.world.note(f"the call ended {state.name}")
        if len(self.roots) > begun:
            root = self.roots[-1]
        if root is not None and not isinstance(state.data, (FencedRun, StoreError)):
            if state.is_final():
                self.world.auditor.answered(self, root, state)
            # A flow in one that is asked to suspend itself may leave what could not be stopped.
            # So may one that was interrupted twice.
            asked = self.world.auditor.is_asked_to_stop(root)
            if self.stops <= 1 and (state.is_final() or not asked):
                self._check_futures()
        self._check_idle()

    def _check_idle(self) -> None:
        """When all that was called is over, no slots are held for it."""
        fibers = self.world.scheduler.fibers
        busy = any(fiber.host is self and ".worker-" in fiber.name for fiber in fibers)
        self._is_confused = self._is_confused or self.stops > 1  # it may hold on to what it had
        if not busy and not self._is_confused:
            self.world.ledger.idle(self, self.gate.leases._left)

    def _check_stopped(self) -> None:
        """One stop, with a store that works, ends a run honestly."""
        root = self.roots[-1]
        stops = self.stops + self.world.auditor.is_asked_to_stop(root)
        if stops <= 1 and not self.faults:
            auditor = self.world.auditor
            others = root in self.world.taken_up or root not in auditor.names
            others = others or (root, self.name) in auditor.fenced
            ended = others or auditor.is_final(root)
            self.check(ended, f"{self.name} was stopped, and left its run as it was")

    def _check_futures(self) -> None:
        for future in self.futures:
            self.check(future.done(), f"{future.name} has no end, though its flow has")
            end = future.final_state()
            if not isinstance(end.data, (FencedRun, StoreError)):
                self.world.auditor.answered(self, future.run_id, end)

    def _leave(self) -> None:
        self.is_leaving = True
        if not self.world.parts.is_plain:
            self.gate.close()
        for _ in range(5):
            with suppress(StoreError):
                self.journal.close()
                break
            self.world.scheduler.sleep(1.0)
        self.world.scheduler.crash(self)

    # ------------------------------------------------------------ what acting asks for

    def pool(self, workers: int) -> Pool:
        return Pool(self.world.scheduler, self, workers, Elsewhere(self))

    def begin(self, node: Node) -> int:
        """Return how often the node was begun, this time included."""
        number = self._attempts[node.number] = self._attempts.get(node.number, 0) + 1
        return number

    def nap(self, seconds: float) -> None:
        self.world.scheduler.pause()
        if seconds:
            self.world.scheduler.sleep(seconds)

    def see(self, node: Node, upstream: Any) -> None:
        """Check what a task was given for the futures among its arguments."""
        if node.how == "wait_for" or not node.needs:
            return
        wanted = [number for number in node.needs for _ in range(self.nodes[number].count)]
        for want, got in zip(wanted, upstream, strict=True):
            may_fail = node.how == "arguments that may fail"
            ok = got == want or (may_fail and isinstance(got, BaseException))
            self.check(ok, f"node {node.number} was given {got!r} for node {want}")

    def check(self, holds: bool, message: str) -> None:
        self.world.auditor.expect(holds, message)


def audited(kind: type[WriteBehind]) -> Any:
    """Return a journal of that kind that says what it has promised."""

    class Audited(kind):  # type: ignore[misc, valid-type]
        def watch(self, process: Process) -> None:
            self._process = process
            self._said: list[Event] = []

        def create(self, event: Event, token: str | None = None) -> None:
            if event.run_id == event.root_id:
                self._process.roots.append(event.run_id)
                self._process.world.programs[event.run_id] = self._process
            super().create(event, token)

        def append(self, event: Event, token: str | None = None) -> None:
            self._said.append(event)
            try:
                super().append(event, token)
            except FencedRun:  # that is an answer, too
                self._said.remove(event)
                raise
            if len(self._queue) >= self._process.full and not is_on_loop():
                self.flush()

        def is_full(self) -> bool:
            return len(self._queue) >= self._process.full - 1

        def abandon(self, root_id: str, token: str | None = None) -> None:
            self._process.abandoned.add(root_id)
            super().abandon(root_id, token)

        def flush(self) -> None:
            said = list(self._said)
            super().flush()
            self._process.world.auditor.barrier(self._process, said, strict=False)
            self._said = self._said[len(said) :]

        def record(self, event: Event, token: str | None = None) -> Run:
            said = [each for each in self._said if each.root_id == event.root_id]
            try:
                run: Run = super().record(event, token)
            except BaseException:
                if isinstance(event.payload, Handover):  # whose it is then is not known here
                    self._process.abandoned.add(event.root_id)
                raise
            if isinstance(event.payload, Handover):  # before one, it had no right to write
                self._said = [each for each in self._said if each.root_id != event.root_id]
            else:
                self._process.world.auditor.barrier(self._process, said, strict=True)
            self._process.world.auditor.written(self._process, event, run)
            return run

    return Audited


SETTINGS = Settings(home=Path("/nowhere"), store="memory", secret_key="", lease_seconds=LEASE)
NOTHING: Any = None
STOPS = (CancelSignal, KeyboardInterrupt, TerminationSignal)
