"""Tests of scheduled runs that wait for their time and for a process."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from flowstone.errors import Conflict
from flowstone.records.events import make_birth_event, make_handover_event
from flowstone.records.ids import new_id
from flowstone.records.runs import Lease, RunQuery
from flowstone.records.states import CANCELLED, RUNNING, Pending, Scheduled
from flowstone_testing.conformance.clock import ClockedSuite
from flowstone_testing.conformance.samples import ELSEWHERE, LONG, begin, root_run, step

if TYPE_CHECKING:
    from flowstone.ports import RunStore
    from flowstone.records.events import Event
    from flowstone.records.runs import Run
    from flowstone_testing.conformance.clock import StoreClock


class ScheduleTests(ClockedSuite):
    """Runs without a holder: found when they are due, and claimed by one process."""

    def test_a_run_that_waits_reads_back(self, store: RunStore) -> None:
        """The deployment or due time of a run was not stored, or not in its birth."""
        run = _plan(store, "etl/nightly", 100.5)
        assert store.run(run.id) == run
        ((_, birth),) = store.events(run_id=run.id)
        assert birth.payload == run

    def test_a_birth_again_changes_nothing(self, store: RunStore) -> None:
        """Two processes created the run of one time: the second must change nothing."""
        run = _make_run("etl/nightly", 100.0)
        event = make_birth_event(run)
        store.create(event)
        taken = store.record(_claim(run))
        store.create(event)
        assert store.run(run.id) == taken
        assert len(store.runs(RunQuery())) == 1

    @pytest.mark.parametrize(
        ("query", "names"),
        [
            (RunQuery(scheduled_until=100.0), ["a 100", "b 50", "a started"]),
            (RunQuery(scheduled_until=99.9), ["b 50", "a started"]),
            (RunQuery(scheduled_until=1e9), ["a 100", "a 200", "b 50", "a started"]),
            (RunQuery(scheduled_until=1e9, limit=2), ["a 100", "a 200"]),
            (RunQuery(scheduled_until=1e9, states=("Scheduled",)), ["a 100", "a 200", "b 50"]),
            (RunQuery(deployments=("etl/b",)), ["b 50"]),
            (RunQuery(deployments=("etl/b", "etl/c"), scheduled_until=0.0), []),
            (RunQuery(deployments=("etl/a",), scheduled_until=150.0), ["a 100", "a started"]),
            (RunQuery(deployments=("etl/a",)), ["a 100", "a 200", "a cancelled", "a started"]),
            (RunQuery(deployments=("etl/%", "etl/*")), []),
        ],
    )
    def test_a_query_finds_what_is_due(
        self, store: RunStore, query: RunQuery, names: list[str]
    ) -> None:
        """Runs of other deployments, called runs, or runs that have ended were returned."""
        begin(store, "called")
        for key, at in (("a", 100.0), ("a", 200.0), ("b", 50.0)):
            _plan(store, f"etl/{key}", at, f"{key} {at:g}")
        store.record(step(_plan(store, "etl/a", 10.0, "a cancelled"), CANCELLED)[0])
        taken = store.record(_claim(_plan(store, "etl/a", 20.0, "a started")))
        store.record(step(taken, RUNNING)[0])
        assert [run.name for run in store.runs(query)] == names

    def test_a_run_that_waits_is_no_dead_one(self, store: RunStore, clock: StoreClock) -> None:
        """A run without a holder was reaped as if its process had died."""
        run = _plan(store, "etl/nightly", 100.0)
        clock.advance(2 * LONG)
        assert store.reap() == []
        assert store.run(run.id) == run

    def test_of_many_that_claim_a_run_one_wins(self, store: RunStore) -> None:
        """Two processes claimed one run: the compare-and-set is not atomic."""
        run = _plan(store, "etl/nightly", 100.0)

        def attempt(_: int) -> bool:
            try:
                store.record(_claim(run))
            except Conflict:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(attempt, range(8))) == 1

    def test_who_claimed_a_run_and_died_is_found(self, store: RunStore, clock: StoreClock) -> None:
        """A claim has a lease like any run: without a heartbeat, it must end."""
        run = _plan(store, "etl/nightly", 100.0)
        store.record(_claim(run))
        clock.advance(2 * LONG)
        assert [each.id for each in store.reap()] == [run.id]
        assert store.runs(RunQuery(scheduled_until=1e9)) == []


def _make_run(deployment: str, at: float, name: str = "planned") -> Run:
    return root_run(
        name,
        state=Scheduled(),
        started=None,
        attempt=0,
        lease=None,
        deployment=deployment,
        scheduled_time=at,
    )


def _plan(store: RunStore, deployment: str, at: float, name: str = "planned") -> Run:
    run = _make_run(deployment, at, name)
    store.create(make_birth_event(run))
    return run


def _claim(run: Run) -> Event:
    return make_handover_event(run, Pending(), Lease(new_id(), ELSEWHERE, seconds=LONG))
