"""A world made from a seed: processes, the store they share, what goes wrong, and a trace."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

from flowstone.calls.map_stream import MapWindow
from flowstone.concurrency.queue import ProcessSlotQueue
from flowstone.context import current
from flowstone.engine.journal import WriteBehind
from flowstone.errors import TerminationSignal
from flowstone.records.runs import Run, StateChange
from flowstone.stores.memory import MemoryStore
from flowstone.transactions import Transaction

from . import here
from .auditor import Auditor
from .blobs import Cache
from .faults import Faults
from .ledger import Ledger
from .operators import Operator
from .people import Person
from .process import LEASE, Process
from .programs import Extras, Generator
from .scheduler import START, Fiber, Killed, Scheduler
from .servers import Served
from .together import Transactions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flowstone.records.events import Event

    from .wire import Store


@dataclass(frozen=True, slots=True)
class Parts:
    """What a world is made of; a test puts a broken part in its place."""

    store: Callable[[Callable[[], float]], Any] = MemoryStore  # takes its clock
    journal: type[WriteBehind] = WriteBehind
    leaky_locks: bool = False
    gate: type[ProcessSlotQueue] = ProcessSlotQueue
    pause_key: str | None = None
    is_plain: bool = False  # without slots, pauses and people
    has_loops: bool = True  # with async flows; only where it is wide
    is_wide: bool = True  # with streams, transactions and tasks that go on for long
    transaction: type[Transaction] = Transaction
    supply: type[MapWindow] = MapWindow
    task: Callable[[Any], Any] | None = None
    has_schedules: bool = False  # with a deployment that is served, and no other programs


class World:
    """One seed's world. `run` returns what is broken; None where nothing is."""

    def __init__(
        self,
        seed: int,
        *,
        parts: Parts | None = None,
        without: frozenset[int] = frozenset(),
        open_store: Callable[[Callable[[], float]], Store] | None = None,
    ) -> None:
        self.seed, self.parts, self.given = seed, parts or Parts(), parts
        self.trace: list[tuple[int, float, str, str]] = []
        rng = Random(f"world {seed}")
        self.scheduler = Scheduler(rng, self.note)
        self.scheduler.on_step = self._step
        self.faults = Faults(seed, without, self.note)
        open_store = open_store or self.parts.store
        self.store: Store = open_store(self.now)
        self._open_store = open_store
        self.auditor = Auditor(self.store, self.scheduler.fail)
        self.clocks = Random(f"clocks of {seed}")
        self.programs: dict[str, Process] = {}  # of each root, who began it
        more = Random(f"more of {seed}")
        self.ledger = Ledger(self, more.choice)
        self.has_slots = not self.parts.is_plain and more.random() < 0.5
        self.has_people = not self.parts.is_plain and more.random() < 0.5
        self.has_people = self.has_people and not self.parts.has_schedules
        self.cache = Cache(self)
        self.promised = Transactions(self)
        wide = Random(f"wide of {seed}")
        is_wide = self.parts.is_wide and not self.parts.is_plain and wide.random() < 0.5
        self.wide = wide if is_wide else None
        loops = Random(f"loops of {seed}")
        may_have_loops = self.parts.has_loops and self.parts.is_wide and not self.parts.is_plain
        self.loops = loops if may_have_loops and loops.random() < 0.5 else None
        #: Whether the locks of keys are leases in the store, or a lock manager's.
        self.locks_by_store = not (self.parts.is_plain or self.parts.leaky_locks) and seed % 2 == 0
        self.copies: list[tuple[Process, list[Event], Any]] = []
        self.taken_up: set[str] = set()
        self.drivers = [
            Process(self, f"P{number}", Generator(rng, self._extras(more)), rng)
            for number in range(0 if self.parts.has_schedules else rng.choice((1, 1, 2, 2, 3)))
        ]
        self.operators = [
            Operator(self, f"O{number}", rng) for number in range(rng.choice((0, 1, 1, 2)))
        ]
        self.people = [
            Person(self, f"H{number}", more)
            for number in range(more.choice((1, 1, 2)) if self.has_people else 0)
        ]
        timed = Random(f"schedules of {seed}")
        self.served = Served(self, timed) if self.parts.has_schedules else None
        self.servers = self.served.servers if self.served else []

    def _extras(self, more: Random) -> Extras:
        return Extras(more, self.has_slots, self.has_people, self.wide, self.loops)

    def own_store(self) -> Store:
        """Return the store as one process has it open."""
        return self.store if self._open_store is self.parts.store else self._open_store(self.now)

    def now(self) -> float:
        """Return the time of the store, which nobody's clock is right about."""
        return self.scheduler.now

    # ------------------------------------------------------------ the run

    def run(self) -> str | None:
        """Let it all happen, and look at the end."""
        before = list(current._stack)
        try:
            for process in (*self.drivers, *self.people, *self.servers):
                self.scheduler.spawn(process, f"{process.name}.main", process.live)
            for operator in self.operators:
                self.scheduler.spawn(operator, operator.name, operator.live)
            self.scheduler.run()
            if self.scheduler.failure is None:
                with suppress(Killed):
                    self._end()
        finally:
            current._stack[:] = before
            here.leave()
        return self.scheduler.failure

    def _end(self) -> None:
        """All processes are gone: the next one finds what they left behind."""
        janitor = Process(self, "janitor", None, Random(0))
        self.scheduler.now += 10 * LEASE
        now = self.scheduler.now
        self.note("the end: leases run out")
        self.auditor.reaping(now, self.store.reap)
        self.auditor.look(janitor)
        if self.served is not None:
            self._serve_what_is_left(self.served)
        self.auditor.finish(self.taken_up)
        self.ledger.finish(now)

    def _serve_what_is_left(self, served: Served) -> None:
        """Let somebody serve the deployment until nothing waits."""
        self.faults.end()
        last = served.make_last()
        self.scheduler.spawn(last, "last.main", last.live)
        self.scheduler.run()
        served.finish()

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
        if isinstance(payload, (Run, StateChange)):
            return f"[{name} {payload.state.name} v{payload.version}]"
        return f"[{name} line]"

    def lines(self) -> list[str]:
        """Return the trace, for a person."""
        lines = [f"seed {self.seed}"]
        for process in self.drivers:
            lines.append(f"{process.name}:")
            for node in process.flows:
                lines += node.lines("  ")
        meddlers: Sequence[Operator | Person] = (*self.operators, *self.people)
        for each in meddlers:
            acts = ", ".join(f"{kind} after {at:g} s" for at, kind in each.acts)
            lines.append(f"{each.name}: {acts}")
        lines += [
            f"{number:5} {step:5} {at - START:9.3f}s {where:18} {text}"
            for number, (step, at, where, text) in enumerate(self.trace, 1)
        ]
        return lines
