"""What every `SlotStore` does."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

import pytest

from flowstone.errors import ConfigurationError
from flowstone.ports import DocumentStore
from flowstone.ports.slots import SlotStore
from flowstone.records.ids import new_id
from flowstone.records.limits import (
    GIVES_WAY,
    KIND,
    REMEMBERED,
    Claim,
    Limit,
    Refusal,
    in_use,
    limit_body,
)
from flowstone_testing.conformance.suite import Suite

if TYPE_CHECKING:
    from flowstone.records.limits import Slot

#: The holder of the samples: on another host, so that only its lease counts.
ELSEWHERE = "elsewhere/4711/mark"
NOW = 1000.0


class LimitStore(DocumentStore, SlotStore, Protocol):
    """Slots, and beside them the documents that the limits are."""


def limit(store: LimitStore, name: str, slots: int, decay: float = 0.0, **facts: bool) -> Limit:
    """Save a limit, and return it."""
    made = Limit(name, slots, slot_decay_per_second=decay, **facts)
    store.put(KIND, name, limit_body(made))
    return made


def claim(*names: str, occupy: int = 1, until: float = 1300.0, holder: str = ELSEWHERE) -> Claim:
    """Return a claim under a token of its own."""
    token = new_id()
    return Claim(token, names, occupy, holder, f"run-{token[-5:]}", token, until, NOW)


def rate(*names: str, occupy: int = 1) -> Claim:
    """Return a claim of slots that decay."""
    return claim(*names, occupy=occupy)._replace(is_rate=True)


def taken(store: LimitStore, asked: Claim, now: float = NOW) -> tuple[str, ...]:
    """Take slots that must be there; return the names of their limits."""
    answer = store.take_slots(asked, now)
    assert not isinstance(answer, Refusal), str(answer)
    return answer


def refused(store: LimitStore, asked: Claim, now: float = NOW) -> Refusal:
    """Ask for slots that must not be there; return why."""
    answer = store.take_slots(asked, now)
    assert isinstance(answer, Refusal), f"taken: {answer}"
    return answer


def tokens(slots: list[Slot]) -> list[str]:
    return [slot.token for slot in slots]


class SlotStoreSuite(Suite):
    """Join by a subclass with the fixture `store`: empty, fresh, and closed after.

    It keeps documents, too.
    """

    def test_slots_are_taken_up_to_the_limit(self, store: LimitStore) -> None:
        """One more, or one less, was let in than the limit has slots."""
        limit(store, "db", 3)
        asked = [claim("db") for _ in range(3)]
        assert [taken(store, each) for each in asked] == [("db",)] * 3
        told = refused(store, claim("db"))
        assert (told.limit.name, told.limit.slots, told.occupy) == ("db", 3, 1)
        assert sorted(tokens(list(told.held))) == sorted(each.token for each in asked)
        assert told.seconds is None

    def test_several_slots_count_as_several(self, store: LimitStore) -> None:
        """`occupy` was counted as one."""
        made = limit(store, "db", 5)
        taken(store, claim("db", occupy=3))
        refused(store, claim("db", occupy=3))
        taken(store, claim("db", occupy=2))
        assert in_use(made, store.held_slots(NOW), NOW) == 5

    def test_a_lease_reads_back_as_it_was_taken(self, store: LimitStore) -> None:
        """People see who holds what, since when and until when."""
        limit(store, "db", 5)
        asked = claim("db", occupy=2)._replace(owner="naïve 🪨", run_id=None)
        taken(store, asked)
        (slot,) = store.held_slots(NOW)
        assert (slot.limit, slot.token, slot.occupy) == ("db", asked.token, 2)
        assert (slot.holder, slot.owner, slot.run_id) == (ELSEWHERE, "naïve 🪨", None)
        assert (slot.since, slot.until, slot.is_rate) == (NOW, 1300.0, False)

    def test_all_or_none(self, store: LimitStore) -> None:
        """Of several limits some were taken although one was full: two such claims lock up."""
        limit(store, "a", 1)
        limit(store, "b", 1)
        first = claim("b")
        taken(store, first)
        assert refused(store, claim("a", "b")).limit.name == "b"
        assert tokens(store.held_slots(NOW)) == [first.token]
        store.give_back_slots([first.token])
        assert taken(store, claim("b", "a")) == ("a", "b")
        assert [slot.limit for slot in store.held_slots(NOW)] == ["a", "b"]

    def test_a_claim_again_changes_nothing(self, store: LimitStore) -> None:
        """A claim that was sent again, as its answer was lost, took slots twice."""
        limit(store, "a", 2)
        asked = claim("a")
        assert taken(store, asked) == taken(store, asked, NOW + 1) == ("a",)
        assert [slot.since for slot in store.held_slots(NOW)] == [NOW]

    def test_only_limits_that_are_there_count(self, store: LimitStore) -> None:
        """A limit that is missing, inactive, or another kind of document, kept somebody out."""
        limit(store, "there", 1)
        limit(store, "off", 0, active=False)
        store.put("limitless", "other", {"slots": 0})
        assert taken(store, claim("missing", "off", "there", "other")) == ("there",)
        assert taken(store, claim("missing", "off")) == ()
        assert len(store.held_slots(NOW)) == 1

    def test_what_can_never_be_had_is_said(self, store: LimitStore) -> None:
        """Somebody would have waited for ever."""
        limit(store, "two", 2)
        with pytest.raises(ConfigurationError, match="'two': it has 2 slots in all"):
            store.take_slots(claim("two", occupy=3), NOW)
        with pytest.raises(ConfigurationError, match="'two': it has no decay"):
            store.take_slots(rate("two"), NOW)
        assert store.held_slots(NOW) == []

    def test_what_is_given_back_is_free(self, store: LimitStore) -> None:
        """Slots leaked, or those of others were freed."""
        limit(store, "a", 2)
        mine, other = claim("a"), claim("a")
        taken(store, mine)
        taken(store, other)
        store.give_back_slots([mine.token, "never-taken"])
        store.give_back_slots([mine.token])
        assert tokens(store.held_slots(NOW)) == [other.token]
        taken(store, claim("a"))
        refused(store, claim("a"))

    def test_the_slots_of_a_lease_that_ran_out_are_free(self, store: LimitStore) -> None:
        """Somebody crashed out of sight: his slots were held for ever."""
        limit(store, "a", 1)
        dead = claim("a", until=NOW + 10)
        taken(store, dead)
        refused(store, claim("a"), NOW + 10)
        assert tokens(store.held_slots(NOW + 10)) == [dead.token]
        assert store.held_slots(NOW + 11) == []
        taken(store, claim("a"), NOW + 11)
        assert dead.token not in tokens(store.held_slots(NOW + 11))

    def test_the_dead_are_reaped_once(self, store: LimitStore) -> None:
        """`reap_slots` took the living, or told of the dead again."""
        limit(store, "a", 3)
        dead, alive = claim("a", until=NOW + 10), claim("a", until=NOW + 20)
        taken(store, dead)
        taken(store, alive)
        assert store.reap_slots(NOW + 10) == []
        assert tokens(store.reap_slots(NOW + 15)) == [dead.token]
        assert store.reap_slots(NOW + 15) == []
        assert tokens(store.held_slots(NOW + 15)) == [alive.token]

    def test_a_renewed_lease_lasts(self, store: LimitStore) -> None:
        """A healthy holder lost its slots."""
        limit(store, "a", 1)
        limit(store, "b", 1)
        mine = claim("a", "b", until=NOW + 10)
        taken(store, mine)
        assert store.renew_slots({mine.token: NOW + 30}) == []
        assert [slot.until for slot in store.held_slots(NOW + 20)] == [NOW + 30, NOW + 30]
        refused(store, claim("b"), NOW + 20)

    def test_a_lost_lease_is_not_renewed(self, store: LimitStore) -> None:
        """Who comes back from the dead must learn that his slots are another's."""
        limit(store, "a", 1)
        mine, other = claim("a", until=NOW + 10), claim("a", until=NOW + 90)
        taken(store, mine)
        taken(store, other, NOW + 20)
        renewed = store.renew_slots({mine.token: NOW + 50, other.token: NOW + 99})
        assert renewed == [mine.token]
        (slot,) = store.held_slots(NOW + 30)
        assert (slot.token, slot.until) == (other.token, NOW + 99)

    def test_who_lost_slots_may_take_them_again(self, store: LimitStore) -> None:
        """After an outage a holder takes its slots again, under its old token."""
        limit(store, "a", 1)
        mine = claim("a", until=NOW + 10)
        taken(store, mine)
        store.reap_slots(NOW + 20)
        assert taken(store, mine._replace(until=NOW + 50), NOW + 20) == ("a",)
        assert [slot.until for slot in store.held_slots(NOW + 30)] == [NOW + 50]

    def test_a_lowered_limit_kills_nobody(self, store: LimitStore) -> None:
        """Holders stay; nobody new comes in until there is room under the new number."""
        limit(store, "a", 3)
        asked = [claim("a") for _ in range(3)]
        for each in asked:
            taken(store, each)
        limit(store, "a", 1)
        assert len(store.held_slots(NOW)) == 3
        assert store.renew_slots({each.token: 2000.0 for each in asked}) == []
        store.give_back_slots([asked[0].token, asked[1].token])
        refused(store, claim("a"))
        store.give_back_slots([asked[2].token])
        taken(store, claim("a"))

    def test_a_raised_or_deleted_limit_lets_in(self, store: LimitStore) -> None:
        """A waiter asks again, and must see the limit as it is now."""
        limit(store, "a", 1)
        first = claim("a")
        taken(store, first)
        waiter = claim("a")
        refused(store, waiter)
        limit(store, "a", 2)
        taken(store, waiter)
        refused(store, claim("a"))
        store.delete(KIND, "a")
        assert taken(store, claim("a")) == ()
        assert sorted(tokens(store.held_slots(NOW))) == sorted([first.token, waiter.token])

    def test_a_rate_decays(self, store: LimitStore) -> None:
        """So many at once, and after that so many in each second."""
        made = limit(store, "api", 2, decay=4.0)
        taken(store, rate("api"))
        taken(store, rate("api"))
        told = refused(store, rate("api"))
        assert told.seconds == pytest.approx(0.25)
        refused(store, rate("api"), NOW + 0.2)
        taken(store, rate("api"), NOW + 0.25)
        assert refused(store, rate("api", occupy=2), NOW + 0.25).seconds == pytest.approx(0.5)
        assert in_use(made, store.held_slots(NOW + 0.25), NOW + 0.25) == pytest.approx(2)
        assert in_use(made, store.held_slots(NOW + 0.5), NOW + 0.5) == pytest.approx(1)
        assert in_use(made, store.held_slots(NOW + 9), NOW + 9) == 0

    def test_a_rate_goes_on_when_its_holder_is_gone(self, store: LimitStore) -> None:
        """What was used up decays by itself: no lease, no death makes it sooner or later."""
        limit(store, "api", 1, decay=0.1)
        gone = rate("api")._replace(until=NOW + 1)
        taken(store, gone)
        assert store.reap_slots(NOW + 5) == []
        refused(store, rate("api"), NOW + 5)
        taken(store, rate("api"), NOW + 10.1)

    def test_what_is_held_counts_with_a_rate(self, store: LimitStore) -> None:
        """Of one limit some are held, and some used up: they are the same slots."""
        limit(store, "api", 2, decay=1.0)
        held = claim("api", until=2000.0)
        taken(store, held)
        taken(store, rate("api"))
        assert refused(store, claim("api")).seconds == pytest.approx(1.0)
        taken(store, rate("api"), NOW + 1)
        refused(store, rate("api"), NOW + 1)
        store.give_back_slots([held.token])
        taken(store, rate("api"), NOW + 1)

    def test_who_has_waited_for_long_goes_first(self, store: LimitStore) -> None:
        """A process that takes slots again and again starved the others."""
        limit(store, "a", 1)
        greedy = claim("a", holder="greedy/1/mark")
        patient = claim("a")._replace(since=NOW)
        taken(store, greedy)
        later = NOW + GIVES_WAY + 1
        refused(store, patient, NOW)
        refused(store, patient, later - 0.1)
        store.give_back_slots([greedy.token])
        again = claim("a", holder="greedy/1/mark")._replace(since=later)
        assert refused(store, again, later).held == ()
        taken(store, patient, later)
        store.give_back_slots([patient.token])
        taken(store, again, later)

    def test_who_asks_no_more_keeps_nobody_out(self, store: LimitStore) -> None:
        """A process that has waited, and is gone, blocked the limit."""
        limit(store, "a", 1)
        first = claim("a", holder="greedy/1/mark")
        taken(store, first)
        refused(store, claim("a"), NOW)
        refused(store, claim("a")._replace(since=NOW), NOW + GIVES_WAY)
        store.give_back_slots([first.token])
        later = NOW + GIVES_WAY + REMEMBERED
        taken(store, claim("a", holder="greedy/1/mark")._replace(since=later), later)

    def test_of_many_askers_as_many_as_fit_get_in(self, store: LimitStore) -> None:
        """Two threads saw the same free slot: the count and the taking are not one."""
        limit(store, "a", 3)
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: store.take_slots(claim("a"), NOW), range(24)))
        assert sum(not isinstance(answer, Refusal) for answer in answers) == 3
        assert len(store.held_slots(NOW)) == 3
