"""The leases of slots, on a clock that a test moves, over a store that fails when it is told to."""

from __future__ import annotations

import logging
import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest

from flowstone.concurrency.leases import SlotLeases
from flowstone.concurrency.queue import ProcessSlotQueue
from flowstone.engine.journal import WriteBehind
from flowstone.errors import StoreBusy
from flowstone.records.events import make_birth_event
from flowstone.records.limits import KIND, Limit, SlotDemand, encode_limit
from flowstone.stores.memory import MemoryStore
from flowstone_testing.conformance.clock import SteppedClock
from flowstone_testing.conformance.samples import lease_for, root_run
from flowstone_testing.conformance.slots import make_claim

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from flowstone.records.limits import Claim, Refusal
    from flowstone.records.runs import Fence, HeartbeatReply


class Shaky(MemoryStore):
    """A store that can't be reached while it is down."""

    is_down = False

    def _check_up(self) -> None:
        if self.is_down:
            raise StoreBusy("flowstone.db", 60)

    def take_slots(self, claim: Claim) -> tuple[str, ...] | Refusal:
        self._check_up()
        return super().take_slots(claim)

    def heartbeat(
        self, fences: Sequence[Fence], seconds: float, slots: Mapping[str, float] | None = None
    ) -> HeartbeatReply:
        self._check_up()
        return super().heartbeat(fences, seconds, slots)

    def give_back_slots(self, tokens: Sequence[str]) -> None:
        self._check_up()
        super().give_back_slots(tokens)


class Unthreaded(WriteBehind):
    """Sends a heartbeat only when it is told to."""

    def _begin(self) -> None:
        pass


class Fixture:
    def __init__(self) -> None:
        self.clock = SteppedClock()
        self.store = Shaky(self.clock.time)
        self.store.put(KIND, "db", encode_limit(Limit("db", 1)))
        self.gate = ProcessSlotQueue(
            self.store, self.store, self.clock, lambda: "elsewhere/1/mark", 30.0
        )
        self.journal: WriteBehind = Unthreaded(self.store, self.clock, 30.0, slots=self.gate.leases)
        self.lost: list[float] = []
        wanted = SlotDemand(("db",), 1, "me", on_lost=lambda: self.lost.append(self.clock.now))
        self.turn = self.gate.make_request(wanted)

    @property
    def until(self) -> list[float]:
        return [slot.until for slot in self.store.list_slots()]

    def pass_(self, seconds: float) -> None:
        self.clock.now += seconds
        self.journal._send_heartbeat()


@pytest.fixture
def fixture() -> Iterator[Fixture]:
    fixture = Fixture()
    yield fixture
    fixture.store.is_down = False
    fixture.gate.close()
    fixture.journal.close()


@pytest.fixture
def held(fixture: Fixture) -> Fixture:
    assert fixture.turn.take() is None
    return fixture


def test_a_lease_is_renewed_when_a_third_of_its_time_is_over(held: Fixture) -> None:
    held.pass_(9)
    assert held.until == [1030]
    held.pass_(2)
    assert held.until == [1041]
    held.pass_(9)
    assert held.until == [1041]


def test_one_heartbeat_renews_what_runs_and_slots_hold(held: Fixture) -> None:
    beats: list[tuple[list[str], list[str]]] = []

    class Counts(Shaky):
        def heartbeat(
            self, fences: Sequence[Fence], seconds: float, slots: Mapping[str, float] | None = None
        ) -> HeartbeatReply:
            beats.append(([fence.root_id for fence in fences], list(slots or {})))
            return super().heartbeat(fences, seconds, slots)

    held.store.__class__ = Counts
    run = lease_for(root_run(), 30.0)
    held.journal.create(make_birth_event(run))
    held.pass_(20)
    assert beats == [([run.id], [held.turn.token])]
    held.turn.give_back()
    held.pass_(1)
    assert beats[1:] == [([run.id], [])]
    held.journal.abandon(run.id)
    held.pass_(1)
    assert len(beats) == 2  # nothing is held any more


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


def test_slots_that_were_granted_late_are_renewed_by_the_next_heartbeat(fixture: Fixture) -> None:
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
    held.pass_(0)
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
    clock = SteppedClock()
    store = Shaky(clock.time)
    store.put(KIND, "db", encode_limit(Limit("db", 1)))
    theirs = make_claim("db")
    store.take_slots(theirs)
    leases = SlotLeases(store, clock)
    leases.free(theirs.token)
    leases.close()
    assert len(store.list_slots()) == 1


def test_the_thread_of_the_journal_renews(fixture: Fixture) -> None:
    renewed = threading.Event()

    class Tells(Shaky):
        def heartbeat(
            self, fences: Sequence[Fence], seconds: float, slots: Mapping[str, float] | None = None
        ) -> HeartbeatReply:
            renewed.set()
            return super().heartbeat(fences, seconds, slots)

    fixture.store.__class__ = Tells
    leases = fixture.gate.leases
    fixture.journal = WriteBehind(fixture.store, fixture.clock, 30.0, slots=leases)
    turn = fixture.gate.make_request(SlotDemand(("db",), 1, "me", lease_seconds=0.001))
    turn.take()
    fixture.clock.now += 1
    assert renewed.wait(300)
    fixture.gate.close()
    fixture.journal.close()
    thread = fixture.journal._thread
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


def test_whoever_retries_keeps_the_place_and_asks_once_a_second(held: Fixture) -> None:
    asked: list[str] = []

    class Counts(Shaky):
        def take_slots(self, claim: Claim) -> tuple[str, ...] | Refusal:
            asked.append(claim.owner)
            return super().take_slots(claim)

    held.store.__class__ = Counts
    first, second = (held.gate.make_request(SlotDemand(("db",), 1, f"w{n}")) for n in range(2))
    for _ in range(5):
        assert not first.retry()
        assert not second.retry()
    assert asked == ["w0"]
    held.clock.now += 1.5
    assert not first.retry()
    assert not second.retry()
    assert asked == ["w0", "w0"]
    held.turn.give_back()
    assert not second.retry()
    assert first.retry()
    assert asked == ["w0"] * 3
    first.give_back()
    assert second.retry()
    assert second.retry()
    assert asked == [*["w0"] * 3, "w1"]
    second.give_back()
    assert held.until == []


def test_whoever_gives_up_a_retry_lets_the_next_one_in(held: Fixture) -> None:
    first, second = (held.gate.make_request(SlotDemand(("db",), 1, f"w{n}")) for n in range(2))
    assert not first.retry()
    assert not second.retry()
    held.turn.give_back()
    first.give_back()
    assert second.retry()


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
