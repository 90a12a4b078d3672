from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from flowstone.deployments import (
    pause_deployment,
    pause_schedule,
    resume_deployment,
    resume_schedule,
)
from flowstone.deployments.documents import (
    PROGRESS,
    load_deployment,
    save_deployment,
    set_paused_at_shutdown,
)
from flowstone.deployments.ticks import (
    MOST_RUNS,
    MOST_TIMES,
    find_due_times,
    make_due_runs,
)
from flowstone.records.runs import RunQuery
from flowstone.schedules import Cron, Interval

from .flows import etl

if TYPE_CHECKING:
    from flowstone.context.current import Services
    from flowstone.records.runs import Run
    from flowstone.records.schedules import Misfire, Schedule
    from flowstone_testing.conformance.clock import SteppedClock
    from flowstone_testing.programs import Home

HOUR = 3600.0
START = 1_780_000_000.0


def deploy(*schedules: Schedule) -> None:
    save_deployment(etl.to_deployment("x", schedules=schedules, parameters={"n": 1}))


def tick(clock: SteppedClock) -> float | None:
    return make_due_runs(load_deployment("etl/x"), clock.now)


def find_runs(services: Services) -> list[Run]:
    return services.runs.runs(RunQuery(deployments=("etl/x",)))


def count_due(services: Services) -> dict[float, int]:
    counts: dict[float, int] = {}
    for run in find_runs(services):
        assert run.scheduled_time is not None
        counts[run.scheduled_time] = counts.get(run.scheduled_time, 0) + 1
    return counts


def test_what_is_due_has_a_run_and_nothing_before_it(
    services: Services, stepped: SteppedClock
) -> None:
    deploy(Interval(HOUR, parameters={"n": 9}, slug="hourly"))
    soon = tick(stepped)
    assert soon is not None
    assert START < soon <= START + HOUR
    assert find_runs(services) == []
    stepped.now = soon - 0.001
    assert tick(stepped) == soon
    stepped.now = soon
    assert tick(stepped) == soon + HOUR
    (run,) = find_runs(services)
    assert (run.scheduled_time, run.parameters, run.lease) == (soon, {"n": 9}, None)
    assert "by the schedule 'hourly'" in (run.state.message or "")
    assert tick(stepped) == soon + HOUR
    assert len(find_runs(services)) == 1


def test_schedules_that_are_due_at_one_time_have_a_run_each(
    services: Services, stepped: SteppedClock
) -> None:
    deploy(Cron("0 * * * *", slug="one"), Cron("0 * * * *", slug="other"))
    soon = tick(stepped)
    assert soon is not None
    stepped.now = soon
    tick(stepped)
    assert count_due(services) == {soon: 2}


def test_a_tick_that_was_cut_short_is_made_up_for_and_nothing_doubled(
    services: Services, stepped: SteppedClock
) -> None:
    deploy(Interval(HOUR, misfire="all"))
    tick(stepped)
    before = services.documents.get(PROGRESS, "etl/x").body
    stepped.now += 5 * HOUR
    tick(stepped)
    once = find_runs(services)
    assert len(once) == 5
    services.documents.put(PROGRESS, "etl/x", before)  # as if the process had ended before that
    stepped.now += 1.0
    tick(stepped)
    assert find_runs(services) == once


@pytest.mark.parametrize(
    ("misfire", "runs", "skipped"), [("all", 12, 0), ("latest", 1, 11), ("none", 0, 12)]
)
def test_missed_times_have_runs_by_the_misfire_policy(
    services: Services, stepped: SteppedClock, misfire: Misfire, runs: int, skipped: int
) -> None:
    deploy(Interval(HOUR, misfire=misfire, slug="hourly"))
    soon = tick(stepped)
    assert soon is not None
    stepped.now = soon + 11.5 * HOUR
    tick(stepped)
    found = find_runs(services)
    assert len(found) == runs
    if found:
        assert found[-1].scheduled_time == soon + 11 * HOUR
    ((_, progress),) = services.documents.get(PROGRESS, "etl/x").body.items()
    assert progress.get("skipped", 0) == skipped
    assert progress["until"] == soon + 11 * HOUR


