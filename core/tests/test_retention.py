from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from flowstone import flow, task
from flowstone.errors import StoreBusy
from flowstone.flow_runs.retention import INTERVAL, apply_retention
from flowstone.records.runs import RunQuery
from flowstone_testing.programs import Home

if TYPE_CHECKING:
    from pathlib import Path

    from flowstone.context.current import Services

DAY = 86400.0


class ClockAhead:
    """A clock that is ahead of another."""

    def __init__(self, services: Services, seconds: float) -> None:
        self._clock, self._seconds = services.clock, seconds

    def time(self) -> float:
        return self._clock.time() + self._seconds

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def sleep(self, seconds: float) -> None:
        self._clock.sleep(seconds)

    async def asleep(self, seconds: float) -> None:
        await self._clock.asleep(seconds)


@task
def step() -> None:
    pass


@flow(name="job")
def job() -> None:
    step()


def look_ahead(services: Services, days: float, keep: float | None = 30.0) -> Services:
    settings = replace(services.settings, keep_runs_days=keep)
    return replace(services, settings=settings, clock=ClockAhead(services, days * DAY))


def go_on() -> bool:
    return False


def count(services: Services) -> int:
    return len(services.runs.runs(RunQuery(roots=True)))


def test_what_is_older_is_deleted(flowstone_services: Services) -> None:
    job()
    assert apply_retention(look_ahead(flowstone_services, 29), go_on) == 0
    assert apply_retention(look_ahead(flowstone_services, 40, None), go_on) == 0
    assert count(flowstone_services) == 1
    assert apply_retention(look_ahead(flowstone_services, 31), go_on) == 1
    assert count(flowstone_services) == 0


def test_it_is_done_once_an_hour(flowstone_services: Services) -> None:
    hour = INTERVAL / DAY
    assert apply_retention(look_ahead(flowstone_services, 40), go_on) == 0
    job()
    assert apply_retention(look_ahead(flowstone_services, 40 + hour / 2), go_on) == 0
    assert apply_retention(look_ahead(flowstone_services, 40 + hour * 1.1), go_on) == 1


def test_a_clock_that_was_ahead_does_not_stop_it(flowstone_services: Services) -> None:
    apply_retention(look_ahead(flowstone_services, 4000), go_on)
    job()
    assert apply_retention(look_ahead(flowstone_services, 31), go_on) == 1


def test_what_was_stopped_is_gone_on_with_at_once(flowstone_services: Services) -> None:
    job()
    later = look_ahead(flowstone_services, 31)
    assert apply_retention(later, lambda: True) == 0
    assert count(flowstone_services) == 1
    assert apply_retention(later, go_on) == 1


def test_a_busy_store_is_only_told(
    flowstone_services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    job()

    class Busy:
        def __getattr__(self, name: str) -> object:
            raise StoreBusy("flowstone.db", 60)

    later = replace(look_ahead(flowstone_services, 31), documents=Busy())  # type: ignore[arg-type]
    assert apply_retention(later, go_on) == 0
    assert "old runs could not be deleted: flowstone.db was held" in caplog.text


def test_a_program_applies_it(tmp_path: Path) -> None:
    home = Home(tmp_path, os.environ)
    program = """
from flowstone import flow
from flowstone.context.current import services

@flow
def job():
    for work in services().background:
        work._thread.join(30)

job()
"""
    home.python(program)
    home.python(program, FLOWSTONE_KEEP_RUNS_DAYS="0.00000001")
    assert len(home.run("run", "ls", "--json").json) == 1
