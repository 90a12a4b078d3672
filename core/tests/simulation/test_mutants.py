"""Faults put into the engine and its stores by hand: the seeds catch each of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from flowstone.calls.map_stream import MapWindow
from flowstone.concurrency.leases import SlotLeases
from flowstone.concurrency.queue import ProcessSlotQueue, QueuedSlotRequest
from flowstone.engine.async_driver import AsyncRunDriver
from flowstone.engine.driven_roots import DrivenRoots
from flowstone.engine.journal import WriteBehind
from flowstone.engine.lifecycle import Lifecycle
from flowstone.engine.steps import CallFunction, Record, Step
from flowstone.engine.story import Story
from flowstone.errors import Conflict, StoreError
from flowstone.futures import Future
from flowstone.records.events import Event
from flowstone.records.ids import new_id
from flowstone.records.limits import LOCK, Claim, Limit, Refusal, Slot, SlotDemand
from flowstone.records.runs import Fence, Handover, Run, StateChange
from flowstone.records.states import COMPLETED
from flowstone.states import Completed, State
from flowstone.stores.memory import MemoryStore
from flowstone.tasks import Task
from flowstone.transactions import Transaction, TransactionState

from .process import LEASE
from .runs import first_failure
from .world import Parts

pytestmark = pytest.mark.slow


class NoFence(MemoryStore):
    """Takes batches of anybody."""

    def _check_batch(self, events: Sequence[Event], fence: Fence) -> None:
        pass


class NoNext(MemoryStore):
    """Lets a run go anywhere."""

    def _apply_change(self, run: Run, change: StateChange) -> Run:
        if change.version != run.version + 1:
            raise Conflict(run.name, change.version - 1, run.version, run)
        return run.apply(change)


class KeepsTwice(MemoryStore):
    """Does not know again what came already."""

    def _is_kept(self, event: Event) -> bool:
        return False


class LeavesOpen(MemoryStore):
    """Ends a root, and leaves its tasks as they are."""

    def _close_tree(self, root: Run) -> None:
        pass


class EagerReaper(MemoryStore):
    """Ends runs whose lease holds."""

    def _is_lapsed(self, root: Run, now: float) -> bool:
        return True


class TrustsClocks(MemoryStore):
    """Takes the ends of leases as their writers' clocks have them."""

    def _start_lease(self, event: Event) -> Event:
        return event


class Forgetful(MemoryStore):
    """Says that a change is kept, and keeps nothing."""

    def record(self, event: Event) -> Run:
        if not isinstance(event.payload, StateChange) or not event.payload.state.is_final():
            return super().record(event)
        return self._apply_change(self._runs[event.run_id], event.payload)


class NoBarrier(WriteBehind):
    """Lets an end go before what was said earlier."""

    def flush(self) -> None:
        pass


class AcknowledgesFirst(WriteBehind):
    """Says that all is kept, though the store could not be written."""

    def flush(self) -> None:
        try:
            super().flush()
        except StoreError:
            self._batch.clear()


class NeverRenews(WriteBehind):
    """Lets its leases run out."""

    def _send_heartbeat(self) -> None:
        pass


class LostFuture(Future[Any]):
    """Never tells those who wait that it has ended."""

    __slots__ = ()

    def _finish(self, state: State) -> None:
        pass


class Losing(Task[..., Any]):
    def _submit(self, *args: Any) -> Any:
        future = super()._submit(*args)
        future.__class__ = LostFuture
        return future


def losing(task: Any) -> Any:
    return Losing(task.fn, task.spec)


class KeepsItsPlace(QueuedSlotRequest):
    """Gives back nothing."""

    def give_back(self) -> None:
        pass


class Holds(ProcessSlotQueue):
    def make_request(self, wanted: SlotDemand) -> QueuedSlotRequest:
        return KeepsItsPlace(self, wanted)


