"""The suite of slots bites: each of these broken stores fails the test that is there for it."""

from __future__ import annotations

from contextlib import suppress
from inspect import signature
from threading import Barrier, BrokenBarrierError
from time import time
from typing import TYPE_CHECKING, Any

import pytest

from flowstone.records.limits import LOCK, SERVING, Limit, Refusal, Slot
from flowstone.stores.memory import MemoryStore
from flowstone.stores.slot_rules import Waiter
from flowstone_testing.conformance import SlotStoreSuite, StoreClock

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from flowstone.records.limits import Claim
    from flowstone.records.runs import Fence, HeartbeatReply


class LeaksOnCrash(MemoryStore):
    def _is_dead(self, slot: Slot, now: float) -> bool:
        return slot.is_rate and super()._is_dead(slot, now)


class TakesFromTheLiving(MemoryStore):
    def _is_dead(self, slot: Slot, now: float) -> bool:
        return super()._is_dead(slot, now + 10)


class CountsLeasesNotSlots(MemoryStore):
    def _find_refusal(self, limits: Sequence[Limit], claim: Claim, now: float) -> Refusal | None:
        held, self._held = self._held, [slot._replace(occupy=1) for slot in self._held]
        try:
            return super()._find_refusal(limits, claim, now)
        finally:
            self._held = held


class LetsInOneTooMany(MemoryStore):
    def _limits(self, names: Sequence[str]) -> list[Limit]:
        return [limit._replace(slots=limit.slots + 1) for limit in super()._limits(names)]


class KeepsACounter(MemoryStore):
    """Counts what is taken and given back, beside the list: a lease that runs out stays counted."""

    counted = 0

    def take_slots(self, claim: Claim) -> tuple[str, ...] | Refusal:
        limits = self._limits(claim.names)
        if limits and self.counted >= limits[0].slots:
            return Refusal(limits[0], claim.occupy, tuple(self._held), None)
        answer = super().take_slots(claim)
        self.counted += 0 if isinstance(answer, Refusal) else claim.occupy
        return answer

    def give_back_slots(self, tokens: Sequence[str]) -> None:
        self.counted -= sum(slot.token in tokens for slot in self._held)
        super().give_back_slots(tokens)


class RenewsTheLost(MemoryStore):
    def _renew_slots(self, leases: Mapping[str, float]) -> list[str]:
        super()._renew_slots(leases)
        return []


class RenewsOneOfSeveral(MemoryStore):
    def _renew_slot(self, slot: Slot, seconds: float) -> Slot:
        first = next(each for each in self._held if each.token == slot.token)
        return super()._renew_slot(slot, seconds) if slot is first else slot


class RenewsSlotsTooLate(MemoryStore):
    def _renew_slot(self, slot: Slot, seconds: float) -> Slot:
        return super()._renew_slot(slot, seconds) if slot.until < self._now() + 5 else slot


class RenewsSlotsForTheSecondsOfRuns(MemoryStore):
    def heartbeat(
        self, fences: Sequence[Fence], seconds: float, slots: Mapping[str, float] | None = None
    ) -> HeartbeatReply:
        return super().heartbeat(fences, seconds, dict.fromkeys(slots or {}, seconds))


class TakesByTheClientsClock(MemoryStore):
    def take_slots(self, claim: Claim) -> tuple[str, ...] | Refusal:
        answer = super().take_slots(claim)
        self._held = [
            slot._replace(until=time() + claim.seconds) if slot.token == claim.token else slot
            for slot in self._held
        ]
        return answer


class KeepsWhoWasLostOut(MemoryStore):
    def __init__(self, now: Callable[[], float]) -> None:
        super().__init__(now)
        self._buried: set[str] = set()

    def _drop_dead(self, now: float) -> list[Slot]:
        dead = super()._drop_dead(now)
        self._buried |= {slot.token for slot in dead}
        return dead

    def take_slots(self, claim: Claim) -> tuple[str, ...] | Refusal:
        return () if claim.token in self._buried else super().take_slots(claim)


class RatesAreForEver(MemoryStore):
    def _is_dead(self, slot: Slot, now: float) -> bool:
        return not slot.is_rate and super()._is_dead(slot, now)

    def _find_refusal(self, limits: Sequence[Limit], claim: Claim, now: float) -> Refusal | None:
        taken = sum(slot.occupy for slot in self._held if slot.is_rate)
        for limit in limits:
            if taken + claim.occupy > limit.slots:
                return Refusal(limit, claim.occupy, tuple(self._held), None)
        return super()._find_refusal(limits, claim, now)


