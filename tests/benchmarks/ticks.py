"""A look at deployments of which one is due: what it costs beside a look at few of them."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from tests.benchmarks.rows import Row

from flowstone.bootstrap import open_services
from flowstone.context.current import services, use_services
from flowstone.deployments.timetable import Timetable
from flowstone.records.deployments import KIND, Deployment, encode_deployment
from flowstone.schedules import Interval
from flowstone.settings import Settings
from flowstone_testing.conformance.clock import SteppedClock

if TYPE_CHECKING:
    from tests.benchmarks.fresh import Library

FEW = 100
MINUTE, YEAR = 60.0, 365 * 86_400.0


def ticks(count: int, rounds: int, _: Library | None) -> list[Row]:
    """Measure a look at so many deployments, of which one is due."""
    few = _measure(FEW, rounds)[0]
    many, first = _measure(count, rounds)
    floor = (few, f"of {FEW}")
    return [
        Row(f"a tick, one due of {count:,} deployments", many, "ms", *floor, budget=20, times=2),
        Row("... the first, which reads all", first, "ms"),
    ]


def _measure(count: int, rounds: int) -> tuple[float, float]:
    """Return the milliseconds of a look with one due, and of the first look."""
    with tempfile.TemporaryDirectory() as directory:
        current = open_services(Settings(home=Path(directory)))
        clock = SteppedClock(1_780_000_000.0)
        try:
            with use_services(replace(current, clock=clock)):
                table = Timetable(_deploy(count))
                began = time.perf_counter()
                table.tick(clock.now)
                first = time.perf_counter() - began
                return 1000 * median(_look(table, clock) for _ in range(rounds)), 1000 * first
        finally:
            current.close()


def _deploy(count: int) -> list[str]:
    """Save so many deployments; one is due each minute, and the others once a year."""
    names = []
    for number in range(count):
        schedule = Interval(YEAR if number else MINUTE, slug="every")
        made = Deployment(
            name=f"d{number}",
            flow_name="etl",
            entrypoint="etl.py:etl",
            parameters={"table": f"t{number}"},
            schedules=(schedule,),
            id=f"id-{number}",
        )
        services().documents.put(KIND, made.full_name, encode_deployment(made))
        names.append(made.full_name)
    return names


def _look(table: Timetable, clock: SteppedClock) -> float:
    clock.now += MINUTE
    began = time.perf_counter()
    table.tick(clock.now)
    return time.perf_counter() - began
