"""The leases of slots, on a clock that a test moves, over a store that fails when it is told to."""

from __future__ import annotations

import logging
import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest

from flowstone.concurrency.leases import SlotLeases
from flowstone.concurrency.queue import ProcessSlotQueue
from flowstone.errors import StoreBusy
from flowstone.records.limits import KIND, Limit, SlotDemand, encode_limit
from flowstone.stores.memory import MemoryStore
from flowstone_testing.conformance.slots import make_claim

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from flowstone.records.limits import Claim, Refusal


class Hands:
    """A clock that stands still."""

    now = 1000.0

    def time(self) -> float:
        return self.now

    monotonic = time

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    async def asleep(self, seconds: float) -> None:
        self.now += seconds


class Shaky(MemoryStore):
    """A store that can't be reached while it is down."""

    is_down = False

    def _check_up(self) -> None:
        if self.is_down:
            raise StoreBusy("flowstone.db", 60)

    def take_slots(self, claim: Claim) -> tuple[str, ...] | Refusal:
        self._check_up()
        return super().take_slots(claim)

    def renew_slots(self, leases: Mapping[str, float]) -> list[str]:
        self._check_up()
        return super().renew_slots(leases)

    def give_back_slots(self, tokens: Sequence[str]) -> None:
        self._check_up()
        super().give_back_slots(tokens)


class Fixture:
    def __init__(self) -> None:
        self.clock = Hands()
        self.store = Shaky(self.clock.time)
        self.store.put(KIND, "db", encode_limit(Limit("db", 1)))
        self.gate = ProcessSlotQueue(
            self.store, self.store, self.clock, lambda: "elsewhere/1/mark", 30.0
        )
        self.lost: list[float] = []
        wanted = SlotDemand(("db",), 1, "me", on_lost=lambda: self.lost.append(self.clock.now))
        self.turn = self.gate.make_request(wanted)

    @property
    def until(self) -> list[float]:
        return [slot.until for slot in self.store.list_slots()]

    def pass_(self, seconds: float) -> None:
        self.clock.now += seconds
        self.gate.leases.tend()


@pytest.fixture
def fixture() -> Iterator[Fixture]:
    fixture = Fixture()
    yield fixture
    fixture.store.is_down = False
    fixture.gate.close()


@pytest.fixture
def held(fixture: Fixture) -> Fixture:
    assert fixture.turn.take() is None
    return fixture


def test_a_lease_is_renewed_every_third_of_its_time(held: Fixture) -> None:
    held.pass_(9)
    assert held.until == [1030]
    held.pass_(2)
    assert held.until == [1041]
    held.pass_(9)
    assert held.until == [1041]


def test_an_outage_shorter_than_the_lease_ends_nothing(
    held: Fixture, caplog: pytest.LogCaptureFixture
) -> None:
    held.store.is_down = True
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            held.pass_(5)
    assert held.lost == []
    assert "could not be renewed" in caplog.text
    held.store.is_down = False
    held.pass_(5)
    assert held.until == [1060]


def test_slots_that_were_granted_late_are_renewed_at_once(fixture: Fixture) -> None:
    class Slow(Shaky):
        def take_slots(self, claim: Claim) -> tuple[str, ...] | Refusal:
            answer = super().take_slots(claim)
            fixture.clock.now += 12
            return answer

    fixture.store.__class__ = Slow
    assert fixture.turn.take() is None
    assert fixture.until == [1030]
    fixture.pass_(0)
    assert fixture.until == [1042]


def test_an_outage_longer_than_the_lease_is_told_once(held: Fixture) -> None:
    held.store.is_down = True
    for _ in range(10):
        held.pass_(5)
    assert held.lost == [1035]
    held.store.is_down = False
    held.pass_(5)
    assert held.until == [1085]  # taken again, as nobody else has them
    held.turn.give_back()
    assert held.until == []


def test_what_could_not_be_freed_is_freed_later(held: Fixture) -> None:
    held.store.is_down = True
    held.turn.give_back()
    assert held.until == [1030]
    held.store.is_down = False
    held.gate.leases.tend()
    assert held.until == []


def test_what_was_granted_although_the_answer_was_lost_is_freed(fixture: Fixture) -> None:
    class LosesTheAnswer(Shaky):
        def take_slots(self, claim: Claim) -> tuple[str, ...] | Refusal:
            super().take_slots(claim)
            raise KeyboardInterrupt

    fixture.store.__class__ = LosesTheAnswer
    with pytest.raises(KeyboardInterrupt):
        fixture.turn.take()
    assert fixture.until == []


def test_closing_frees_all(held: Fixture) -> None:
    held.gate.close()
    held.gate.close()
    assert held.until == []


def test_nothing_of_others_is_freed() -> None:
    clock = Hands()
    store = Shaky(clock.time)
    store.put(KIND, "db", encode_limit(Limit("db", 1)))
    theirs = make_claim("db")
    store.take_slots(theirs)
    leases = SlotLeases(store, clock)
    leases.free(theirs.token)
    leases.close()
    assert len(store.list_slots()) == 1


def test_the_thread_renews(fixture: Fixture) -> None:
    renewed = threading.Event()

    class Tells(Shaky):
        def renew_slots(self, leases: Mapping[str, float]) -> list[str]:
            renewed.set()
            return super().renew_slots(leases)

    fixture.store.__class__ = Tells
    turn = fixture.gate.make_request(SlotDemand(("db",), 1, "me", lease_seconds=0.001))
    turn.take()
    fixture.clock.now += 1
    assert renewed.wait(300)
    fixture.gate.close()
    thread = fixture.gate.leases._thread
    assert thread is not None
    assert not thread.is_alive()


def test_what_is_given_back_rouses_who_is_first(held: Fixture) -> None:
    rung: list[int] = []
    waiting = [held.gate.make_request(SlotDemand(("db",), 1, f"w{number}")) for number in range(3)]
    for number, turn in enumerate(waiting):
        assert turn.take() is not None
        turn.notify = partial(rung.append, number)
    held.turn.give_back()
    assert rung == [0]
    assert waiting[1].take() is not None  # the slot is free, and another one came first
    waiting[0].give_back()
    assert rung == [0, 1]
    assert waiting[1].take() is None
    assert rung == [0, 1, 2]  # there may be room for more
    waiting[1].give_back()
    assert rung == [0, 1, 2, 2]


def test_a_greedy_process_starves_nobody(fixture: Fixture) -> None:
    """One takes the slot again as soon as it has given it back; still others get it."""
    store, clock = fixture.store, fixture.clock
    gates = [
        ProcessSlotQueue(store, store, clock, lambda n=n: f"host{n}/1/mark", 30.0)  # type: ignore[misc]
        for n in range(2)
    ]
    greedy, patient = gates
    mine = greedy.make_request(SlotDemand(("db",), 1, "greedy"))
    assert mine.take() is None
    theirs = patient.make_request(SlotDemand(("db",), 1, "patient"))
    for _ in range(10):
        clock.now += 0.25
        assert theirs.take() is not None
        again = greedy.make_request(SlotDemand(("db",), 1, "greedy"))
        mine.give_back()
        if again.take() is not None:
            break
        mine = again
    else:
        raise AssertionError("the other one never got its turn")
    assert theirs.take() is None
    theirs.give_back()
    assert again.take() is None
    for gate in gates:
        gate.close()
