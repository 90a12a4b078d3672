"""SlotStoreSuite: the standard tests of all stores of concurrency limits."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

import pytest

from flowstone.errors import ConfigurationError
from flowstone.ports import DocumentStore, RunStore
from flowstone.ports.slots import SlotStore
from flowstone.records.events import make_birth_event
from flowstone.records.ids import new_id
from flowstone.records.limits import (
    GIVES_WAY,
    KIND,
    LOCK,
    REMEMBERED,
    SERVING,
    Claim,
    Limit,
    Refusal,
    encode_limit,
)
from flowstone.records.runs import HeartbeatReply
from flowstone.records.states import CANCELLING
from flowstone_testing.conformance.clock import ClockedSuite
from flowstone_testing.conformance.samples import fence, lease_for, root_run, step

if TYPE_CHECKING:
    from flowstone.records.limits import Slot
    from flowstone_testing.conformance.clock import StoreClock

#: The holder in the samples: on another host, so that only its lease counts.
ELSEWHERE = "elsewhere/4711/mark"


class LimitStore(RunStore, DocumentStore, SlotStore, Protocol):
    """A store of slots, of the limits (documents), and of the runs that hold slots."""


def save_limit(
    store: LimitStore, name: str, slots: int, decay: float = 0.0, **facts: bool
) -> Limit:
    """Save a limit and return it.

    Args:
        store: the store.
        name: the name of the limit.
        slots: the number of its slots.
        decay: slots per second that become free again.
        **facts: more fields of the limit.
    """
    made = Limit(name, slots, slot_decay_per_second=decay, **facts)
    store.put(KIND, name, encode_limit(made))
    return made


def make_claim(
    *names: str,
    occupy: int = 1,
    seconds: float = 300.0,
    waited: float = 0.0,
    holder: str = ELSEWHERE,
) -> Claim:
    """Return a claim with a new token."""
    token = new_id()
    return Claim(token, names, occupy, holder, f"run-{token[-5:]}", token, seconds, waited)


def make_rate_claim(*names: str, occupy: int = 1) -> Claim:
    """Return a claim of slots that decay."""
    return make_claim(*names, occupy=occupy)._replace(is_rate=True)


def take(store: LimitStore, asked: Claim) -> tuple[str, ...]:
    """Take slots, which must be free; return the names of their limits."""
    answer = store.take_slots(asked)
    assert not isinstance(answer, Refusal), str(answer)
    return answer


def ask_in_vain(store: LimitStore, asked: Claim) -> Refusal:
    """Request slots, which must be refused; return the refusal."""
    answer = store.take_slots(asked)
    assert isinstance(answer, Refusal), f"taken: {answer}"
    return answer


def list_tokens(slots: list[Slot]) -> list[str]:
    return [slot.token for slot in slots]


class SlotStoreSuite(ClockedSuite):
    """Join with a fixture `store`: empty, new for each test, and closed after it.

    It stores documents, too, and must use the fixture `clock`.
    """

    def test_slots_are_taken_up_to_the_limit(self, store: LimitStore) -> None:
        """More or fewer holders were admitted than the limit has slots."""
        save_limit(store, "db", 3)
        asked = [make_claim("db") for _ in range(3)]
        assert [take(store, each) for each in asked] == [("db",)] * 3
        told = ask_in_vain(store, make_claim("db"))
        assert (told.limit.name, told.limit.slots, told.occupy) == ("db", 3, 1)
        assert sorted(list_tokens(list(told.held))) == sorted(each.token for each in asked)
        assert told.seconds is None

    def test_several_slots_count_as_several(self, store: LimitStore) -> None:
        """`occupy` was counted as 1."""
        made = save_limit(store, "db", 5)
        take(store, make_claim("db", occupy=3))
        ask_in_vain(store, make_claim("db", occupy=3))
        take(store, make_claim("db", occupy=2))
        assert store.count_slots([made.name, "none"]) == {made.name: 5}

    def test_a_lease_reads_back_as_it_was_taken(self, store: LimitStore, clock: StoreClock) -> None:
        """The holder, limit, start or end of a lease was lost."""
        save_limit(store, "db", 5)
        asked = make_claim("db", occupy=2)._replace(owner="naïve 🪨", run_id=None)
        take(store, asked)
        (slot,) = store.list_slots()
        assert (slot.limit, slot.token, slot.occupy) == ("db", asked.token, 2)
        assert (slot.holder, slot.owner, slot.run_id) == (ELSEWHERE, "naïve 🪨", None)
        assert (slot.since, slot.until, slot.is_rate) == (clock.now, clock.now + 300.0, False)

    def test_all_or_none(self, store: LimitStore) -> None:
        """Some of several limits were taken although one was full: two such claims deadlock."""
        save_limit(store, "a", 1)
        save_limit(store, "b", 1)
        first = make_claim("b")
        take(store, first)
        assert ask_in_vain(store, make_claim("a", "b")).limit.name == "b"
        assert list_tokens(store.list_slots()) == [first.token]
        store.give_back_slots([first.token])
        assert take(store, make_claim("b", "a")) == ("a", "b")
        assert [slot.limit for slot in store.list_slots()] == ["a", "b"]

    def test_a_claim_again_changes_nothing(self, store: LimitStore, clock: StoreClock) -> None:
        """A claim that was repeated because its response was lost took slots twice."""
        save_limit(store, "a", 2)
        asked = make_claim("a")
        begun = clock.now
        assert take(store, asked) == ("a",)
        clock.advance(1)
        assert take(store, asked) == ("a",)
        assert [slot.since for slot in store.list_slots()] == [begun]

    def test_only_limits_that_are_there_count(self, store: LimitStore) -> None:
        """A limit that is missing, inactive, or another kind of document refused a claim."""
        save_limit(store, "there", 1)
        save_limit(store, "off", 0, active=False)
        store.put("limitless", "other", {"slots": 0})
        assert take(store, make_claim("missing", "off", "there", "other")) == ("there",)
        assert take(store, make_claim("missing", "off")) == ()
        assert len(store.list_slots()) == 1

    def test_what_can_never_be_had_is_said(self, store: LimitStore) -> None:
        """A claim that can never succeed did not raise, so it would wait forever."""
        save_limit(store, "two", 2)
        with pytest.raises(ConfigurationError, match="'two': it has 2 slots in all"):
            store.take_slots(make_claim("two", occupy=3))
        with pytest.raises(ConfigurationError, match="'two': it has no decay"):
            store.take_slots(make_rate_claim("two"))
        assert store.list_slots() == []

    def test_what_is_given_back_is_free(self, store: LimitStore) -> None:
        """Slots leaked, or slots of other holders were freed."""
        save_limit(store, "a", 2)
        mine, other = make_claim("a"), make_claim("a")
        take(store, mine)
        take(store, other)
        store.give_back_slots([mine.token, "never-taken"])
        store.give_back_slots([mine.token])
        assert list_tokens(store.list_slots()) == [other.token]
        take(store, make_claim("a"))
        ask_in_vain(store, make_claim("a"))

    def test_the_slots_of_a_lease_that_ran_out_are_free(
        self, store: LimitStore, clock: StoreClock
    ) -> None:
        """The slots of a crashed holder on another host were never freed."""
        save_limit(store, "a", 1)
        dead = make_claim("a", seconds=10)
        take(store, dead)
        clock.advance(10)
        ask_in_vain(store, make_claim("a"))
        assert list_tokens(store.list_slots()) == [dead.token]
        clock.advance(1)
        assert store.list_slots() == []
        take(store, make_claim("a"))
        assert dead.token not in list_tokens(store.list_slots())

    def test_the_dead_are_reaped_once(self, store: LimitStore, clock: StoreClock) -> None:
        """`reap_slots` freed slots of a live holder, or returned a dead one twice."""
        save_limit(store, "a", 3)
        dead, alive = make_claim("a", seconds=10), make_claim("a", seconds=20)
        take(store, dead)
        take(store, alive)
        clock.advance(10)
        assert store.reap_slots() == []
        clock.advance(5)
        assert list_tokens(store.reap_slots()) == [dead.token]
        assert store.reap_slots() == []
        assert list_tokens(store.list_slots()) == [alive.token]

    def test_a_renewed_lease_lasts(self, store: LimitStore, clock: StoreClock) -> None:
        """A healthy holder lost its slots."""
        save_limit(store, "a", 1)
        save_limit(store, "b", 1)
        mine = make_claim("a", "b", seconds=10)
        take(store, mine)
        clock.advance(5)
        assert store.heartbeat([], 0.0, {mine.token: 30}).lost_slots == []
        until = clock.now + 30
        clock.advance(20)
        assert [slot.until for slot in store.list_slots()] == [until, until]
        ask_in_vain(store, make_claim("b"))

    def test_a_lost_lease_is_not_renewed(self, store: LimitStore, clock: StoreClock) -> None:
        """A holder that comes back must learn that it has lost its slots."""
        save_limit(store, "a", 1)
        mine, other = make_claim("a", seconds=10), make_claim("a", seconds=30)
        take(store, mine)
        clock.advance(20)
        take(store, other)
        renewed = store.heartbeat([], 0.0, {mine.token: 50, other.token: 99}).lost_slots
        assert renewed == [mine.token]
        (slot,) = store.list_slots()
        assert (slot.token, slot.until) == (other.token, clock.now + 99)

    def test_heartbeats_keep_slots(self, store: LimitStore, clock: StoreClock) -> None:
        """A heartbeat that was not written left too little time for the next one to be late."""
        save_limit(store, "a", 1)
        mine = make_claim("a", seconds=30)
        take(store, mine)
        for _ in range(45):
            clock.advance(1)
            assert store.heartbeat([], 0.0, {mine.token: 30}).lost_slots == []
            (slot,) = store.list_slots()
            assert 20 <= slot.until - clock.now <= 30

    def test_one_heartbeat_renews_runs_and_slots(
        self, store: LimitStore, clock: StoreClock
    ) -> None:
        """A process lost either its runs or its slots."""
        save_limit(store, "a", 2)
        run = lease_for(root_run(), 10.0)
        store.create(make_birth_event(run))
        mine, gone = make_claim("a", seconds=50), make_claim("a")
        take(store, mine)
        clock.advance(9)
        reply = store.heartbeat([fence(run)], 10.0, {mine.token: 90, gone.token: 90})
        assert reply == HeartbeatReply([], [gone.token])
        assert [slot.until - clock.now for slot in store.list_slots()] == [90]
        clock.advance(9)
        assert store.reap() == []
        asked = store.record(step(run, CANCELLING)[0])
        reply = store.heartbeat([fence(run)], 10.0, {mine.token: 90})
        assert reply == HeartbeatReply([asked], [])

    def test_everybody_may_say_what_they_serve(self, store: LimitStore) -> None:
        """The limit of serving processes did not exist, or admitted only one."""
        for _ in range(3):
            assert take(store, make_claim(SERVING)) == (SERVING,)
        assert {slot.limit for slot in store.list_slots()} == {SERVING}
        assert len(store.list_slots([SERVING])) == 3

    def test_a_lock_is_had_by_one_until_it_expires(
        self, store: LimitStore, clock: StoreClock
    ) -> None:
        """A lock without a saved limit admitted every process, or none ever again."""
        mine, other = make_claim(f"{LOCK}a", seconds=30), make_claim(f"{LOCK}a", seconds=30)
        assert take(store, mine) == (f"{LOCK}a",)
        take(store, make_claim(f"{LOCK}b"))
        assert ask_in_vain(store, other).held[0].token == mine.token
        clock.advance(20)
        assert store.heartbeat([], 0.0, {mine.token: 30}).lost_slots == []
        clock.advance(20)
        ask_in_vain(store, other)
        clock.advance(11)
        take(store, other)
        assert store.heartbeat([], 0.0, {mine.token: 30}).lost_slots == [mine.token]
        ask_in_vain(store, mine)
        store.give_back_slots([other.token])
        take(store, mine)

    def test_who_lost_slots_may_take_them_again(self, store: LimitStore, clock: StoreClock) -> None:
        """After an outage, a holder must be able to take its slots again with its old token."""
        save_limit(store, "a", 1)
        mine = make_claim("a", seconds=10)
        take(store, mine)
        clock.advance(20)
        store.reap_slots()
        assert take(store, mine._replace(seconds=50)) == ("a",)
        assert [slot.until for slot in store.list_slots()] == [clock.now + 50]

    def test_a_lowered_limit_kills_nobody(self, store: LimitStore) -> None:
        """Holders must keep their slots; new ones must wait until the lower limit has room."""
        save_limit(store, "a", 3)
        asked = [make_claim("a") for _ in range(3)]
        for each in asked:
            take(store, each)
        save_limit(store, "a", 1)
        assert len(store.list_slots()) == 3
        assert store.heartbeat([], 0.0, {each.token: 900.0 for each in asked}).lost_slots == []
        store.give_back_slots([asked[0].token, asked[1].token])
        ask_in_vain(store, make_claim("a"))
        store.give_back_slots([asked[2].token])
        take(store, make_claim("a"))

    def test_a_raised_or_deleted_limit_lets_in(self, store: LimitStore) -> None:
        """A repeated claim must see the current limit."""
        save_limit(store, "a", 1)
        first = make_claim("a")
        take(store, first)
        waiter = make_claim("a")
        ask_in_vain(store, waiter)
        save_limit(store, "a", 2)
        take(store, waiter)
        ask_in_vain(store, make_claim("a"))
        store.delete(KIND, "a")
        assert take(store, make_claim("a")) == ()
        assert sorted(list_tokens(store.list_slots())) == sorted([first.token, waiter.token])

    def test_a_rate_decays(self, store: LimitStore, clock: StoreClock) -> None:
        """A rate limit must admit its slots at once, and then only as many as decay."""
        made = save_limit(store, "api", 2, decay=4.0)
        take(store, make_rate_claim("api"))
        take(store, make_rate_claim("api"))
        told = ask_in_vain(store, make_rate_claim("api"))
        assert told.seconds == pytest.approx(0.25)
        clock.advance(0.2)
        ask_in_vain(store, make_rate_claim("api"))
        clock.advance(0.05)
        take(store, make_rate_claim("api"))
        told = ask_in_vain(store, make_rate_claim("api", occupy=2))
        assert told.seconds == pytest.approx(0.5)
        assert store.count_slots([made.name]) == {made.name: pytest.approx(2)}
        clock.advance(0.25)
        assert store.count_slots([made.name]) == {made.name: pytest.approx(1)}
        clock.advance(9)
        assert store.count_slots([made.name]) == {made.name: 0}

    def test_a_rate_goes_on_when_its_holder_is_gone(
        self, store: LimitStore, clock: StoreClock
    ) -> None:
        """Used slots must decay by themselves, regardless of leases and of the holder's end."""
        save_limit(store, "api", 1, decay=0.1)
        gone = make_rate_claim("api")._replace(seconds=1)
        take(store, gone)
        clock.advance(5)
        assert store.reap_slots() == []
        ask_in_vain(store, make_rate_claim("api"))
        clock.advance(5.1)
        take(store, make_rate_claim("api"))

    def test_what_is_held_counts_with_a_rate(self, store: LimitStore, clock: StoreClock) -> None:
        """Slots of a limit that are held and slots that are used up must count together."""
        save_limit(store, "api", 2, decay=1.0)
        held = make_claim("api", seconds=1000.0)
        take(store, held)
        take(store, make_rate_claim("api"))
        assert ask_in_vain(store, make_claim("api")).seconds == pytest.approx(1.0)
        clock.advance(1)
        take(store, make_rate_claim("api"))
        ask_in_vain(store, make_rate_claim("api"))
        store.give_back_slots([held.token])
        take(store, make_rate_claim("api"))

    def test_who_has_waited_for_long_goes_first(self, store: LimitStore, clock: StoreClock) -> None:
        """A process that takes slots repeatedly starved the others."""
        save_limit(store, "a", 1)
        greedy = make_claim("a", holder="greedy/1/mark")
        patient = make_claim("a")
        take(store, greedy)
        ask_in_vain(store, patient)
        clock.advance(GIVES_WAY + 0.9)
        ask_in_vain(store, patient._replace(waited=GIVES_WAY + 0.9))
        clock.advance(0.1)
        store.give_back_slots([greedy.token])
        again = make_claim("a", holder="greedy/1/mark")
        assert ask_in_vain(store, again).held == ()
        take(store, patient._replace(waited=GIVES_WAY + 1))
        store.give_back_slots([patient.token])
        take(store, again)

    def test_who_asks_no_more_keeps_nobody_out(self, store: LimitStore, clock: StoreClock) -> None:
        """A waiting process that has exited blocked the limit."""
        save_limit(store, "a", 1)
        first = make_claim("a", holder="greedy/1/mark")
        take(store, first)
        ask_in_vain(store, make_claim("a"))
        clock.advance(GIVES_WAY)
        ask_in_vain(store, make_claim("a", waited=GIVES_WAY))
        store.give_back_slots([first.token])
        clock.advance(REMEMBERED)
        take(store, make_claim("a", holder="greedy/1/mark"))

    def test_slots_are_listed_by_limits_and_in_pages(
        self, store: LimitStore, clock: StoreClock
    ) -> None:
        """A page began with the last slot of the previous one, or had slots of other limits."""
        for name in "abc":
            save_limit(store, name, 3)
        for name in "cab" * 2:
            take(store, make_claim(name))
            clock.advance(1)
        every = store.list_slots()
        assert [slot.limit for slot in every] == ["a", "a", "b", "b", "c", "c"]
        assert store.list_slots(["c", "none", "a"]) == [*every[:2], *every[4:]]
        assert store.list_slots([]) == []
        pages = [store.list_slots(limit=4)]
        pages.append(store.list_slots(after=pages[0][-1], limit=4))
        assert pages == [every[:4], every[4:]]
        assert store.list_slots(["a", "b"], after=every[0], limit=1) == [every[1]]

    def test_of_many_askers_as_many_as_fit_get_in(self, store: LimitStore) -> None:
        """Two threads took the same free slot: counting and taking are not atomic."""
        save_limit(store, "a", 3)
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: store.take_slots(make_claim("a")), range(24)))
        assert sum(not isinstance(answer, Refusal) for answer in answers) == 3
        assert len(store.list_slots()) == 3