class ComesIn(QueuedSlotRequest):
    """Does not wait for its slots."""

    def wait(self, seconds: float | None = None, max_retries: int | None = None) -> None:
        self.taken = ()


class OpenGate(ProcessSlotQueue):
    def make_request(self, wanted: SlotDemand) -> QueuedSlotRequest:
        return ComesIn(self, wanted)


class Untended(SlotLeases):
    """Lets the leases of slots run out."""

    def renew(self, heartbeat: Callable[[Mapping[str, float]], Sequence[str]]) -> None:
        heartbeat({})


class ForgetsSlots(ProcessSlotQueue):
    def __init__(self, store: Any, documents: Any, clock: Any, *rest: Any) -> None:
        super().__init__(store, documents, clock, *rest)
        self.leases = Untended(store, clock, self.threads)


class LocksNothing(MemoryStore):
    """Lets everybody have the lock of a key."""

    def _find_refusal(self, limits: Sequence[Limit], claim: Claim, now: float) -> Refusal | None:
        saved = [limit for limit in limits if not limit.name.startswith(LOCK)]
        return super()._find_refusal(saved, claim, now)


class CountsTheDead(MemoryStore):
    """Lets who is gone keep its slots."""

    def _is_dead(self, slot: Slot, now: float) -> bool:
        return slot.is_rate and super()._is_dead(slot, now)


class BuriesTheLiving(MemoryStore):
    """Frees slots whose lease holds."""

    def _is_dead(self, slot: Slot, now: float) -> bool:
        return super()._is_dead(slot, now + LEASE / 2)


class GivesTooMany(MemoryStore):
    """Gives one slot more than there are."""

    def _limits(self, names: Sequence[str]) -> list[Limit]:
        return [each._replace(slots=each.slots + 1) for each in super()._limits(names)]


class Rebasing(MemoryStore):
    """Takes what comes late as if it had come in time."""

    def _takes(self, change: StateChange) -> bool:
        raise NotImplementedError

    def record(self, event: Event) -> Run:
        run, change = self._runs.get(event.run_id), event.payload
        if run is None or not isinstance(change, StateChange) or self._is_kept(event):
            return super().record(event)
        if self._takes(change):
            event = replace(event, payload=replace(change, version=run.version + 1))
        return super().record(event)


class HandsOverTwice(Rebasing):
    """Hands a run over to all who have seen it without a holder."""

    def _takes(self, change: StateChange) -> bool:
        return isinstance(change, Handover) and change.lease is not None

    def _apply_change(self, run: Run, change: StateChange) -> Run:
        if isinstance(change, Handover):
            return replace(run.apply(change), lease=change.lease)
        return super()._apply_change(run, change)


class ResumesTwice(Rebasing):
    """Lets all resume a run who have seen it paused."""

    def _takes(self, change: StateChange) -> bool:
        return change.state.name == "Resuming"


class KeepsOldWriters(MemoryStore):
    """Takes batches of those, too, from whom a run was taken over."""

    def _check_batch(self, events: Sequence[Event], fence: Fence) -> None:
        root = self._runs[fence.root_id]
        was_handed_over = root.lease is not None and root.lease.token != fence.token
        if not was_handed_over:
            super()._check_batch(events, fence)


class NothingIsStale(DrivenRoots):
    def is_stale(self, root_id: str, token: str | None) -> bool:
        return False


class AnyAttempt(WriteBehind):
    """Takes what is said for an attempt that another has followed, also by whom it left behind."""

    def _reset(self, roots: DrivenRoots) -> None:
        super()._reset(NothingIsStale())

    def leave(self, root_id: str, run_ids: Iterable[str]) -> None:
        pass


class Roomy(MapWindow):
    """Has room for one more than its window."""

    def _has_room(self, used: int) -> bool:
        return used <= (self._window or 0)


class KeepsAtOnce(Transaction):
    """Keeps its value when it is staged."""

    def stage(self, value: object, *hooks: Any) -> None:
        super().stage(value, *hooks)
        assert self._store is not None
        self._store.write(self.key or "", value, self._id, None)


