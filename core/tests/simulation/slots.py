"""A process's way to slots and documents: every call is two steps, and may go wrong."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from flowstone.errors import ConfigurationError
from flowstone.records.limits import Refusal

from .faults import CALL
from .wire import Way

if TYPE_CHECKING:
    from flowstone.records.documents import Document
    from flowstone.records.limits import Claim, Slot
    from flowstone.records.runs import HeartbeatReply

    from .process import Process
    from .wire import Store
    from .world import World

T = TypeVar("T")


class FaultySlots(Way):
    """A `SlotStore` for one simulated process, over the one that all of them share."""

    def __init__(self, world: World, process: Process, store: Store) -> None:
        super().__init__(world, process)
        self._store = store

    def take_slots(self, claim: Claim) -> tuple[str, ...] | Refusal:
        def take() -> tuple[str, ...] | Refusal:
            now = self._world.now()
            try:
                answer = self._store.take_slots(claim)
            except ConfigurationError:
                self._world.ledger.refused_for_good(now)
                raise
            self._world.ledger.taken(claim, answer, now)
            got = "refused" if isinstance(answer, Refusal) else " ".join(answer)
            self._world.note(f"slots for {claim.owner}: {got}")
            return answer

        return self._changed("take_slots", take)

    def give_back_slots(self, tokens: Sequence[str]) -> None:
        def give_back() -> None:
            self._store.give_back_slots(tokens)
            self._world.ledger.given_back(tokens)
            self._world.note(f"give back slots of {len(tokens)}")

        self._changed("give_back_slots", give_back)

    def heartbeat(self, *_: Any) -> HeartbeatReply:
        raise AssertionError("the one heartbeat of a process is sent by its journal")

    def list_slots(self, names: Collection[str] | None = None, **page: Any) -> list[Slot]:
        return self._store.list_slots(names, **page)

    def count_slots(self, names: Sequence[str]) -> dict[str, float]:
        return self._store.count_slots(names)

    def reap_slots(self) -> list[Slot]:
        def reap() -> list[Slot]:
            dead = self._store.reap_slots()
            self._world.ledger.reaped(dead, self._world.now())
            return dead

        return self._changed("reap_slots", reap)

    def _changed(self, name: str, work: Callable[[], T]) -> T:
        try:
            fault = self._before(name, CALL)
            result = work()
            self._world.ledger.look(self._world.scheduler.now)
            self._after(fault)
        except Exception:
            self._process.slot_faults += 1
            raise
        return result


class FaultyDocuments(Way):
    """A `DocumentStore` likewise."""

    def __init__(self, world: World, process: Process, store: Store) -> None:
        super().__init__(world, process)
        self._store = store

    def put(
        self, kind: str, name: str, body: Mapping[str, object], *, expected: int | None = None
    ) -> Document:
        return self._done(lambda: self._store.put(kind, name, body, expected=expected))

    def get(self, kind: str, name: str) -> Document:
        return self._done(lambda: self._store.get(kind, name))

    def find(self, kind: str, **choice: Any) -> list[Document]:
        return self._done(lambda: self._store.find(kind, **choice))

    def delete(self, kind: str, name: str) -> None:
        self._done(lambda: self._store.delete(kind, name))

    def close(self) -> None:
        """Stay open: others have it too."""

    def _done(self, work: Callable[[], T]) -> T:
        fault = self._before("documents", CALL)
        result = work()
        self._after(fault)
        return result