class RenewsRunsOrSlots(MemoryStore):
    def heartbeat(
        self, fences: Sequence[Fence], seconds: float, slots: Mapping[str, float] | None = None
    ) -> HeartbeatReply:
        return super().heartbeat(fences, seconds, None if fences else slots)


class TakesAPart(MemoryStore):
    def take_slots(self, claim: Claim) -> tuple[str, ...] | Refusal:
        refused: tuple[str, ...] | Refusal = ()
        for name in claim.names:
            refused = super().take_slots(
                claim._replace(names=(name,), token=f"{claim.token}{name}")
            )
            if isinstance(refused, Refusal):
                return refused
        return claim.names if refused else ()


class TakesTwice(MemoryStore):
    def take_slots(self, claim: Claim) -> tuple[str, ...] | Refusal:
        number = sum(slot.token.startswith(claim.token) for slot in self._held)
        return super().take_slots(claim._replace(token=f"{claim.token}{'+' * number}"))


class FreesEverybodys(MemoryStore):
    def give_back_slots(self, tokens: Sequence[str]) -> None:
        self._held = []


class FreesNothing(MemoryStore):
    def give_back_slots(self, tokens: Sequence[str]) -> None:
        pass


class ObeysWhatIsOff(MemoryStore):
    def _limits(self, names: Sequence[str]) -> list[Limit]:
        saved = [each for each in self.find("limit") if each.name in names]
        return [Limit(each.name, each.body["slots"]) for each in saved]


class NeverRefusesForGood(MemoryStore):
    def _find_refusal(self, limits: Sequence[Limit], claim: Claim, now: float) -> Refusal | None:
        for limit in limits:
            if limit.slots < claim.occupy:
                return Refusal(limit, claim.occupy, (), None)
        return super()._find_refusal(limits, claim, now)


class ReapsRatesWithTheirHolder(MemoryStore):
    def _is_dead(self, slot: Slot, now: float) -> bool:
        return super()._is_dead(slot, now) or (slot.is_rate and now > slot.since + 1)


class KillsWhoIsTooMany(MemoryStore):
    def _renew_slots(self, leases: Mapping[str, float]) -> list[str]:
        room = sum(each.body["slots"] for each in self.find("limit"))
        self._held = self._held[:room]
        return super()._renew_slots(leases)


class RemembersTheLimit(MemoryStore):
    first: tuple[Limit, ...] = ()

    def _limits(self, names: Sequence[str]) -> list[Limit]:
        self.first = self.first or tuple(super()._limits(names))
        return list(self.first)


class LocksNothingThatIsNotSaved(MemoryStore):
    def _limits(self, names: Sequence[str]) -> list[Limit]:
        return [limit for limit in super()._limits(names) if not limit.name.startswith(LOCK)]


class LetsOneServe(MemoryStore):
    def _limits(self, names: Sequence[str]) -> list[Limit]:
        found = super()._limits(names)
        return [each._replace(slots=1) if each.name == SERVING else each for each in found]


class KeepsLocksForEver(MemoryStore):
    def _is_dead(self, slot: Slot, now: float) -> bool:
        return super()._is_dead(slot, now) and not slot.limit.startswith(LOCK)


class ForgetsWhoWaits(MemoryStore):
    def _find_refusal(self, limits: Sequence[Limit], claim: Claim, now: float) -> Refusal | None:
        self._wishes.clear()
        return super()._find_refusal(limits, claim, now)


class WaitsForTheGone(MemoryStore):
    def _find_refusal(self, limits: Sequence[Limit], claim: Claim, now: float) -> Refusal | None:
        for key, wish in self._wishes.items():
            self._wishes[key] = Waiter(wish.limit, wish.holder, wish.since, float("inf"))
        return super()._find_refusal(limits, claim, now)


class ForgetsTheWait(MemoryStore):
    def take_slots(self, claim: Claim) -> tuple[str, ...] | Refusal:
        return super().take_slots(claim._replace(waited=0.0))


class ListsAll(MemoryStore):
    def list_slots(self, names: Collection[str] | None = None, **page: Any) -> list[Slot]:
        return super().list_slots(**page)


