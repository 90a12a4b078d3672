"""The slots under limits, counted by what was granted and given back, beside the store's count."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from flowstone.records.limits import (
    KIND,
    LOCK,
    REMEMBERED,
    TAG,
    Claim,
    Limit,
    Refusal,
    Slot,
    count_used,
    count_used_slots,
    encode_limit,
)
from flowstone.stores.rules import is_due

if TYPE_CHECKING:
    from .process import Process
    from .world import World

#: A task's tag; blocks in tasks; a block around a part of a flow; a rate. Who holds slots under one
#: waits for those after it in this order only, which is why they never wait for each other.
OUTER, TAGGED, INNER, RATE = "outer", f"{TAG}t", "inner", "rate"
GRAIN = 1e-3


class Ledger:
    """Knows who holds what, and when that ends, by the answers that the store gave."""

    def __init__(self, world: World, draw: Callable[[Sequence[int]], int]) -> None:
        self._world, self._auditor = world, world.auditor
        self.limits = {name: Limit(name, draw((1, 1, 2, 3))) for name in (OUTER, TAGGED, INNER)}
        self.limits[RATE] = Limit(RATE, 2, slot_decay_per_second=1.0)
        self._slots: dict[tuple[str, str], Slot] = {}  # by token and limit
        self._wishes: dict[tuple[str, str], float] = {}  # until when, by limit and holder
        self._most = {name: limit.slots for name, limit in self.limits.items()}
        self._latest = 0.0
        for limit in self.limits.values():
            self.set(limit)

    def set(self, limit: Limit) -> None:
        """Save a limit, also one with fewer slots than are held."""
        self.limits[limit.name] = limit
        self._most[limit.name] = max(self._most[limit.name], limit.slots)
        self._world.store.put(KIND, limit.name, encode_limit(limit))

    def alive(self, now: float) -> list[Slot]:
        return [slot for slot in self._slots.values() if not _is_over(slot, now)]

    # ------------------------------------------------------------ what the store was asked

    def taken(self, claim: Claim, answer: tuple[str, ...] | Refusal, now: float) -> None:
        """Take note; who was held up says an earlier time than others have said already."""
        for name in claim.names:
            if name.startswith(LOCK):
                self.limits.setdefault(name, Limit(name, 1))
                self._most.setdefault(name, 1)
        is_late, self._latest = now < self._latest, max(now, self._latest)
        if isinstance(answer, Refusal):
            if not is_late:
                self._check_refusal(claim, answer.limit.name, now)
            for name in claim.names:
                self._wishes[name, claim.holder] = now + REMEMBERED
            return
        wanted = sorted(name for name in claim.names if name in self.limits)
        self._auditor.expect(list(answer) == wanted, f"{wanted} were asked for, but got {answer}")
        fresh = [name for name in answer if (claim.token, name) not in self._slots]
        for name in fresh:
            limit, until = self.limits[name], now + claim.seconds
            if claim.is_rate:
                ends = [each.until for each in self.alive(self._latest) if each.limit == name]
                until = max([now, *ends]) + claim.occupy / limit.slot_decay_per_second
            self._slots[claim.token, name] = Slot(
                name, claim.token, claim.occupy, claim.holder, claim.owner, claim.run_id, now,
                until, claim.is_rate,
            )  # fmt: skip
            self._wishes.pop((name, claim.holder), None)
            self._check_room(name, self.limits[name].slots)

    def refused_for_good(self, now: float) -> None:
        """Take note of the time: the store may have buried the dead."""
        self._latest = max(now, self._latest)

    def renewed(self, leases: Mapping[str, float], lost: Collection[str], now: float) -> None:
        """Take note; a lease that had run out may live again, if nobody has buried it."""
        for key, slot in list(self._slots.items()):
            if slot.token in lost:
                over = _is_over(slot, now)
                self._auditor.expect(over, f"{slot.owner!r} lost slots while their lease held")
                del self._slots[key]
            elif slot.token in leases:
                if is_due(slot.until, now, leases[slot.token]):
                    self._slots[key] = slot._replace(until=now + leases[slot.token])
                self._latest = max(self._latest, now)
                if _is_over(slot, now):
                    self._check_room(slot.limit, self._most[slot.limit])

    def given_back(self, tokens: Collection[str]) -> None:
        self._slots = {key: slot for key, slot in self._slots.items() if slot.token not in tokens}

    def reaped(self, dead: Collection[Slot], now: float) -> None:
        for slot in dead:
            over = _is_over(self._slots.get((slot.token, slot.limit), slot), now)
            self._auditor.expect(over, f"slots of {slot.owner!r} were freed while its lease held")

    # ------------------------------------------------------------ what must hold

    def look(self, now: float) -> None:
        """Slots in use are the leases alive."""
        alive = self.alive(now)
        ours = sorted((slot.limit, slot.token, slot.occupy) for slot in alive)
        held = self._world.store.list_slots()
        theirs = sorted((slot.limit, slot.token, slot.occupy) for slot in held)
        self._auditor.expect(
            ours == theirs, f"{_told(alive)} hold slots, but the store says that {_told(held)} do"
        )
        limits = list(self.limits.values())
        used, told = count_used_slots(limits, alive, now), count_used_slots(limits, held, now)
        close = all(abs(used[name] - told[name]) < GRAIN for name in used)
        self._auditor.expect(close, f"slots in use are {used}, but the store's are {told}")

    def inside(self, process: Process, tokens: Collection[str], names: Sequence[str]) -> None:
        """Code that is let in holds its slots, unless it was held up, or could not ask."""
        now = self._world.scheduler.now
        held = {slot.limit for slot in self.alive(now) if slot.token in tokens}
        excused = process.was_held_up or process.slot_faults
        missing = set(names) - held
        self._auditor.expect(
            not missing or bool(excused), f"{process.name} is in, with no slots under {missing}"
        )

    def idle(self, process: Process, left: Collection[str]) -> None:
        """Who has nothing to do holds nothing, but for what could not be given back yet."""
        now = self._world.scheduler.now
        kept = [
            slot
            for slot in self.alive(now)
            if slot.holder == process.holder() and slot.token not in left and not slot.is_rate
        ]
        self._auditor.expect(not kept, f"{_told(kept)} of {process.name} still hold slots")

    def finish(self, now: float) -> None:
        """At the end, dead processes hold no slots: all are free."""
        self.look(now)
        for limit in self.limits.values():
            if limit.slot_decay_per_second or not limit.slots:
                continue
            claim = Claim(
                f"all of {limit.name}", (limit.name,), limit.slots, "janitor", "janitor", None,
                1.0, 0.0,
            )  # fmt: skip
            answer = self._world.store.take_slots(claim)
            self._auditor.expect(answer == (limit.name,), f"slots are gone for good: {answer}")

    def _check_room(self, name: str, slots: int) -> None:
        now = self._latest
        used = count_used(self.limits[name], self.alive(now), now)
        self._auditor.expect(
            used <= slots + GRAIN, f"{used:g} slots are taken of the {slots} of {name}"
        )

    def _check_refusal(self, claim: Claim, name: str, now: float) -> None:
        """Free slots are granted to a process that asks, unless others ask too."""
        limit = self.limits[name]
        others = any(
            under == name and holder != claim.holder and now < until
            for (under, holder), until in self._wishes.items()
        )
        over = count_used(limit, self.alive(now), now) + claim.occupy - limit.slots
        self._auditor.expect(
            over > 0 or others,
            f"{claim.owner!r} was refused slots under {name} that nobody holds",
        )


def _is_over(slot: Slot, now: float) -> bool:
    return slot.until <= now if slot.is_rate else slot.until < now


def _told(slots: Collection[Slot]) -> str:
    return ", ".join(f"{slot.owner!r} under {slot.limit}" for slot in slots) or "nobody"
