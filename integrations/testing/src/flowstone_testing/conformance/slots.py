"""What every `SlotStore` does."""

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

#: The holder of the samples: on another host, so that only its lease counts.
ELSEWHERE = "elsewhere/4711/mark"


class LimitStore(RunStore, DocumentStore, SlotStore, Protocol):
    """Slots, and beside them the documents that the limits are, and the runs that hold them."""


def save_limit(
    store: LimitStore, name: str, slots: int, decay: float = 0.0, **facts: bool
) -> Limit:
    """Save a limit, and return it."""
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
    """Return a claim under a token of its own."""
    token = new_id()
    return Claim(token, names, occupy, holder, f"run-{token[-5:]}", token, seconds, waited)


def make_rate_claim(*names: str, occupy: int = 1) -> Claim:
    """Return a claim of slots that decay."""
    return make_claim(*names, occupy=occupy)._replace(is_rate=True)


def take(store: LimitStore, asked: Claim) -> tuple[str, ...]:
    """Take slots that must be there; return the names of their limits."""
    answer = store.take_slots(asked)
    assert not isinstance(answer, Refusal), str(answer)
    return answer


def ask_in_vain(store: LimitStore, asked: Claim) -> Refusal:
    """Ask for slots that must not be there; return why."""
    answer = store.take_slots(asked)
    assert isinstance(answer, Refusal), f"taken: {answer}"
    return answer


def list_tokens(slots: list[Slot]) -> list[str]:
    return [slot.token for slot in slots]


class SlotStoreSuite(ClockedSuite):
    """Join by a subclass with the fixture `store`: empty, fresh, and closed after.

    It stores documents, too, and has to use the fixture `clock`.
    """

    def test_slots_are_taken_up_to_the_limit(self, store: LimitStore) -> None:
        """One more, or one less, was let in than the limit has slots."""
        save_limit(store, "db", 3)
        asked = [make_claim("db") for _ in range(3)]
        assert [take(store, each) for each in asked] == [("db",)] * 3
        told = ask_in_vain(store, make_claim("db"))
        assert (told.limit.name, told.limit.slots, told.occupy) == ("db", 3, 1)
        assert sorted(list_tokens(list(told.held))) == sorted(each.token for each in asked)
        assert told.seconds is None

    def test_several_slots_count_as_several(self, store: LimitStore) -> None:
        """`occupy` was counted as one."""
        made = save_limit(store, "db", 5)
        take(store, make_claim("db", occupy=3))
        ask_in_vain(store, make_claim("db", occupy=3))
        take(store, make_claim("db", occupy=2))
        assert store.count_slots([made.name, "none"]) == {made.name: 5}

    def test_a_lease_reads_back_as_it_was_taken(self, store: LimitStore, clock: StoreClock) -> None:
        """People see who holds what, since when and until when."""
        save_limit(store, "db", 5)
        asked = make_claim("db", occupy=2)._replace(owner="naïve 🪨", run_id=None)
        take(store, asked)
        (slot,) = store.list_slots()
        assert (slot.limit, slot.token, slot.occupy) == ("db", asked.token, 2)
        assert (slot.holder, slot.owner, slot.run_id) == (ELSEWHERE, "naïve 🪨", None)
        assert (slot.since, slot.until, slot.is_rate) == (clock.now, clock.now + 300.0, False)

    def test_all_or_none(self, store: LimitStore) -> None:
        """Of several limits some were taken although one was full: two such claims lock up."""
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
        """A claim that was sent again, as its answer was lost, took slots twice."""
        save_limit(store, "a", 2)
        asked = make_claim("a")
        begun = clock.now
        assert take(store, asked) == ("a",)
        clock.advance(1)
        assert take(store, asked) == ("a",)
        assert [slot.since for slot in store.list_slots()] == [begun]

    def test_only_limits_that_are_there_count(self, store: LimitStore) -> None:
        """A limit that is missing, inactive, or another kind of document, kept somebody out."""
        save_limit(store, "there", 1)
        save_limit(store, "off", 0, active=False)
        store.put("limitless", "other", {"slots": 0})
        assert take(store, make_claim("missing", "off", "there", "other")) == ("there",)
        assert take(store, make_claim("missing", "off")) == ()
        assert len(store.list_slots()) == 1

    def test_what_can_never_be_had_is_said(self, store: LimitStore) -> None:
        """Somebody would have waited for ever."""
        save_limit(store, "two", 2)
        with pytest.raises(ConfigurationError, match="'two': it has 2 slots in all"):
            store.take_slots(make_claim("two", occupy=3))
        with pytest.raises(ConfigurationError, match="'two': it has no decay"):
            store.take_slots(make_rate_claim("two"))
        assert store.list_slots() == []

    def test_what_is_given_back_is_free(self, store: LimitStore) -> None:
        """Slots leaked, or those of others were freed."""
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
        """Somebody crashed out of sight: his slots were held for ever."""
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
        """`reap_slots` took the living, or told of the dead again."""
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
        """Who comes back from the dead must learn that his slots are another's."""
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
        """A heartbeat that need not write left too little for the next one to come late."""
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
        """Of what a process holds, either its runs or its slots were lost."""
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
        """The limit of those who serve was not there, or let in only one."""
        for _ in range(3):
            assert take(store, make_claim(SERVING)) == (SERVING,)
        assert {slot.limit for slot in store.list_slots()} == {SERVING}
        assert len(store.list_slots([SERVING])) == 3

    def test_a_lock_is_had_by_one_until_it_expires(
        self, store: LimitStore, clock: StoreClock
    ) -> None:
        """A lock that nobody has saved as a limit let everybody in, or nobody ever again."""
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
        """After an outage a holder takes its slots again, under its old token."""
        save_limit(store, "a", 1)
        mine = make_claim("a", seconds=10)
        take(store, mine)
        clock.advance(20)
        store.reap_slots()
        assert take(store, mine._replace(seconds=50)) == ("a",)
        assert [slot.until for slot in store.list_slots()] == [clock.now + 50]

    def test_a_lowered_limit_kills_nobody(self, store: LimitStore) -> None:
        """Holders stay; nobody new comes in until there is room under the new number."""
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
        """A waiter asks again, and must see the limit as it is now."""
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
        """So many at once, and after that so many in each second."""
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
        """What was used up decays by itself: no lease, no death makes it sooner or later."""
        save_limit(store, "api", 1, decay=0.1)
        gone = make_rate_claim("api")._replace(seconds=1)
        take(store, gone)
        clock.advance(5)
        assert store.reap_slots() == []
        ask_in_vain(store, make_rate_claim("api"))
        clock.advance(5.1)
        take(store, make_rate_claim("api"))

    def test_what_is_held_counts_with_a_rate(self, store: LimitStore, clock: StoreClock) -> None:
        """Of one limit some are held, and some used up: they are the same slots."""
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
        """A process that takes slots again and again starved the others."""
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
        """A process that has waited, and is gone, blocked the limit."""
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
        """A page began with the last of the one before, or had what nobody asked for."""
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
        """Two threads saw the same free slot: the count and the taking are not one."""
        save_limit(store, "a", 3)
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: store.take_slots(make_claim("a")), range(24)))
        assert sum(not isinstance(answer, Refusal) for answer in answers) == 3
        assert len(store.list_slots()) == 3
