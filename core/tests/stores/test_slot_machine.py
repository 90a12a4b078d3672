"""Slots under whatever is done to them: in use are the leases alive, and never more than may be."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from flowstone.errors import ConfigurationError, ObjectNotFound
from flowstone.records.limits import KIND, Limit, Refusal, count_used, encode_limit
from flowstone.stores.memory import MemoryStore
from flowstone.stores.rules import is_due
from flowstone.stores.sqlite import open_sqlite
from flowstone_testing.conformance.slots import make_claim

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowstone.records.limits import Claim
    from flowstone_testing.conformance.slots import LimitStore

NAMES = ("a", "b")
names = st.lists(st.sampled_from(NAMES), min_size=1, max_size=2, unique=True).map(tuple)


class Model(RuleBasedStateMachine):
    """What is known from outside: who has taken what, until when."""

    def __init__(self, make: Callable[[Callable[[], float]], LimitStore]) -> None:
        super().__init__()
        self.now = 1000.0
        self.store = make(lambda: self.now)
        self.leases: dict[str, tuple[tuple[str, ...], int, float]] = {}
        self.limits: dict[str, int] = {}
        #: What was held when a limit was lowered: more than its slots may be held until then.
        self.excess: dict[str, int] = {}

    claims = Bundle("claims")

    @rule(name=st.sampled_from(NAMES), slots=st.integers(0, 4))
    def save(self, name: str, slots: int) -> None:
        self.store.put(KIND, name, encode_limit(Limit(name, slots)))
        self.limits[name] = slots
        self.excess[name] = self.held(name)

    @rule(name=st.sampled_from(NAMES))
    def drop(self, name: str) -> None:
        with suppress(ObjectNotFound):
            self.store.delete(KIND, name)
        self.limits.pop(name, None)

    @rule(target=claims, names=names, occupy=st.integers(1, 3), seconds=st.integers(1, 60))
    def take(self, names: tuple[str, ...], occupy: int, seconds: int) -> object:
        asked = make_claim(*names, occupy=occupy, seconds=seconds)
        under = tuple(sorted(name for name in names if name in self.limits))
        fits = all(self.held(name) + occupy <= self.limits[name] for name in under)
        try:
            answer = self.store.take_slots(asked)
        except ConfigurationError:
            assert any(occupy > self.limits[name] for name in under)
            return multiple()
        assert isinstance(answer, Refusal) is not fits
        if isinstance(answer, Refusal):
            return multiple()
        assert answer == under
        if under:
            self.leases[asked.token] = under, occupy, self.now + asked.seconds
        return asked

    @rule(asked=claims, seconds=st.integers(1, 60))
    def renew(self, asked: Claim, seconds: int) -> None:
        # Nobody has looked for the dead meanwhile, or somebody has: both may be.
        self.store.reap_slots()
        lost = self.store.heartbeat([], 0.0, {asked.token: seconds}).lost_slots
        assert lost == ([] if asked.token in self.alive() else [asked.token])
        if not lost:
            under, occupy, until = self.leases[asked.token]
            if is_due(until, self.now, seconds):
                self.leases[asked.token] = under, occupy, self.now + seconds

    @rule(asked=consumes(claims))
    def give_back(self, asked: Claim) -> None:
        self.store.give_back_slots([asked.token])
        self.leases.pop(asked.token, None)

    @rule(seconds=st.integers(1, 40))
    def wait(self, seconds: int) -> None:
        self.now += seconds
        self.leases = self.alive()

    @rule()
    def reap(self) -> None:
        self.store.reap_slots()

    @invariant()
    def in_use_are_the_leases_alive(self) -> None:
        held = self.store.list_slots()
        assert {(slot.token, slot.limit) for slot in held} == {
            (token, name) for token, (under, _, _) in self.alive().items() for name in under
        }
        for name, slots in self.limits.items():
            used = count_used(Limit(name, slots), held, self.now)
            assert used == self.held(name)
            # What was held already when the limit was set to less, or made anew, may stay.
            self.excess[name] = min(self.excess[name], self.held(name))
            assert used <= max(slots, self.excess[name])

    def alive(self) -> dict[str, tuple[tuple[str, ...], int, float]]:
        return {token: lease for token, lease in self.leases.items() if lease[2] >= self.now}

    def held(self, name: str) -> int:
        return sum(occupy for under, occupy, _ in self.alive().values() if name in under)


class InMemory(Model):
    def __init__(self) -> None:
        super().__init__(MemoryStore)


class InSqlite(Model):
    def __init__(self) -> None:
        self.directory = Path(mkdtemp())
        super().__init__(lambda now: open_sqlite(self.directory / "flowstone.db", now=now))

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.directory)


@pytest.mark.parametrize(("machine", "examples"), [(InMemory, 100), (InSqlite, 20)])
def test_slots_in_use_are_the_leases_alive(machine: type[Model], examples: int) -> None:
    run_state_machine_as_test(
        machine, settings=settings(max_examples=examples, stateful_step_count=30, deadline=None)
    )
