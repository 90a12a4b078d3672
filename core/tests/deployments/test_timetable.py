from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from flowstone.context.current import services, use_services
from flowstone.deployments import (
    add_schedule,
    delete_deployment,
    pause_deployment,
    pause_schedule,
    resume_deployment,
    resume_schedule,
)
from flowstone.deployments.changes import note_change, read_changes
from flowstone.deployments.documents import load_deployment, save_deployment
from flowstone.deployments.timetable import Timetable
from flowstone.errors import StoreBusy
from flowstone.records.deployments import KIND, Deployment, encode_deployment
from flowstone.records.runs import RunQuery
from flowstone.schedules import Interval

from .flows import etl

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from flowstone.context.current import Services
    from flowstone.ports import DocumentStore
    from flowstone.records.documents import Document
    from flowstone_testing.conformance.clock import SteppedClock

HOUR = 3600.0
DAY = 24 * HOUR


def deploy(name: str, every: float) -> str:
    made = etl.to_deployment(name, schedule=Interval(every, slug="every", misfire="all"))
    return save_deployment(made).full_name


def count_runs(name: str) -> int:
    return len(services().runs.runs(RunQuery(deployments=(name,))))


class Counting:
    """A `DocumentStore` that counts the documents that are read, and may fail."""

    def __init__(self, store: DocumentStore) -> None:
        self._store = store
        self.reads = self.calls = 0
        self.is_broken = False
        self.put, self.get = store.put, store.get
        self.delete, self.close = store.delete, store.close

    def find(
        self,
        kind: str,
        *,
        prefix: bool = False,
        names: Collection[str] | None = None,
        after: tuple[str, str] | None = None,
        limit: int | None = None,
    ) -> list[Document]:
        if self.is_broken:
            raise StoreBusy("x.db", 1.0)
        found = self._store.find(kind, prefix=prefix, names=names, after=after, limit=limit)
        self.calls += 1
        self.reads += len(found)
        return found


@pytest.fixture
def counting(stepped: SteppedClock) -> Iterator[Counting]:
    current = services()
    made = Counting(current.documents)
    with use_services(replace(current, documents=made)):
        yield made


def test_what_is_due_has_a_run_and_the_next_time_is_told(stepped: SteppedClock) -> None:
    often, daily = deploy("often", HOUR), deploy("daily", DAY)
    table = Timetable([often, daily])
    soon = table.tick(stepped.now)
    assert soon is not None
    assert stepped.now < soon <= stepped.now + HOUR
    for number in range(1, 5):
        stepped.now = soon + (number - 1) * HOUR
        assert table.tick(stepped.now) == soon + number * HOUR
        assert count_runs(often) == number
    assert count_runs(daily) <= 1


def test_a_look_costs_what_is_due_however_many_there_are(
    stepped: SteppedClock, counting: Counting
) -> None:
    costs = []
    for count in (40, 400):
        names = [deploy(f"x{number}", 100 * DAY) for number in range(count)]
        names.append(deploy(f"often{count}", HOUR))
        table = Timetable(names)
        soon = table.tick(stepped.now)
        assert soon is not None
        stepped.now, counting.reads, counting.calls = soon, 0, 0
        table.tick(stepped.now)
        assert count_runs(names[-1]) == 1
        costs.append((counting.reads, counting.calls))
    assert costs[0] == costs[1]


def test_changes_are_seen_at_the_next_look(stepped: SteppedClock) -> None:
    name = deploy("x", HOUR)
    table = Timetable([name])
    table.tick(stepped.now)
    pause_deployment(name)
    assert table.tick(stepped.now) is None
    resume_deployment(name)
    assert table.tick(stepped.now) is not None
    pause_schedule(name, "every")
    assert table.tick(stepped.now) is None
    resume_schedule(name, "every")
    assert (table.tick(stepped.now) or 0.0) > stepped.now + 1.0
    add_schedule(name, Interval(1, slug="often"))
    assert (table.tick(stepped.now) or 0.0) <= stepped.now + 1.0
    deploy("x", 2 * HOUR)
    assert list(table.deployments) == [name]
    delete_deployment(name)
    assert table.tick(stepped.now) is None
    assert table.deployments == {}


def test_what_passes_during_a_pause_is_skipped_also_where_the_pause_is_seen(
    stepped: SteppedClock,
) -> None:
    name = deploy("x", HOUR)
    table = Timetable([name])
    table.tick(stepped.now)
    pause_deployment(name)
    table.tick(stepped.now)
    stepped.now += 5 * HOUR
    table.tick(stepped.now)
    resume_deployment(name)
    table.tick(stepped.now)
    assert count_runs(name) == 0


def test_a_change_that_nobody_has_noted_is_seen_after_a_while(
    stepped: SteppedClock, services: Services
) -> None:
    names = [deploy(f"x{number}", DAY) for number in range(50)]
    table = Timetable(names)
    table.tick(stepped.now)
    changed: Deployment = replace(load_deployment(names[-1]), schedules=(Interval(1, slug="a"),))
    services.documents.put(KIND, names[-1], encode_deployment(changed))
    for _ in range(4):
        table.tick(stepped.now)
    assert (table.tick(stepped.now) or 0.0) <= stepped.now + 1.0


def test_who_has_missed_many_changes_reads_all(stepped: SteppedClock) -> None:
    name = deploy("x", HOUR)
    table = Timetable([name])
    table.tick(stepped.now)
    pause_deployment(name)
    before = read_changes()
    for number in range(150):
        note_change(f"etl/other{number}")
    assert read_changes().find_since(before.number) is None
    assert read_changes().find_since(before.number + 149) == {"etl/other149"}
    assert read_changes().find_since(before.number + 150) == set()
    assert read_changes().find_since(before.number + 151) is None
    assert table.tick(stepped.now) is None


def test_a_look_that_failed_is_made_up_for(stepped: SteppedClock, counting: Counting) -> None:
    name = deploy("x", HOUR)
    table = Timetable([name])
    counting.is_broken = True
    with pytest.raises(StoreBusy):
        table.tick(stepped.now)
    counting.is_broken = False
    soon = table.tick(stepped.now)
    assert soon is not None
    stepped.now = soon
    counting.is_broken = True
    with pytest.raises(StoreBusy):
        table.tick(stepped.now)
    counting.is_broken = False
    table.tick(stepped.now)
    assert count_runs(name) == 1
