"""`SERIALIZABLE` among real processes that share a home, some of which are killed."""

from __future__ import annotations

import json
import os
import signal
from itertools import pairwise
from threading import Event
from typing import TYPE_CHECKING

import pytest

from flowstone.transactions import transaction

from .children import DYING, go, line, open_home, process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from flowstone.context.current import Services


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Services]:
    with open_home(tmp_path) as services:
        yield services


def wait_until(holds: Callable[[], bool]) -> None:
    pause = Event()
    for _ in range(3000):
        if holds():
            return
        pause.wait(0.1)
    raise AssertionError("it never came to that")


def is_waited_for(home: Services) -> bool:
    count = "SELECT count(*) FROM wishes"
    database = home.slots._database  # type: ignore[attr-defined]
    found: int = database.read(lambda connection: connection.execute(count).fetchone()[0])
    return found > 0


ENTERS = """
import json, sys
from time import monotonic
from flowstone.transactions import transaction
print("ready", flush=True)
sys.stdin.readline()
intervals = []
for _ in range(4):
    with transaction(key="key", isolation_level="SERIALIZABLE", overwrite=True):
        began = monotonic()
        sum(range(200_000))
        intervals.append((began, monotonic()))
print(json.dumps(intervals), flush=True)
"""


def test_two_processes_never_are_in_at_once(home: Services) -> None:
    with process(home, ENTERS) as one, process(home, ENTERS) as other:
        assert [line(one), line(other)] == ["ready", "ready"]
        go(one)
        go(other)
        intervals = sorted(json.loads(line(one)) + json.loads(line(other)))
    assert len(intervals) == 8
    assert all(end <= begin for (_, end), (begin, _) in pairwise(intervals))
    assert home.slots.list_slots() == []


COMPUTES = """
import sys
from pathlib import Path
from flowstone import task
from flowstone.cache_policies import INPUTS

@task(cache_policy=INPUTS.configure(isolation_level="SERIALIZABLE"), persist_result=True)
def compute(x):
    print("computing", flush=True)
    sys.stdin.readline()
    return x + 1

print(compute(1), flush=True)
"""


def test_a_result_is_computed_by_one_process(home: Services) -> None:
    with process(home, COMPUTES) as one:
        assert line(one) == "computing"
        with process(home, COMPUTES) as other:
            wait_until(lambda: is_waited_for(home))
            go(one)
            assert line(one) == "2"
            assert line(other) == "2"
            assert one.wait() == other.wait() == 0


def test_when_its_process_is_killed_another_one_computes(home: Services) -> None:
    with process(home, COMPUTES) as one:
        assert line(one) == "computing"
        with process(home, COMPUTES) as other:
            wait_until(lambda: is_waited_for(home))
            one.kill()
            assert line(other) == "computing"
            go(other)
            assert line(other) == "2"


DIES = f"""{DYING}
from flowstone.transactions import transaction

with transaction(key="key", isolation_level="SERIALIZABLE"):
    at("while it is locked")
"""


@pytest.mark.parametrize(
    "place",
    [
        "before take_slots",
        "after take_slots",
        "while it is locked",
        "before give_back_slots",
        "after give_back_slots",
    ],
)
def test_wherever_a_process_is_killed_its_lock_is_free(home: Services, place: str) -> None:
    with process(home, DIES, place) as doomed:
        assert doomed.wait() == -signal.SIGKILL
    with transaction(key="key", isolation_level="SERIALIZABLE", overwrite=True) as mine:
        assert mine.is_active()
        (slot,) = home.slots.list_slots()
        assert slot.owner == f"pid {os.getpid()}"
    assert home.slots.list_slots() == []
