"""A process's way to the store: every call is two steps, and may go wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from flowstone.errors import Conflict, StoreBusy

from .faults import BATCH, CALL

if TYPE_CHECKING:
    from flowstone.ports import DocumentStore, RunStore
    from flowstone.ports.slots import SlotStore
    from flowstone.records.events import Event
    from flowstone.records.runs import Fence, HeartbeatReply, Run, RunQuery

    from .process import Process
    from .world import World

    class Store(RunStore, DocumentStore, SlotStore, Protocol):
        """Keeps all there is to keep."""


T = TypeVar("T")


class Way:
    """Steps of a call, before and after it is done, and what goes wrong with them."""

    def __init__(self, world: World, process: Process) -> None:
        self._world, self._process = world, process

    def _before(self, name: str, kinds: Sequence[str]) -> str | None:
        self._world.scheduler.pause()
        fault = self._world.faults.of_call(kinds)
        if fault in {"before", "after"}:
            self._process.faults += 1
        if fault == "before":
            raise StoreBusy("simulated.db", 1.0)
        if fault == "slow":
            self._process.was_held_up = True
            self._world.scheduler.sleep(self._world.faults.seconds())
        return fault

    def _after(self, fault: str | None) -> None:
        self._world.scheduler.pause()
        if fault == "after":
            raise StoreBusy("simulated.db", 1.0)


class FaultyStore(Way):
    """A `RunStore` for one simulated process, over the one that all of them share."""

    def __init__(self, world: World, process: Process, store: Store) -> None:
        super().__init__(world, process)
        self._store = store

    def create(self, event: Event) -> None:
        self._change("create", lambda: self._store.create(event), [event])

    def record(self, event: Event) -> Run:
        return self._change("record", lambda: self._store.record(event), [event])

    def append(self, events: Sequence[Event], fence: Fence) -> None:
        batch = list(events)
        fault = self._before("append", BATCH)
        if fault == "shuffled":
            batch = [batch[number] for number in self._world.faults.order(len(batch))]
        if fault == "copied":
            self._world.copies.append((self._process, batch, fence))
        for _ in range(2 if fault == "twice" else 1):
            self._done("append", lambda: self._store.append(batch, fence), batch)
        self._after(fault)

    def heartbeat(
        self, fences: Sequence[Fence], seconds: float, slots: Mapping[str, float] | None = None
    ) -> HeartbeatReply:
        def beat() -> HeartbeatReply:
            reply = self._store.heartbeat(fences, seconds, slots)
            if slots:
                now, lost = self._world.scheduler.now, reply.lost_slots
                self._world.ledger.renewed(slots, lost, now)
                self._world.note(f"renew {len(slots)} leases of slots, {len(lost)} are lost")
                self._world.ledger.look(now)
            return reply

        try:
            return self._change("heartbeat", beat, ())
        except Exception:
            self._process.slot_faults += bool(slots)
            raise

    def reap(self) -> list[Run]:
        def reap() -> list[Run]:
            return self._world.auditor.reaping(self._world.now(), self._store.reap)

        return self._change("reap", reap, ())

    def delete_trees(self, root_ids: Sequence[str]) -> list[str]:
        return self._store.delete_trees(root_ids)

    def run(self, ref: str) -> Run:
        fault = self._before("run", CALL)
        found = self._store.run(ref)
        self._after(fault)
        return found

    def runs(self, query: RunQuery) -> list[Run]:
        return self._store.runs(query)

    def tally(self, root_ids: Sequence[str]) -> Any:
        return self._store.tally(root_ids)

    def events(self, *args: Any, **kwargs: Any) -> list[tuple[int, Event]]:
        return self._store.events(*args, **kwargs)

    def close(self) -> None:
        self._store.close()

    # ------------------------------------------------------------ steps and faults

    def _change(self, name: str, work: Callable[[], T], events: Sequence[Event]) -> T:
        fault = self._before(name, CALL)
        result = self._done(name, work, events)
        self._after(fault)
        return result

    def _done(self, name: str, work: Callable[[], T], events: Sequence[Event]) -> T:
        """Do it; whatever it kept is looked at before anybody goes on."""
        try:
            result = work()
        except Exception as error:
            self._world.tell(name, events, type(error).__name__)
            self._world.auditor.look(self._process)
            raise
        self._world.tell(name, events)
        self._world.auditor.look(self._process)
        return result


def deliver(world: World, copy: tuple[Process, list[Event], Fence], store: RunStore) -> None:
    """Let a copy of an old batch arrive: it changes nothing, or is refused."""
    process, events, fence = copy
    kept = world.auditor.count
    try:
        store.append(events, fence)
        world.tell("late copy", events)
    except Conflict:
        world.tell("late copy", events, "Conflict")
    world.auditor.look(process)
    world.auditor.expect(world.auditor.count == kept, "an old batch that came again was kept again")