class KeepsFirst(Transaction):
    """Keeps its value, and calls the commit hooks then."""

    def _call_commit_hooks(self) -> Story[None]:
        super()._write_values()
        yield from super()._call_commit_hooks()


class UndoesTwice(Transaction):
    """Calls the rollback hooks at each rollback."""

    def perform_rollback(self) -> Story[bool]:
        yield from super().perform_rollback()
        self.state = TransactionState.ACTIVE
        return (yield from super().perform_rollback())


class UndoesWhatIsKept(Transaction):
    """Is rolled back after its commit."""

    def perform_commit(self) -> Story[bool]:
        yield from super().perform_commit()
        return (yield from super().perform_rollback())


class UndoesFailuresOnly(Transaction):
    """Leaves as it is what an interrupt came into."""

    def perform_rollback(self) -> Story[bool]:
        if not isinstance(sys.exc_info()[1], Exception):
            return False
        return (yield from super().perform_rollback())


class BlockingDriver(AsyncRunDriver):
    """Does on its loop what may block."""

    __slots__ = ()

    async def _in_thread(self, work: Any, patience: float | None = None) -> Any:
        return work()


class BlocksItsLoop(Task[..., Any]):
    def _start(self, *args: Any, **kwargs: Any) -> Any:
        driver, life = super()._start(*args, **kwargs)
        if self.isasync:
            driver.__class__ = BlockingDriver
        return driver, life


def blocking(task: Any) -> Any:
    return BlocksItsLoop(task.fn, task.spec)


class Tampered(Task[..., Any]):
    """Tells the lives of plain runs, which are told in a short way, as they are not."""

    def _start(self, *args: Any, **kwargs: Any) -> Any:
        driver, life = super()._start(*args, **kwargs)
        plan: Any = driver.scope.request
        return driver, self._tell(life) if plan.is_plain else life

    def _tell(self, life: Lifecycle) -> Lifecycle:
        try:
            step = next(life)
            while True:
                try:
                    answer = (yield step) if self._says(step) else Completed()
                except BaseException as error:
                    step = self._throw(life, step, error)
                else:
                    step = life.send(answer)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]

    def _says(self, step: Step) -> bool:
        return True

    def _throw(self, life: Lifecycle, step: Step, error: BaseException) -> Step:
        return life.throw(error)


class CompletesAnyway(Tampered):
    """Says of a run whose function has raised that it has completed."""

    def _throw(self, life: Lifecycle, step: Step, error: BaseException) -> Step:
        return life.send(None) if isinstance(step, CallFunction) else life.throw(error)


class HeedsNoInterrupt(Tampered):
    """Takes what interrupts a call for its end."""

    def _throw(self, life: Lifecycle, step: Step, error: BaseException) -> Step:
        is_heeded = isinstance(error, Exception) or not isinstance(step, CallFunction)
        return life.throw(error) if is_heeded else life.send(None)


class EndsUnsaid(Tampered):
    """Ends, and does not say so."""

    def _says(self, step: Step) -> bool:
        return not (isinstance(step, Record) and step.type is COMPLETED)


def tampered(kind: type[Tampered]) -> Callable[[Any], Any]:
    return lambda task: kind(task.fn, task.spec)


class TicksWithoutKey(MemoryStore):
    """Gives the run of a schedule an id that says nothing of its time."""

    def create(self, event: Event) -> None:
        run = event.payload
        if isinstance(run, Run) and run.deployment is not None and run.is_root:
            run_id = new_id()
            made = replace(run, id=run_id, root_id=run_id)
            event = replace(event, id=new_id(), run_id=run_id, root_id=run_id, payload=made)
        super().create(event)


class LosesARun(MemoryStore):
    """Says that the run of a schedule is kept, and keeps it not."""

    def create(self, event: Event) -> None:
        run = event.payload
        is_timed = isinstance(run, Run) and run.scheduled_time is not None
        if not is_timed or len(self._runs) != 1:
            super().create(event)


