"""Limits shared by real processes, some of which are killed."""

from __future__ import annotations

import json
import signal
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from flowstone.concurrency import concurrency
from flowstone.records.limits import KIND, Limit, encode_limit

from .children import DYING, go, line, open_home, process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flowstone.context.current import Services


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Services]:
    with open_home(tmp_path) as services:
        yield services


def limit(home: Services, name: str, slots: int, decay: float = 0.0) -> None:
    body = encode_limit(Limit(name, slots, slot_decay_per_second=decay))
    home.documents.put(KIND, name, body)


CONTENDS = """
import json, sys
from time import monotonic
from threading import Thread
from flowstone.concurrency.sync import concurrency
print("ready", flush=True)
sys.stdin.readline()
intervals = []

def work():
    for _ in range(25):
        with concurrency("db"):
            began = monotonic()
            sum(range(20_000))
            intervals.append((began, monotonic()))

threads = [Thread(target=work) for _ in range(2)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(json.dumps(intervals), flush=True)
"""


@pytest.mark.parametrize("slots", [1, 3])
def test_two_processes_never_hold_more_than_there_is(home: Services, slots: int) -> None:
    limit(home, "db", slots)
    with process(home, CONTENDS) as one, process(home, CONTENDS) as other:
        assert [line(one), line(other)] == ["ready", "ready"]
        go(one)
        go(other)
        intervals = json.loads(line(one)) + json.loads(line(other))
    assert len(intervals) == 100
    assert most_at_once(intervals) <= slots
    assert home.slots.list_slots() == []


def most_at_once(intervals: list[list[float]]) -> int:
    moments = sorted([(at, 1) for at, _ in intervals] + [(at, -1) for _, at in intervals])
    most = now = 0
    for _, step in moments:
        now += step
        most = max(most, now)
    return most


HOLDS = """
import sys
from flowstone.concurrency.sync import concurrency
with concurrency("db", holder="the other"):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_a_killed_holder_frees_its_slots_at_once(home: Services) -> None:
    limit(home, "db", 1)
    with process(home, HOLDS) as other:
        assert line(other) == "held"
        with (
            pytest.raises(TimeoutError, match="held by 'the other'"),
            concurrency("db", timeout_seconds=0),
        ):
            pass
        other.send_signal(signal.SIGKILL)
        other.wait()
        with concurrency("db", timeout_seconds=0):
            pass


def test_a_stopped_holder_keeps_its_slots(home: Services) -> None:
    """It is alive, whatever its lease says."""
    limit(home, "db", 1)
    with process(home, HOLDS.replace('holder="the other"', "lease_duration=0.001")) as other:
        assert line(other) == "held"
        other.send_signal(signal.SIGSTOP)
        with pytest.raises(TimeoutError), concurrency("db", timeout_seconds=0.3):
            pass
        other.send_signal(signal.SIGCONT)
        go(other)
        assert other.wait() == 0
        with concurrency("db", timeout_seconds=0):
            pass


def test_slots_that_another_process_frees_are_seen(home: Services) -> None:
    limit(home, "db", 1)
    with process(home, HOLDS) as other:
        assert line(other) == "held"
        go(other)
        with concurrency("db", timeout_seconds=30):
            pass


FORKED_TASK = """
import os, sys
from flowstone.context import current
from flowstone import flow, task
from time import time

@task(tags=["fork"])
def forks():
    child = os.fork()
    if child:
        assert os.waitpid(child, 0)[1] == 0
        assert len(current.services().slots.list_slots()) == 1, "the child gave it back"
    return child

@flow
def f():
    return forks()

if f() == 0:
    os._exit(0)
assert current.services().slots.list_slots() == []
print("done", flush=True)
"""
FORKS = """
import os, sys
from flowstone.concurrency.sync import concurrency
from flowstone.context import current
from time import time
with concurrency("db"):
    child = os.fork()
    if child == 0:
        pass
    else:
        assert os.waitpid(child, 0)[1] == 0
        assert len(current.services().slots.list_slots()) == 1, "the child gave it back"
if child == 0:
    sys.stdout.flush()
    os._exit(0)
assert current.services().slots.list_slots() == []
print("done", flush=True)
"""


@pytest.mark.parametrize("script", [FORKS, FORKED_TASK], ids=["block", "task"])
def test_a_forked_child_gives_nothing_back(home: Services, script: str) -> None:
    limit(home, "db", 1)
    limit(home, "tag:fork", 1)
    with process(home, script) as other:
        assert line(other) == "done"


def test_a_rate_is_shared(home: Services) -> None:
    limit(home, "api", 1, decay=20.0)
    script = """
import sys
from flowstone.concurrency.sync import rate_limit
print("ready", flush=True)
sys.stdin.readline()
for _ in range(10):
    rate_limit("api")
print("done", flush=True)
"""
    with process(home, script) as one, process(home, script) as other:
        assert [line(one), line(other)] == ["ready", "ready"]
        began = monotonic()
        go(one)
        go(other)
        assert [line(one), line(other)] == ["done", "done"]
        assert monotonic() - began >= 19 / 20 - 0.05


TASKS = """
from flowstone import flow, task
@task(tags=["db"])
def hold():
    print("running", flush=True)
    import sys
    sys.stdin.readline()
@flow
def f():
    hold()
f()
"""


def test_a_killed_run_frees_the_slots_of_its_tasks(home: Services) -> None:
    limit(home, "tag:db", 1)
    with process(home, TASKS) as other:
        assert line(other) == "running"
        held = home.slots.list_slots()
        assert [(slot.limit, slot.owner) for slot in held] == [("tag:db", "hold-0")]
        other.kill()
        other.wait()
        assert home.slots.list_slots() == []


DIES = f"""{DYING}
from flowstone.concurrency.sync import concurrency

with concurrency("db", lease_duration=0.001):
    at("while it is held")
    if sys.argv[1].endswith("heartbeat"):
        sys.stdin.read()
"""


@pytest.mark.parametrize(
    "place",
    [
        "before take_slots",
        "after take_slots",
        "while it is held",
        "before heartbeat",
        "after heartbeat",
        "before give_back_slots",
        "after give_back_slots",
    ],
)
def test_wherever_a_holder_is_killed_its_slots_are_free(home: Services, place: str) -> None:
    limit(home, "db", 1)
    with process(home, DIES, place) as doomed:
        assert doomed.wait() == -signal.SIGKILL
    assert home.slots.list_slots() == []
    with concurrency("db", timeout_seconds=0):
        assert len(home.slots.list_slots()) == 1
    assert home.slots.list_slots() == []