class RepeatsTheLastOfAPage(MemoryStore):
    def list_slots(self, names: Collection[str] | None = None, **page: Any) -> list[Slot]:
        every, after = super().list_slots(names), page.get("after")
        return every[every.index(after) if after else 0 :][: page.get("limit")]


class LooksThenLeaps(MemoryStore):
    """The count and the taking are not one: between them, others count as well."""

    def __init__(self, now: Callable[[], float]) -> None:
        super().__init__(now)
        self._meeting = Barrier(4)

    def take_slots(self, claim: Claim) -> tuple[str, ...] | Refusal:
        now = self._now()
        limits = self._limits(claim.names)
        refused = self._find_refusal(limits, claim, now)
        with suppress(BrokenBarrierError):
            self._meeting.wait(0.2)
        if refused is None:
            self._held = [
                *self._held,
                Slot(
                    "a",
                    claim.token,
                    claim.occupy,
                    claim.holder,
                    claim.owner,
                    claim.run_id,
                    now,
                    now + claim.seconds,
                ),
            ]
        return refused or ("a",)


MUTANTS = {
    LeaksOnCrash: "test_the_slots_of_a_lease_that_ran_out_are_free",
    TakesFromTheLiving: "test_the_slots_of_a_lease_that_ran_out_are_free",
    CountsLeasesNotSlots: "test_several_slots_count_as_several",
    LetsInOneTooMany: "test_slots_are_taken_up_to_the_limit",
    KeepsACounter: "test_the_slots_of_a_lease_that_ran_out_are_free",
    RenewsTheLost: "test_a_lost_lease_is_not_renewed",
    RenewsOneOfSeveral: "test_a_renewed_lease_lasts",
    RenewsSlotsTooLate: "test_heartbeats_keep_slots",
    RenewsSlotsForTheSecondsOfRuns: "test_one_heartbeat_renews_runs_and_slots",
    TakesByTheClientsClock: "test_a_lease_reads_back_as_it_was_taken",
    KeepsWhoWasLostOut: "test_who_lost_slots_may_take_them_again",
    RatesAreForEver: "test_a_rate_decays",
    RenewsRunsOrSlots: "test_one_heartbeat_renews_runs_and_slots",
    TakesAPart: "test_all_or_none",
    TakesTwice: "test_a_claim_again_changes_nothing",
    FreesEverybodys: "test_what_is_given_back_is_free",
    FreesNothing: "test_what_is_given_back_is_free",
    ObeysWhatIsOff: "test_only_limits_that_are_there_count",
    NeverRefusesForGood: "test_what_can_never_be_had_is_said",
    ReapsRatesWithTheirHolder: "test_a_rate_goes_on_when_its_holder_is_gone",
    KillsWhoIsTooMany: "test_a_lowered_limit_kills_nobody",
    RemembersTheLimit: "test_a_raised_or_deleted_limit_lets_in",
    LetsOneServe: "test_everybody_may_say_what_they_serve",
    LocksNothingThatIsNotSaved: "test_a_lock_is_had_by_one_until_it_expires",
    KeepsLocksForEver: "test_a_lock_is_had_by_one_until_it_expires",
    ForgetsWhoWaits: "test_who_has_waited_for_long_goes_first",
    WaitsForTheGone: "test_who_asks_no_more_keeps_nobody_out",
    ForgetsTheWait: "test_who_has_waited_for_long_goes_first",
    ListsAll: "test_slots_are_listed_by_limits_and_in_pages",
    RepeatsTheLastOfAPage: "test_slots_are_listed_by_limits_and_in_pages",
    LooksThenLeaps: "test_of_many_askers_as_many_as_fit_get_in",
}


def run(test: Callable[..., None], kind: type[MemoryStore]) -> None:
    """Run one test of the suite on a fresh store."""
    clock = StoreClock()
    more = {"clock": clock} if "clock" in signature(test).parameters else {}
    test(SlotStoreSuite(), store=kind(clock.time), **more)


def test_the_reference_fails_nothing() -> None:
    names = [name for name in dir(SlotStoreSuite) if name.startswith("test")]
    assert len(names) > 15
    for name in names:
        run(getattr(SlotStoreSuite, name), MemoryStore)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_broken_slot_store_is_found_out(mutant: type[MemoryStore]) -> None:
    test = getattr(SlotStoreSuite, MUTANTS[mutant])
    with pytest.raises((Exception, pytest.fail.Exception)):
        run(test, mutant)
