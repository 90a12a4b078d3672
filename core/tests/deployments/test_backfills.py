from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from flowstone.deployments import (
    BackfillResult,
    add_schedule,
    backfill_deployment,
    delete_deployment,
    pause_schedule,
)
from flowstone.deployments.backfills import Backfill, BackfillPlan
from flowstone.deployments.documents import load_deployment, save_deployment
from flowstone.deployments.ticks import make_due_runs
from flowstone.errors import ConfigurationError, ObjectNotFound, ParameterTypeError
from flowstone.records.deployments import KIND, encode_deployment
from flowstone.records.events import make_change_event
from flowstone.records.runs import RunQuery
from flowstone.records.states import Cancelled, Completed, Crashed, Pending, Running
from flowstone.schedules import Cron, Interval

from .flows import etl

if TYPE_CHECKING:
    from flowstone.context.current import Services
    from flowstone.records.runs import Run
    from flowstone.records.schedules import Schedule
    from flowstone.records.states import State
    from flowstone_testing.conformance.clock import SteppedClock
    from flowstone_testing.programs import Home

HOUR = 3600.0
#: An hour's beginning.
START = 1_779_998_400.0
HOURLY = Interval(HOUR, slug="hourly", misfire="all", parameters={"n": 3})


def deploy(*schedules: Schedule) -> None:
    save_deployment(etl.to_deployment("x", schedules=schedules or (HOURLY,)))


def find_runs(services: Services, *states: str) -> list[Run]:
    return services.runs.runs(RunQuery(deployments=("etl/x",), states=states))


def find_times(services: Services) -> list[float | None]:
    return [run.scheduled_time for run in find_runs(services)]


def end(services: Services, run: Run, state: State | None = None) -> None:
    for each in (Pending(), Running(), state or Completed()):
        run = services.runs.record(make_change_event(run, each, run.attempt))


def back(hours: float) -> float:
    return START - hours * HOUR


def test_each_time_in_the_window_has_a_run(services: Services, stepped: SteppedClock) -> None:
    deploy()
    made = Backfill("x", back(5), back(1))
    assert made.plan() == BackfillPlan(4, 0, back(5), back(2))
    assert find_runs(services) == []
    assert made.step()
    runs = find_runs(services)
    assert find_times(services) == [back(5), back(4), back(3), back(2)]
    assert runs[0].parameters == {"n": 3}
    assert (runs[0].state.message or "").endswith("schedule 'hourly', requested by backfill")
    for run in runs:
        end(services, run)
    assert not made.step()
    assert made.result == BackfillResult(4, 0, {"Completed": 4})
    assert stepped.now > START


def test_only_so_many_runs_are_in_flight(services: Services, stepped: SteppedClock) -> None:
    deploy()
    made, most, steps = Backfill("x", back(9), START, limit=3), 0, 0
    while made.step():
        waiting = find_runs(services, "Scheduled")
        most, steps = max(most, len(waiting)), steps + 1
        end(services, waiting[-1], Crashed("as if") if steps == 1 else None)
    assert (most, steps) == (3, 9)
    assert made.result.states == {"Completed": 8, "Crashed": 1}
    assert find_times(services) == [back(hours) for hours in range(9, 0, -1)]
    assert stepped.now > START


def test_a_backfill_and_ticks_double_nothing(services: Services, stepped: SteppedClock) -> None:
    deploy(replace(HOURLY, jitter_seconds=60))
    make_due_runs(load_deployment("x"), back(6) - 1)
    make_due_runs(load_deployment("x"), back(3))  # as if a process had served it
    ticked = find_runs(services)
    assert len(ticked) == 4
    end(services, ticked[0])
    made = Backfill("x", back(8), START)
    assert made.plan() == BackfillPlan(8, 4, back(8), back(1))
    made.step()
    once = find_runs(services)
    assert len(once) == 8
    stepped.now = START
    make_due_runs(load_deployment("x"), START)
    assert [run for run in find_runs(services) if (run.scheduled_time or 0) < START] == once


def test_a_backfill_that_was_interrupted_goes_on(services: Services, stepped: SteppedClock) -> None:
    deploy()
    Backfill("x", back(9), START, limit=4).step()
    runs = find_runs(services)
    end(services, runs[0])
    again = Backfill("x", back(9), START, limit=4)
    again.step()
    assert len(find_runs(services, "Scheduled")) == 4
    assert again.result == BackfillResult(1, 4, {"Completed": 1})
    assert stepped.now > START


