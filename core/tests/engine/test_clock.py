"""Somebody sets the system's clock while runs go on."""

from __future__ import annotations

import threading
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from flowstone import flow, task
from flowstone.context.current import Services, use_services
from flowstone.engine.clock import SystemClock, start_steady_time
from flowstone.engine.journal import WriteBehind
from flowstone.engine.recorder import RunRecorder
from flowstone.records.durations import duration
from flowstone.records.events import make_change_event
from flowstone.records.ids import new_id
from flowstone.records.runs import Lease, Origin, RunQuery
from flowstone.records.states import RUNNING
from flowstone.states import Cancelling
from flowstone.stores.memory import MemoryRuns

DAY = 86400.0


class SetClock:
    """A clock that somebody sets; its seconds pass by hand."""

    def __init__(self) -> None:
        self.now, self.passed = 1_000_000.0, 50.0

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.passed

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.passed += seconds

    async def asleep(self, seconds: float) -> None:
        self.sleep(seconds)


@pytest.mark.parametrize("jump", [3 * DAY, -3 * DAY])
def test_a_run_takes_as_long_as_it_takes(services: Services, jump: float) -> None:
    clock = SetClock()

    @task
    def work() -> None:
        clock.sleep(1)
        clock.now += jump
        clock.sleep(1)

    @flow
    def inner() -> None:
        work()

    @flow
    def outer() -> None:
        inner()
        work.submit().wait()

    with use_services(replace(services, clock=clock)):
        outer()
        services.journal.flush()
    tree = services.runs.runs(RunQuery())
    took = {run.unit: duration(run, clock.now) for run in tree}
    assert took == {"outer": 4.0, "inner": 2.0, "work": 2.0}
    [outer_run] = [run for run in tree if run.is_root]
    assert outer_run.started is not None
    assert outer_run.ended is not None
    for run in tree:
        assert outer_run.created <= run.created <= (run.ended or 0.0) <= outer_run.ended


def test_the_time_of_a_new_run_is_the_clocks() -> None:
    clock = SetClock()
    before = start_steady_time(clock)
    clock.now += DAY
    after = start_steady_time(clock)
    assert after() - before() == DAY
    clock.sleep(3)
    assert after() == clock.now


def test_the_systems_clock_goes_on() -> None:
    clock = SystemClock()
    steady = start_steady_time(clock)
    assert abs(steady() - clock.time()) < 60
    first = clock.monotonic()
    assert first <= clock.monotonic()


class JumpingClock(SystemClock):
    """The system's, until somebody sets it."""

    jump = 0.0

    def time(self) -> float:
        return super().time() + self.jump


def test_a_request_is_noticed_when_the_clock_is_set_back() -> None:
    clock, store, heard = JumpingClock(), MemoryRuns(), threading.Event()
    journal = WriteBehind(store, clock, 0.06)
    services: Any = SimpleNamespace(journal=journal, clock=clock)
    key, lease = new_id(), Lease(new_id(), "here/1/x", 4e9)
    recorder = RunRecorder(
        services, Origin(key, "flow", "f", "f", key, None, 1.0, (), None, {}, (), lease)
    )
    recorder.record(RUNNING, "Running")
    recorder.on_request(lambda _: heard.set())
    clock.jump = -3 * DAY
    run = store.run(key)
    store.record(make_change_event(run, Cancelling(), run.attempt))
    assert heard.wait(30)
    journal.close()