#: What is broken, and within how many seeds that is seen.
MUTANTS = {
    "no fence": (Parts(store=NoFence), 50),
    "no table of what may follow": (Parts(store=NoNext), 50),
    "no idempotence": (Parts(store=KeepsTwice), 50),
    "tasks left open": (Parts(store=LeavesOpen), 50),
    "a reaper of the living": (Parts(store=EagerReaper), 50),
    "a store that trusts clocks": (Parts(store=TrustsClocks), 50),
    "a store that keeps no end": (Parts(store=Forgetful), 10),
    "no barrier": (Parts(journal=NoBarrier), 10),
    "an answer before the write": (Parts(journal=AcknowledgesFirst), 50),
    "no renewal": (Parts(journal=NeverRenews), 400),
    "a lock that lets two in": (Parts(leaky_locks=True), 100),
    "a promise left unsettled": (Parts(task=losing), 10),
    "a plain run that completes whatever it raises": (
        Parts(task=tampered(CompletesAnyway)),
        50,
    ),
    "a plain run that heeds no interrupt": (Parts(task=tampered(HeedsNoInterrupt)), 400),
    "a plain run whose end is not said": (Parts(task=tampered(EndsUnsaid)), 50),
    "a gate that gives nothing back": (Parts(gate=Holds), 50),
    "a gate that stands open": (Parts(gate=OpenGate), 50),
    "leases of slots that nobody renews": (Parts(gate=ForgetsSlots), 400),
    "a store that locks no key": (Parts(store=LocksNothing), 400),
    "a store that counts dead leases": (Parts(store=CountsTheDead), 50),
    "a store that frees slots too early": (Parts(store=BuriesTheLiving), 50),
    "a store that gives a slot too many": (Parts(store=GivesTooMany), 50),
    "a takeover by two": (Parts(store=HandsOverTwice), 400),
    "a takeover that lets the old writer in": (Parts(store=KeepsOldWriters), 1000),
    "a resumption by two": (Parts(store=ResumesTwice, is_wide=False), 1000),
    "a resumption that two pauses hear": (Parts(pause_key="all"), 50),
    "a thread of an attempt that is over": (Parts(journal=AnyAttempt), 400),
    "a window with room for one more": (Parts(supply=Roomy), 50),
    "a transaction that keeps what is not committed": (Parts(transaction=KeepsAtOnce), 50),
    "a transaction that keeps before its hooks": (Parts(transaction=KeepsFirst), 400),
    "a transaction that is undone twice": (Parts(transaction=UndoesTwice), 50),
    "a rollback after the commit": (Parts(transaction=UndoesWhatIsKept), 50),
    "a step that blocks its event loop": (Parts(task=blocking), 50),
    "a claim without its compare-and-set": (
        Parts(store=HandsOverTwice, has_schedules=True),
        1000,
    ),
    "a tick without its key": (Parts(store=TicksWithoutKey, has_schedules=True), 200),
    "a tick whose run is lost": (Parts(store=LosesARun, has_schedules=True), 50),
    "a lease of a scheduled run that is not checked": (
        Parts(store=EagerReaper, has_schedules=True),
        50,
    ),
    "a lease that a scheduled run has lost, and writes by": (
        Parts(store=NoFence, has_schedules=True),
        1000,
    ),
    "an interrupted transaction that is left": (Parts(transaction=UndoesFailuresOnly), 400),
}


def test_a_life_that_is_not_tampered_with_is_not_caught() -> None:
    assert first_failure(range(50), Parts(task=tampered(Tampered))) is None


@pytest.mark.parametrize("name", MUTANTS)
def test_the_seeds_catch(name: str) -> None:
    parts, within = MUTANTS[name]
    world = first_failure(range(within), parts)
    assert world is not None, f"{name} is not caught by {within} seeds"
