"""A world made from a seed: processes, the store they share, what goes wrong, and a trace."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from flowstone import ambient
from flowstone.ambient import Services
from flowstone.engine.journal import WriteBehind
from flowstone.errors import CancelSignal, FencedRun, FlowstoneError, StoreError, TerminationSignal
from flowstone.events import Event
from flowstone.runs import Change, Run
from flowstone.settings import Settings
from flowstone.stores.memory import MemoryStore

from . import here
from .acting import flow_of
from .auditor import Auditor
from .blobs import Cache
from .elsewhere import Elsewhere
from .faults import Faults
from .operators import Operator
from .programs import Generator, Node
from .scheduler import START, Fiber, Host, Killed, Scheduler
from .threads import Pool, SimClock, SimThreads
from .wire import FaultyStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flowstone.futures import Future
    from flowstone.ports import RunStore
    from flowstone.states import State

LEASE = 6.0


@dataclass(frozen=True, slots=True)
class Parts:
    """What a world is made of; a test puts a broken part in its place."""

    store: Callable[[], Any] = MemoryStore
    journal: type[WriteBehind] = WriteBehind
    leaky_locks: bool = False
    task: Callable[[Any], Any] | None = None


class World:
    """One seed's world. `run` returns what is broken; None where nothing is."""

    def __init__(
        self,
        seed: int,
        *,
        parts: Parts | None = None,
        without: frozenset[int] = frozenset(),
        open_store: Callable[[], RunStore] | None = None,
    ) -> None:
        self.seed, self.parts, self.given = seed, parts or Parts(), parts
        self.trace: list[tuple[int, float, str, str]] = []
        rng = Random(f"world {seed}")
        self.scheduler = Scheduler(rng, self.note)
        self.scheduler.on_step = self._step
        self.faults = Faults(seed, without, self.note)
        self.store: RunStore = self.parts.store() if open_store is None else open_store()
        self._open_store = open_store
        self.auditor = Auditor(self.store, self.scheduler.fail)
        self.cache = Cache(self)
        self.copies: list[tuple[Process, list[Event], Any]] = []
        self.taken_up: set[str] = set()
        self.drivers = [
            Process(self, f"P{number}", Generator(rng), rng)
            for number in range(rng.choice((1, 1, 2, 2, 3)))
        ]
        self.operators = [
            Operator(self, f"O{number}", rng) for number in range(rng.choice((0, 1, 1, 2)))
        ]

    def own_store(self) -> RunStore:
        """Return the store as one process has it open."""
        return self.store if self._open_store is None else self._open_store()

    # ------------------------------------------------------------ the run

    def run(self) -> str | None:
        """Let it all happen, and look at the end."""
        before = list(ambient._stack)
        try:
            for process in self.drivers:
                self.scheduler.spawn(process, f"{process.name}.main", process.live)
            for operator in self.operators:
                self.scheduler.spawn(operator, operator.name, operator.live)
            self.scheduler.run()
            if self.scheduler.failure is None:
                with suppress(Killed):
                    self._end()
        finally:
            ambient._stack[:] = before
            here.leave()
        return self.scheduler.failure

    def _end(self) -> None:
        """All processes are gone: whoever looks next finds what they left behind."""
        janitor = Process(self, "janitor", None, Random(0))
        self.scheduler.now += 10 * LEASE
        now = self.scheduler.now
        self.note("the end: leases run out")
        self.auditor.reaping(now, lambda: self.store.reap(now))
        self.auditor.look(janitor)
        self.auditor.finish(self.taken_up)

    def _step(self, fiber: Fiber) -> None:
        process = fiber.host
        if not isinstance(process, Process) or process.is_leaving:
            return
        match self.faults.of_step():
            case "crash":
                self.note(f"{process.name} crashes")
                self.scheduler.crash(process)
            case "stall":
                process.was_held_up = True
                process.stalled_until = self.scheduler.now + self.faults.seconds()
            case "stalled thread":
                process.was_held_up = True
                fiber.stalled_until = self.scheduler.now + self.faults.seconds()
        if process.is_calling and fiber.name.endswith(".main"):
            self._stop(process)

    def _stop(self, process: Process) -> None:
        """Interrupt the main thread, as signals do, at whatever step it is."""
        stop = self.faults.of_main_thread()
        if stop is not None:
            process.stops += 1
            raise KeyboardInterrupt if stop == "interrupt" else TerminationSignal("SIGTERM")

    # ------------------------------------------------------------ the trace

    def note(self, text: str) -> None:
        fiber = self.scheduler.current if hasattr(self, "scheduler") else None
        where = fiber.name if isinstance(fiber, Fiber) and hasattr(fiber, "name") else "-"
        self.trace.append((self.scheduler.steps, self.scheduler.now, where, text))

    def tell(self, what: str, events: Sequence[Event], error: str = "") -> None:
        names = {
            event.run_id: event.payload.name for event in events if isinstance(event.payload, Run)
        }
        parts = " ".join(self._told(event, names) for event in events)
        self.note(f"{what} {parts}{f' -> {error}' if error else ''}".rstrip())

    def _told(self, event: Event, names: Mapping[str, str]) -> str:
        payload = event.payload
        name = names.get(event.run_id) or self.auditor.name(event.run_id)
        if isinstance(payload, (Run, Change)):
            return f"[{name} {payload.state.name} v{payload.version}]"
        return f"[{name} line]"

    def lines(self) -> list[str]:
        """Return the trace, for a person."""
        lines = [f"seed {self.seed}"]
        for process in self.drivers:
            lines.append(f"{process.name}:")
            for node in process.flows:
                lines += node.lines("  ")
        for operator in self.operators:
            acts = ", ".join(f"{kind} after {at:g} s" for at, kind in operator.acts)
            lines.append(f"{operator.name}: {acts}")
        lines += [
            f"{number:5} {step:5} {at - START:9.3f}s {where:18} {text}"
            for number, (step, at, where, text) in enumerate(self.trace, 1)
        ]
        return lines


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
        self.flows: list[Node] = []
        self.nodes: dict[int, Node] = {}
        self.full = rng.choice((3, 1000))  # so many facts make a journal write itself
        if generator is not None:
            self.flows = [generator.flow() for _ in range(rng.choice((1, 1, 2)))]
            self.nodes = generator.nodes
        self._pools = 0
        scheduler = world.scheduler
        self.store = FaultyStore(world, self, world.own_store())
        clock, threads = SimClock(scheduler), SimThreads(scheduler, self)
        self.journal: Any = audited(world.parts.journal)(self.store, clock, LEASE, threads)
        self.journal.watch(self)
        runs: Any = self.store
        self.services = Services(
            SETTINGS, runs, NOTHING, NOTHING, NOTHING, clock, self.journal, self.holder, NOTHING,
            NOTHING, NOTHING,
            threads,
        )  # fmt: skip

    def holder(self) -> str:
        return f"simulated/{self.name}/0"

    def arrive(self) -> None:
        ambient._stack[:] = [self.services]
        here.enter(self)

    def live(self) -> None:
        """Run the program's flows, and leave as a process does."""
        for node in self.flows:
            self._call(node)
        self._leave()

    def _call(self, node: Node) -> None:
        self.futures.clear()
        begun = len(self.roots)
        self.stops = self.faults = 0
        self.is_calling = True
        try:
            state: State = flow_of(node)(node.number, return_state=True)
        except (FlowstoneError, FencedRun, *STOPS) as error:
            self.is_calling = False
            self.world.note(f"flow {node.number} raised {type(error).__name__}")
            if isinstance(error, STOPS) and len(self.roots) > begun:
                self._check_stopped()
            return
        self.is_calling = False
        self.world.note(f"flow {node.number} ended {state.name}")
        if len(self.roots) > begun and not isinstance(state.data, (FencedRun, StoreError)):
            self.world.auditor.answered(self.roots[-1], state)
            self._check_futures()

    def _check_stopped(self) -> None:
        """One stop, with a store that works, ends a run honestly."""
        root = self.roots[-1]
        stops = self.stops + self.world.auditor.is_asked_to_end(root)
        if stops <= 1 and not self.faults:
            others = root in self.world.taken_up or root not in self.world.auditor.names
            ended = others or self.world.auditor.is_final(root)
            self.check(ended, f"{self.name} was stopped, and left its run as it was")

    def _check_futures(self) -> None:
        for future in self.futures:
            self.check(future.done(), f"{future.name} has no end, though its flow has")
            end = future.final_state()
            if not isinstance(end.data, (FencedRun, StoreError)):
                self.world.auditor.answered(future.run_id, end)

    def _leave(self) -> None:
        self.is_leaving = True
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

        def create(self, event: Event) -> None:
            if event.run_id == event.root_id:
                self._process.roots.append(event.run_id)
            super().create(event)

        def append(self, event: Event) -> None:
            self._said.append(event)
            super().append(event)
            if len(self._queue) >= self._process.full:
                self.flush()

        def abandon(self, root_id: str) -> None:
            self._process.abandoned.add(root_id)
            super().abandon(root_id)

        def flush(self) -> None:
            said = list(self._said)
            super().flush()
            self._process.world.auditor.barrier(self._process, said, strict=False)
            self._said = self._said[len(said) :]

        def record(self, event: Event) -> Run:
            said = [each for each in self._said if each.root_id == event.root_id]
            run: Run = super().record(event)
            self._process.world.auditor.barrier(self._process, said, strict=True)
            self._process.world.auditor.written(self._process, event, run)
            return run

    return Audited


SETTINGS = Settings(home=Path("/nowhere"), store="memory", secret_key="", lease_seconds=LEASE)
NOTHING: Any = None
STOPS = (CancelSignal, KeyboardInterrupt, TerminationSignal)
