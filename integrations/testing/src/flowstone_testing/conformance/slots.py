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
    count_used,
    encode_limit,
)
from flowstone_testing.conformance.suite import Suite

if TYPE_CHECKING:
    from flowstone.records.limits import Slot

#: The holder of the samples: on another host, so that only its lease counts.
ELSEWHERE = "elsewhere/4711/mark"
NOW = 1000.0


class LimitStore(DocumentStore, SlotStore, Protocol):
    """Slots, and beside them the documents that the limits are."""


def save_limit(
    store: LimitStore, name: str, slots: int, decay: float = 0.0, **facts: bool
) -> Limit:
    """Save a limit, and return it."""
    made = Limit(name, slots, slot_decay_per_second=decay, **facts)
    store.put(KIND, name, encode_limit(made))
    return made


def make_claim(
    *names: str, occupy: int = 1, until: float = 1300.0, holder: str = ELSEWHERE
) -> Claim:
    """Return a claim under a token of its own."""
    token = new_id()
    return Claim(token, names, occupy, holder, f"run-{token[-5:]}", token, until, NOW)


def make_rate_claim(*names: str, occupy: int = 1) -> Claim:
    """Return a claim of slots that decay."""
    return make_claim(*names, occupy=occupy)._replace(is_rate=True)


def take(store: LimitStore, asked: Claim, now: float = NOW) -> tuple[str, ...]:
    """Take slots that must be there; return the names of their limits."""
    answer = store.take_slots(asked, now)
    assert not isinstance(answer, Refusal), str(answer)
    return answer


def ask_in_vain(store: LimitStore, asked: Claim, now: float = NOW) -> Refusal:
    """Ask for slots that must not be there; return why."""
    answer = store.take_slots(asked, now)
    assert isinstance(answer, Refusal), f"taken: {answer}"
    return answer


def list_tokens(slots: list[Slot]) -> list[str]:
    return [slot.token for slot in slots]


