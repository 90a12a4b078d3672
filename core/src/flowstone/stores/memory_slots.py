"""Slots under limits, in memory."""

from __future__ import annotations

import os
from threading import RLock
from time import time
from typing import TYPE_CHECKING

from flowstone.records.limits import KIND, Refusal, Slot, add_unsaved, count_used_slots, read_limit
from flowstone.stores import slot_rules
from flowstone.stores.rules import is_due

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from flowstone.ports import DocumentStore
    from flowstone.records.limits import Claim, Limit
    from flowstone.stores.slot_rules import Waiter


class MemorySlots:
    """The slots of a `SlotStore` in memory, which is lost at the end of the process."""

    def __init__(self, documents: DocumentStore, now: Callable[[], float] = time) -> None:
        self._now = now
        self._limits_in = documents
        self._slots_lock = RLock()
        self._held: list[Slot] = []
        self._wishes: dict[tuple[str, str], Waiter] = {}

    def take_slots(self, claim: Claim) -> tuple[str, ...] | Refusal:
        with self._slots_lock:
            now = self._now()
            if mine := [slot.limit for slot in self._held if slot.token == claim.token]:
                return tuple(sorted(mine))
            self._drop_dead(now)
            limits = self._limits(claim.names)
            limits = [limit for limit in limits if limit.active]
            refused = self._find_refusal(limits, claim, now)
            for limit in limits:
                key = limit.name, claim.holder
                self._wishes.pop(key, None)
                if refused is not None:
                    self._wishes[key] = slot_rules.make_waiter(*key, claim.waited, now)
            if refused is not None:
                return refused
            self._held += [slot_rules.grant(limit, self._held, claim, now) for limit in limits]
            return tuple(limit.name for limit in limits)

    def give_back_slots(self, tokens: Sequence[str]) -> None:
        with self._slots_lock:
            self._held = [slot for slot in self._held if slot.token not in tokens]

    def list_slots(
        self,
        names: Collection[str] | None = None,
        *,
        after: Slot | None = None,
        limit: int | None = None,
    ) -> list[Slot]:
        with self._slots_lock:
            now = self._now()
            alive = [slot for slot in self._held if not self._is_dead(slot, now)]
        return slot_rules.choose_page(alive, names, after, limit)

    def count_slots(self, names: Sequence[str]) -> dict[str, float]:
        with self._slots_lock:
            return count_used_slots(self._limits(names), self.list_slots(), self._now())

    def reap_slots(self) -> list[Slot]:
        with self._slots_lock:
            return self._drop_dead(self._now())

    def _drop_dead(self, now: float) -> list[Slot]:
        dead = [slot for slot in self._held if self._is_dead(slot, now)]
        self._held = [slot for slot in self._held if slot not in dead]
        return dead

    def _limits(self, names: Sequence[str]) -> list[Limit]:
        saved = self._limits_in.find(KIND, names=names)
        return add_unsaved([read_limit(each) for each in saved], names)

    def _find_refusal(self, limits: Sequence[Limit], claim: Claim, now: float) -> Refusal | None:
        return slot_rules.find_refusal(limits, self._held, list(self._wishes.values()), claim, now)

    def _renew_slots(self, leases: Mapping[str, float]) -> list[str]:
        with self._slots_lock:
            held = {slot.token for slot in self._held}
            self._held = [
                self._renew_slot(slot, leases[slot.token]) if slot.token in leases else slot
                for slot in self._held
            ]
        return [token for token in leases if token not in held]

    def _renew_slot(self, slot: Slot, seconds: float) -> Slot:
        now = self._now()
        return slot._replace(until=now + seconds) if is_due(slot.until, now, seconds) else slot

    def _is_dead(self, slot: Slot, now: float) -> bool:
        # The caller is alive, however long its process was suspended.
        return slot_rules.is_dead(slot, now, True if slot.holder == name_holder() else None)


def name_holder() -> str:
    """Return the name of this process; no other one can access its memory."""
    return f"memory/{os.getpid()}"