def test_schedules_are_taken_together_or_one_by_name(
    services: Services, stepped: SteppedClock
) -> None:
    deploy(HOURLY, Interval(2 * HOUR, slug="other"))
    add_schedule("x", Interval(HOUR / 2, slug="paused"))
    pause_schedule("x", "paused")
    assert Backfill("x", back(4), START).plan().times == 6
    assert Backfill("x", back(4), START, slug="other").plan().times == 2
    assert Backfill("x", back(4), START, slug="paused").plan().times == 8
    made = Backfill("x", back(4), START)
    made.step()
    assert find_times(services) == sorted(find_times(services), key=lambda at: at or 0.0)
    assert stepped.now > START


def test_a_window_without_times_ends_at_once(stepped: SteppedClock) -> None:
    deploy()
    start = datetime.fromtimestamp(back(1) + 1, UTC)
    until = datetime.fromtimestamp(START, UTC)
    assert backfill_deployment("x", start, until) == BackfillResult(0, 0, {})
    assert Backfill("x", back(1) + 1, START).plan() == BackfillPlan(0, 0, None, None)
    assert stepped.now > START


def test_a_deletion_stops_it_and_creates_nothing_anew(
    services: Services, stepped: SteppedClock
) -> None:
    deploy()
    made = Backfill("x", back(9), START, limit=2)
    made.step()
    delete_deployment("x")
    with pytest.raises(ObjectNotFound):
        made.step()
    assert len(find_runs(services)) == 2
    assert stepped.now > START


def test_what_was_cancelled_has_ended(services: Services, stepped: SteppedClock) -> None:
    deploy()
    made = Backfill("x", back(1), START)
    made.step()
    (run,) = find_runs(services)
    services.runs.record(make_change_event(run, Cancelled("enough"), run.attempt))
    assert not made.step()
    assert made.result.states == {"Cancelled": 1}
    assert stepped.now > START


def test_what_can_not_be_used_is_refused(services: Services, stepped: SteppedClock) -> None:
    deploy()
    for start, until, limit, problem in (
        (START, back(1), 1, "it would end at .* and begin at .* Use an end after the start"),
        (back(1), stepped.now + 1, 1, "is in the future.*Use a past time"),
        (back(1), START, 0, "limit=0 lets no run start"),
    ):
        with pytest.raises(ConfigurationError, match=problem):
            Backfill("x", start, until, limit=limit)
    with pytest.raises(ObjectNotFound, match="Did you mean 'hourly'"):
        Backfill("x", back(1), START, slug="hourli")
    with pytest.raises(ObjectNotFound, match="Did you mean 'etl/x'"):
        Backfill("etl/y", back(1), START)
    body = encode_deployment(load_deployment("x"))
    services.documents.put(KIND, "etl/x", {**body, "parameters": {"m": 1}})
    with pytest.raises(ParameterTypeError, match="m"):
        Backfill("x", back(1), START)
    pause_schedule("x", "hourly")
    with pytest.raises(ConfigurationError, match="the deployment has no active schedule"):
        Backfill("x", back(1), START)


KILLED = f"""
import os, signal
from flowstone.deployments.backfills import Backfill

Backfill("etl/x", {back(6)}, {START}, limit=4).step()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_a_backfill_that_is_killed_is_resumed_by_the_same_command(
    home: Home, kept: Services, kept_clock: SteppedClock
) -> None:
    save_deployment(etl.to_deployment("x", schedule=Cron("0 * * * *", slug="hourly")))
    command = [sys.executable, str(home.write(KILLED))]
    killed = subprocess.run(command, env=home.environ, check=False)
    assert killed.returncode < 0
    assert len(find_runs(kept)) == 4
    made = Backfill("x", back(6), START, limit=4)
    while made.step():
        for run in find_runs(kept, "Scheduled"):
            end(kept, run)
    assert made.result == BackfillResult(2, 4, {"Completed": 6})
    assert find_times(kept) == [back(hours) for hours in range(6, 0, -1)]
    assert kept_clock.now > START