class SlotStoreSuite(Suite):
    """Join by a subclass with the fixture `store`: empty, fresh, and closed after.

    It keeps documents, too.
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
        assert count_used(made, store.list_slots(NOW), NOW) == 5

    def test_a_lease_reads_back_as_it_was_taken(self, store: LimitStore) -> None:
        """People see who holds what, since when and until when."""
        save_limit(store, "db", 5)
        asked = make_claim("db", occupy=2)._replace(owner="naïve 🪨", run_id=None)
        take(store, asked)
        (slot,) = store.list_slots(NOW)
        assert (slot.limit, slot.token, slot.occupy) == ("db", asked.token, 2)
        assert (slot.holder, slot.owner, slot.run_id) == (ELSEWHERE, "naïve 🪨", None)
        assert (slot.since, slot.until, slot.is_rate) == (NOW, 1300.0, False)

    def test_all_or_none(self, store: LimitStore) -> None:
        """Of several limits some were taken although one was full: two such claims lock up."""
        save_limit(store, "a", 1)
        save_limit(store, "b", 1)
        first = make_claim("b")
        take(store, first)
        assert ask_in_vain(store, make_claim("a", "b")).limit.name == "b"
        assert list_tokens(store.list_slots(NOW)) == [first.token]
        store.give_back_slots([first.token])
        assert take(store, make_claim("b", "a")) == ("a", "b")
        assert [slot.limit for slot in store.list_slots(NOW)] == ["a", "b"]

    def test_a_claim_again_changes_nothing(self, store: LimitStore) -> None:
        """A claim that was sent again, as its answer was lost, took slots twice."""
        save_limit(store, "a", 2)
        asked = make_claim("a")
        assert take(store, asked) == take(store, asked, NOW + 1) == ("a",)
        assert [slot.since for slot in store.list_slots(NOW)] == [NOW]

    def test_only_limits_that_are_there_count(self, store: LimitStore) -> None:
        """A limit that is missing, inactive, or another kind of document, kept somebody out."""
        save_limit(store, "there", 1)
        save_limit(store, "off", 0, active=False)
        store.put("limitless", "other", {"slots": 0})
        assert take(store, make_claim("missing", "off", "there", "other")) == ("there",)
        assert take(store, make_claim("missing", "off")) == ()
        assert len(store.list_slots(NOW)) == 1

    def test_what_can_never_be_had_is_said(self, store: LimitStore) -> None:
        """Somebody would have waited for ever."""
        save_limit(store, "two", 2)
        with pytest.raises(ConfigurationError, match="'two': it has 2 slots in all"):
            store.take_slots(make_claim("two", occupy=3), NOW)
        with pytest.raises(ConfigurationError, match="'two': it has no decay"):
            store.take_slots(make_rate_claim("two"), NOW)
        assert store.list_slots(NOW) == []

    def test_what_is_given_back_is_free(self, store: LimitStore) -> None:
        """Slots leaked, or those of others were freed."""
        save_limit(store, "a", 2)
        mine, other = make_claim("a"), make_claim("a")
        take(store, mine)
        take(store, other)
        store.give_back_slots([mine.token, "never-taken"])
        store.give_back_slots([mine.token])
        assert list_tokens(store.list_slots(NOW)) == [other.token]
        take(store, make_claim("a"))
        ask_in_vain(store, make_claim("a"))

    def test_the_slots_of_a_lease_that_ran_out_are_free(self, store: LimitStore) -> None:
        """Somebody crashed out of sight: his slots were held for ever."""
        save_limit(store, "a", 1)
        dead = make_claim("a", until=NOW + 10)
        take(store, dead)
        ask_in_vain(store, make_claim("a"), NOW + 10)
        assert list_tokens(store.list_slots(NOW + 10)) == [dead.token]
        assert store.list_slots(NOW + 11) == []
        take(store, make_claim("a"), NOW + 11)
        assert dead.token not in list_tokens(store.list_slots(NOW + 11))

    def test_the_dead_are_reaped_once(self, store: LimitStore) -> None:
        """`reap_slots` took the living, or told of the dead again."""
        save_limit(store, "a", 3)
        dead, alive = make_claim("a", until=NOW + 10), make_claim("a", until=NOW + 20)
        take(store, dead)
        take(store, alive)
        assert store.reap_slots(NOW + 10) == []
        assert list_tokens(store.reap_slots(NOW + 15)) == [dead.token]
        assert store.reap_slots(NOW + 15) == []
        assert list_tokens(store.list_slots(NOW + 15)) == [alive.token]

    def test_a_renewed_lease_lasts(self, store: LimitStore) -> None:
        """A healthy holder lost its slots."""
        save_limit(store, "a", 1)
        save_limit(store, "b", 1)
        mine = make_claim("a", "b", until=NOW + 10)
        take(store, mine)
        assert store.renew_slots({mine.token: NOW + 30}) == []
        assert [slot.until for slot in store.list_slots(NOW + 20)] == [NOW + 30, NOW + 30]
        ask_in_vain(store, make_claim("b"), NOW + 20)

    def test_a_lost_lease_is_not_renewed(self, store: LimitStore) -> None:
        """Who comes back from the dead must learn that his slots are another's."""
        save_limit(store, "a", 1)
        mine, other = make_claim("a", until=NOW + 10), make_claim("a", until=NOW + 90)
        take(store, mine)
        take(store, other, NOW + 20)
        renewed = store.renew_slots({mine.token: NOW + 50, other.token: NOW + 99})
        assert renewed == [mine.token]
        (slot,) = store.list_slots(NOW + 30)
        assert (slot.token, slot.until) == (other.token, NOW + 99)

    def test_who_lost_slots_may_take_them_again(self, store: LimitStore) -> None:
        """After an outage a holder takes its slots again, under its old token."""
        save_limit(store, "a", 1)
        mine = make_claim("a", until=NOW + 10)
        take(store, mine)
        store.reap_slots(NOW + 20)
        assert take(store, mine._replace(until=NOW + 50), NOW + 20) == ("a",)
        assert [slot.until for slot in store.list_slots(NOW + 30)] == [NOW + 50]

    def test_a_lowered_limit_kills_nobody(self, store: LimitStore) -> None:
        """Holders stay; nobody new comes in until there is room under the new number."""
        save_limit(store, "a", 3)
        asked = [make_claim("a") for _ in range(3)]
        for each in asked:
            take(store, each)
        save_limit(store, "a", 1)
        assert len(store.list_slots(NOW)) == 3
        assert store.renew_slots({each.token: 2000.0 for each in asked}) == []
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
        assert sorted(list_tokens(store.list_slots(NOW))) == sorted([first.token, waiter.token])

    def test_a_rate_decays(self, store: LimitStore) -> None:
        """So many at once, and after that so many in each second."""
        made = save_limit(store, "api", 2, decay=4.0)
        take(store, make_rate_claim("api"))
        take(store, make_rate_claim("api"))
        told = ask_in_vain(store, make_rate_claim("api"))
        assert told.seconds == pytest.approx(0.25)
        ask_in_vain(store, make_rate_claim("api"), NOW + 0.2)
        take(store, make_rate_claim("api"), NOW + 0.25)
        assert ask_in_vain(
            store, make_rate_claim("api", occupy=2), NOW + 0.25
        ).seconds == pytest.approx(0.5)
        assert count_used(made, store.list_slots(NOW + 0.25), NOW + 0.25) == pytest.approx(2)
        assert count_used(made, store.list_slots(NOW + 0.5), NOW + 0.5) == pytest.approx(1)
        assert count_used(made, store.list_slots(NOW + 9), NOW + 9) == 0

    def test_a_rate_goes_on_when_its_holder_is_gone(self, store: LimitStore) -> None:
        """What was used up decays by itself: no lease, no death makes it sooner or later."""
        save_limit(store, "api", 1, decay=0.1)
        gone = make_rate_claim("api")._replace(until=NOW + 1)
        take(store, gone)
        assert store.reap_slots(NOW + 5) == []
        ask_in_vain(store, make_rate_claim("api"), NOW + 5)
        take(store, make_rate_claim("api"), NOW + 10.1)

    def test_what_is_held_counts_with_a_rate(self, store: LimitStore) -> None:
        """Of one limit some are held, and some used up: they are the same slots."""
        save_limit(store, "api", 2, decay=1.0)
        held = make_claim("api", until=2000.0)
        take(store, held)
        take(store, make_rate_claim("api"))
        assert ask_in_vain(store, make_claim("api")).seconds == pytest.approx(1.0)
        take(store, make_rate_claim("api"), NOW + 1)
        ask_in_vain(store, make_rate_claim("api"), NOW + 1)
        store.give_back_slots([held.token])
        take(store, make_rate_claim("api"), NOW + 1)

    def test_who_has_waited_for_long_goes_first(self, store: LimitStore) -> None:
        """A process that takes slots again and again starved the others."""
        save_limit(store, "a", 1)
        greedy = make_claim("a", holder="greedy/1/mark")
        patient = make_claim("a")._replace(since=NOW)
        take(store, greedy)
        later = NOW + GIVES_WAY + 1
        ask_in_vain(store, patient, NOW)
        ask_in_vain(store, patient, later - 0.1)
        store.give_back_slots([greedy.token])
        again = make_claim("a", holder="greedy/1/mark")._replace(since=later)
        assert ask_in_vain(store, again, later).held == ()
        take(store, patient, later)
        store.give_back_slots([patient.token])
        take(store, again, later)

    def test_who_asks_no_more_keeps_nobody_out(self, store: LimitStore) -> None:
        """A process that has waited, and is gone, blocked the limit."""
        save_limit(store, "a", 1)
        first = make_claim("a", holder="greedy/1/mark")
        take(store, first)
        ask_in_vain(store, make_claim("a"), NOW)
        ask_in_vain(store, make_claim("a")._replace(since=NOW), NOW + GIVES_WAY)
        store.give_back_slots([first.token])
        later = NOW + GIVES_WAY + REMEMBERED
        take(store, make_claim("a", holder="greedy/1/mark")._replace(since=later), later)

    def test_of_many_askers_as_many_as_fit_get_in(self, store: LimitStore) -> None:
        """Two threads saw the same free slot: the count and the taking are not one."""
        save_limit(store, "a", 3)
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: store.take_slots(make_claim("a"), NOW), range(24)))
        assert sum(not isinstance(answer, Refusal) for answer in answers) == 3
        assert len(store.list_slots(NOW)) == 3