def test_what_is_on_time_runs_whatever_the_policy() -> None:
    for misfire in ("all", "latest", "none"):
        schedule = Interval(10, misfire=misfire, grace_seconds=25)
        due = find_due_times(schedule, 1000.0, 1031.0)
        assert due.runs == [1010.0, 1020.0, 1030.0]
        assert (due.skipped, due.until, due.upcoming) == (0, 1030.0, 1040.0)


def test_the_latest_is_one_that_is_on_time_where_there_is_one() -> None:
    due = find_due_times(Interval(10, grace_seconds=0), 1000.0, 1030.0)
    assert (due.runs, due.skipped) == ([1030.0], 2)


def test_a_long_outage_is_made_up_for_part_by_part(
    services: Services, stepped: SteppedClock
) -> None:
    """Each look goes on from where the last one has stopped, also where that was cut short."""
    deploy(Interval(1, misfire="all", slug="often"))
    tick(stepped)
    missed = 3 * MOST_RUNS + 7
    stepped.now += missed
    halfway: dict[str, object] = {}
    for part in range(1, 4):
        assert (tick(stepped) or 0.0) <= stepped.now
        assert len(find_runs(services)) == part * MOST_RUNS
        if part == 1:
            halfway = dict(services.documents.get(PROGRESS, "etl/x").body)
    services.documents.put(PROGRESS, "etl/x", halfway)  # as if the process had ended before that
    while (tick(stepped) or 0.0) <= stepped.now:
        pass
    counts = count_due(services)
    assert set(counts.values()) == {1}
    assert len(counts) == missed
    (progress,) = services.documents.get(PROGRESS, "etl/x").body.values()
    assert progress == {"until": stepped.now}


@pytest.mark.parametrize("misfire", ["latest", "none"])
def test_times_that_are_skipped_are_counted_part_by_part(
    services: Services, stepped: SteppedClock, misfire: Misfire
) -> None:
    deploy(Interval(1, misfire=misfire, slug="often", grace_seconds=0.5))
    tick(stepped)
    missed = 2 * MOST_TIMES + 500
    stepped.now += missed + 0.75
    looks = 1
    while (tick(stepped) or 0.0) <= stepped.now:
        looks += 1
        assert find_runs(services) == []
    assert looks == 3
    runs = 1 if misfire == "latest" else 0
    assert [run.scheduled_time for run in find_runs(services)] == [START + missed] * runs
    (progress,) = services.documents.get(PROGRESS, "etl/x").body.values()
    assert progress == {
        "until": START + missed,
        "skipped": missed - runs,
        "skipped_until": START + missed,
    }


@pytest.mark.parametrize("misfire", ["all", "latest", "none"])
def test_one_look_goes_through_so_many_times_at_most(misfire: Misfire) -> None:
    due = find_due_times(Interval(1, misfire=misfire), START, START + 1e9)
    assert due.is_part
    assert due.until is not None
    assert START < due.until <= START + MOST_TIMES
    assert len(due.runs) <= MOST_RUNS


def test_a_pause_leaves_out_what_is_due_meanwhile(
    services: Services, stepped: SteppedClock
) -> None:
    deploy(Interval(HOUR, misfire="all"))
    tick(stepped)
    pause_deployment("x")
    stepped.now += 5 * HOUR
    resume_deployment("x")
    tick(stepped)
    assert find_runs(services) == []
    stepped.now += HOUR
    tick(stepped)
    assert len(find_runs(services)) == 1


def test_a_pause_at_shutdown_leaves_out_what_is_due_until_it_is_served_again(
    services: Services, stepped: SteppedClock
) -> None:
    every = Interval(HOUR, slug="hourly", misfire="all", grace_seconds=0)
    deploy(every)
    tick(stepped)
    set_paused_at_shutdown("etl/x", is_paused=True)
    stepped.now += 5 * HOUR
    deploy(every)
    tick(stepped)
    assert find_runs(services) == []
    stepped.now += HOUR
    tick(stepped)
    assert len(find_runs(services)) == 1


