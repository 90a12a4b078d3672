"""Thousands of seeds: whatever goes wrong, what is kept is whole, and everybody is told so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.services.socket_store import FAULTS, SocketStore

from flowstone.stores.memory import MemoryStore

from .runs import SQLITE, first_failure, quiet, report, shrunk, simulate
from .test_mutants import NoBarrier
from .world import Parts

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parents[1]


def test_seeds(seeds: range, without: frozenset[int], request: pytest.FixtureRequest) -> None:
    check_seeds(seeds, None, without, request)


def test_seeds_of_schedules(
    seeds: range, without: frozenset[int], request: pytest.FixtureRequest
) -> None:
    """A deployment is served by several whose clocks are set, and who die in the middle."""
    check_seeds(seeds, Parts(has_schedules=True), without, request)


def check_seeds(
    seeds: range, parts: Parts | None, without: frozenset[int], request: pytest.FixtureRequest
) -> None:
    if request.config.getoption("--seed") is not None:
        with quiet():
            world = simulate(seeds[0], parts, without)
        print("\n".join(world.lines()))
        assert world.scheduler.failure is None
        return
    broken = first_failure(seeds, parts)
    if broken is not None:
        pytest.fail(report(broken), pytrace=False)


def test_seeds_over_a_socket() -> None:
    """Processes whose clocks differ use one store by messages that are lost or come twice."""
    opened: list[SocketStore] = []

    def open_store(now: Callable[[], float]) -> SocketStore:
        opened.append(SocketStore(MemoryStore(now)))
        return opened[-1]

    parts = Parts(store=open_store)
    try:
        broken = first_failure(range(40), parts)
        assert broken is None, report(broken)
    finally:
        for store in opened:
            store.close()
    assert set(FAULTS) == {fault for store in opened for fault in store.server.fired}


#: Seeds of worlds without slots and people that once found something, and what.
FOUND_PLAIN = {
    86: "a flow run that was born in a tree which another had taken up",
    589: "an interrupt that was swallowed while a failed flow waited for its tasks",
    1253: "a request to cancel behind a write of which nobody knew whether it was kept",
    3492: "the same birth, by one who learned in that very call that its run was lost",
    6302: "a stop that came after its flow, as an interrupt had come into letting the run go",
    4721: "tasks that nobody waited for, since another could not be cancelled in the store",
}
#: Seeds that once found something in what has been added since.
FOUND = {
    676: "a run that nobody held or heard any more, as a pause in it had been in vain",
    1016: "a run that was cancelled by a request to suspend, as it suspended itself",
    1846: "the same, as the request came into a task that the flow's thread helped with",
}
#: Seeds that once found something with streams, transactions and tasks that go on for long.
FOUND_WIDE = {5134: "slots that were lost before the block that should hold them began"}


@pytest.mark.parametrize("seed", FOUND_PLAIN)
def test_what_was_found_is_mended(seed: int) -> None:
    assert first_failure(range(seed, seed + 1), Parts(is_plain=True)) is None


@pytest.mark.parametrize("seed", FOUND)
def test_what_was_found_with_slots_and_people_is_mended(seed: int) -> None:
    assert first_failure(range(seed, seed + 1), Parts(is_wide=False)) is None


@pytest.mark.parametrize("seed", FOUND_WIDE)
def test_what_was_found_in_wider_programs_is_mended(seed: int) -> None:
    assert first_failure(range(seed, seed + 1), Parts(has_loops=False)) is None


PROGRAM = """
import sys
sys.setswitchinterval({turn})
from simulation.runs import quiet, simulate
with quiet():
    for seed in {seeds}:
        print("\\n".join(simulate(seed).lines()))
"""


def traces(seeds: list[int], hash_seed: str, turn: float) -> str:
    environ = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(TESTS)}
    command = [sys.executable, "-c", PROGRAM.format(seeds=seeds, turn=turn)]
    done = subprocess.run(
        command, env=environ, capture_output=True, text=True, check=True, timeout=300
    )
    return done.stdout


def test_a_seed_has_one_trace_whatever_the_hash_seed_and_the_turns_of_threads() -> None:
    seeds = [*range(100, 125), SQLITE - 1]
    one = traces(seeds, "1", turn=5e-3)
    assert one.count("\n") > 20 * len(seeds)
    assert traces(seeds, "2", turn=1e-6) == one


def test_what_fails_is_told_with_the_faults_that_it_needs() -> None:
    world = first_failure(range(200), Parts(journal=NoBarrier))
    assert world is not None
    text = report(world)
    assert f"--seed {world.seed}" in text
    assert "BROKEN" in text
    smaller = shrunk(world)
    assert smaller.scheduler.failure is not None
    assert set(smaller.faults.fired) <= set(world.faults.fired)
    with quiet():
        again = simulate(world.seed, Parts(journal=NoBarrier), smaller.faults.without)
    assert again.lines() == smaller.lines()
