"""Faults put into the engine and its stores by hand: the seeds catch each of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from flowstone.engine.journal import WriteBehind
from flowstone.errors import Conflict, StoreError
from flowstone.events import Event
from flowstone.futures import Future
from flowstone.runs import Change, Fence, Run
from flowstone.states import State
from flowstone.stores.memory import MemoryStore
from flowstone.tasks import Task

from .runs import first_failure
from .world import Parts


class NoFence(MemoryStore):
    """Takes batches of anybody."""

    def _admit(self, events: Sequence[Event], fence: Fence) -> None:
        pass


class NoNext(MemoryStore):
    """Lets a run go anywhere."""

    def _advance(self, run: Run, change: Change) -> Run:
        if change.version != run.version + 1:
            raise Conflict(run.name, change.version - 1, run.version, run)
        return run.after(change)


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


class Forgetful(MemoryStore):
    """Says that a change is kept, and keeps nothing."""

    def record(self, event: Event) -> Run:
        if not isinstance(event.payload, Change) or not event.payload.state.is_final():
            return super().record(event)
        return self._advance(self._runs[event.run_id], event.payload)


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

    def _renew(self) -> None:
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


#: What is broken, and within how many seeds that is seen.
MUTANTS = {
    "no fence": (Parts(store=NoFence), 50),
    "no table of what may follow": (Parts(store=NoNext), 50),
    "no idempotence": (Parts(store=KeepsTwice), 50),
    "tasks left open": (Parts(store=LeavesOpen), 50),
    "a reaper of the living": (Parts(store=EagerReaper), 50),
    "a store that keeps no end": (Parts(store=Forgetful), 10),
    "no barrier": (Parts(journal=NoBarrier), 10),
    "an answer before the write": (Parts(journal=AcknowledgesFirst), 50),
    "no renewal": (Parts(journal=NeverRenews), 400),
    "a lock that lets two in": (Parts(leaky_locks=True), 100),
    "a promise left unsettled": (Parts(task=losing), 10),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_the_seeds_catch(name: str) -> None:
    parts, within = MUTANTS[name]
    world = first_failure(range(within), parts)
    assert world is not None, f"{name} is not caught by {within} seeds"