def test_a_pause_in_the_code_leaves_out_what_is_due_meanwhile(
    services: Services, stepped: SteppedClock
) -> None:
    every = Interval(HOUR, slug="hourly", misfire="all", grace_seconds=0)
    deploy(every)
    tick(stepped)
    save_deployment(etl.to_deployment("x", schedule=every, parameters={"n": 1}, paused=True))
    stepped.now += 5 * HOUR
    deploy(every)
    tick(stepped)
    assert find_runs(services) == []


def test_a_schedule_that_was_not_active_begins_when_it_is(
    services: Services, stepped: SteppedClock
) -> None:
    schedule = Interval(HOUR, misfire="all", slug="hourly")
    deploy(schedule)
    tick(stepped)
    deploy(replace(schedule, active=False))
    assert tick(stepped) is None
    stepped.now += 5 * HOUR
    deploy(schedule)
    tick(stepped)
    assert find_runs(services) == []


def test_jitter_moves_the_run_and_not_the_time_that_it_is_for(
    services: Services, stepped: SteppedClock
) -> None:
    every = Interval(HOUR, misfire="all", slug="hourly", jitter_seconds=600)
    deploy(every)
    tick(stepped)
    before = services.documents.get(PROGRESS, "etl/x").body
    stepped.now += 5 * HOUR
    tick(stepped)
    once = find_runs(services)
    late = [(run.scheduled_time or 0.0) % HOUR for run in once]
    assert len(set(late)) == 5
    assert all(0 <= each <= 600 for each in late)
    services.documents.put(PROGRESS, "etl/x", before)
    deploy(replace(every, jitter_seconds=60))  # the same times, wherever in them a run starts
    tick(stepped)
    assert find_runs(services) == once


def test_a_paused_schedule_skips_what_is_due_meanwhile_and_others_go_on(
    services: Services, stepped: SteppedClock
) -> None:
    one, other = (
        Interval(HOUR, slug=slug, misfire="all", parameters={"n": n})
        for slug, n in (("one", 1), ("other", 2))
    )
    deploy(one, other)
    tick(stepped)
    pause_schedule("x", "one")
    deploy(one, other)  # it stays paused
    stepped.now += 2 * HOUR
    resume_schedule("x", "one")  # also where no tick came into the pause
    tick(stepped)
    assert [run.parameters for run in find_runs(services)] == [{"n": 2}, {"n": 2}]
    stepped.now += HOUR
    tick(stepped)
    assert sorted((run.parameters or {})["n"] for run in find_runs(services)) == [1, 2, 2, 2]


def test_another_rule_under_the_same_slug_begins_anew(
    services: Services, stepped: SteppedClock
) -> None:
    deploy(Interval(24 * HOUR, misfire="all", slug="mine"))
    tick(stepped)
    stepped.now += 5 * HOUR
    deploy(Interval(60, misfire="all", slug="mine"))
    tick(stepped)
    assert find_runs(services) == []


def test_a_clock_that_is_set_back_doubles_nothing(
    services: Services, stepped: SteppedClock
) -> None:
    deploy(Interval(HOUR, misfire="all"))
    tick(stepped)
    for step in (3.0, -2.0, 1.0, -0.5, 1.5):
        stepped.now += step * HOUR
        tick(stepped)
    assert list(count_due(services).values()) == [1, 1, 1]


TICKING = """
import sys
from flowstone.deployments.documents import load_deployment
from flowstone.deployments.ticks import make_due_runs

deployment, start = load_deployment("etl/x"), float(sys.argv[1])
for minute in range(40):
    make_due_runs(deployment, start + 60 * minute)
"""


@pytest.mark.slow
def test_of_many_processes_each_time_has_one_run(
    home: Home, kept: Services, kept_clock: SteppedClock
) -> None:
    """They tick the same minutes at the same time, over and over."""
    deploy(Interval(60, misfire="all"))
    tick(kept_clock)
    command = [sys.executable, str(home.write(TICKING)), str(kept_clock.now)]
    others = [subprocess.Popen(command, env=home.environ) for _ in range(3)]
    assert [each.wait() for each in others] == [0, 0, 0]
    counts = count_due(kept)
    assert set(counts.values()) == {1}
    assert len(counts) in {39, 40}
