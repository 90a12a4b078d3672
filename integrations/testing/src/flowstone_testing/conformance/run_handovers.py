"""Tests of a root that changes its process, or is suspended."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from flowstone.errors import Conflict, IllegalTransition
from flowstone.records.events import make_birth_event, make_handover_event
from flowstone.records.ids import new_id
from flowstone.records.runs import Lease
from flowstone.records.states import (
    CANCELLED,
    COMPLETED,
    CRASHED,
    FAILED,
    PAUSED,
    RUNNING,
    AwaitingRetry,
    StateType,
    Suspended,
)
from flowstone_testing.conformance.clock import ClockedSuite
from flowstone_testing.conformance.samples import (
    LONG,
    begin,
    child_run,
    fence,
    lease_for,
    life,
    line,
    root_run,
    step,
)

if TYPE_CHECKING:
    from flowstone.ports import RunStore
    from flowstone.records.runs import Run
    from flowstone_testing.conformance.clock import StoreClock


class HandoverTests(ClockedSuite):
    """`record` of a `Handover`: a root changes its process."""

    @pytest.mark.parametrize("end", [FAILED, CANCELLED, CRASHED])
    def test_a_root_that_has_ended_is_taken_up(self, store: RunStore, end: StateType) -> None:
        """The new writer must hold the run: its lease and version, without an end time."""
        root = store.record(step(begin(store), end)[0])
        lease = _lease()
        taken = store.record(make_handover_event(root, AwaitingRetry(), lease))
        assert taken == store.run(root.id)
        assert taken.lease == lease
        assert (taken.version, taken.ended, taken.attempt) == (root.version + 1, None, root.attempt)
        assert taken.state.name == "AwaitingRetry"
        store.append([line(taken)], fence(taken))
        running = store.record(step(taken, RUNNING)[0])
        assert running.lease == taken.lease
        task, task_run = life(child_run(taken), COMPLETED)
        store.append(task, fence(running))
        assert store.run(task_run.id) == task_run
        assert store.heartbeat([fence(running)], LONG).runs == []
        assert store.record(step(running, COMPLETED)[0]).state.type is COMPLETED

    def test_its_former_writer_can_write_nothing(self, store: RunStore) -> None:
        """Two processes wrote one run: a takeover must transfer the lease."""
        root = begin(store)
        end = store.record(step(root, FAILED)[0])
        taken = _take(store, end)
        for version in (root.version, end.version, taken.version):
            with pytest.raises(Conflict):
                store.append([line(root)], replace(fence(root), version=version))
        assert store.heartbeat([replace(fence(root), version=taken.version)], LONG).runs == [taken]
        with pytest.raises(Conflict):
            store.record(step(root, COMPLETED)[0])
        assert store.run(root.id) == taken

    def test_what_the_former_writer_left_stays_ended(self, store: RunStore) -> None:
        """Runs of the earlier attempt were reopened or lost."""
        root = begin(store)
        task = child_run(root)
        store.append([make_birth_event(task)], fence(root))
        end = store.record(step(root, CRASHED)[0])
        taken = _take(store, end)
        store.record(step(taken, COMPLETED)[0])
        assert store.run(task.id).state.type is CRASHED

    def test_of_many_that_take_a_run_one_wins(self, store: RunStore) -> None:
        """Two processes took over one run: the compare-and-set is not atomic."""
        root = store.record(step(begin(store), FAILED)[0])

        def attempt(_: int) -> bool:
            try:
                _take(store, root)
            except Conflict:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(attempt, range(8))) == 1

    def test_nobody_takes_what_is_held(self, store: RunStore) -> None:
        """A run was taken from the process that holds it."""
        root = begin(store)
        with pytest.raises(Conflict) as caught:
            _take(store, root)
        assert caught.value.actual == root
        assert store.run(root.id) == root

    def test_what_has_completed_is_not_taken_up(self, store: RunStore) -> None:
        """`NEXT` allows nothing after COMPLETED, not even for a new writer."""
        root = store.record(step(begin(store), COMPLETED)[0])
        with pytest.raises(IllegalTransition):
            _take(store, root)

    def test_a_suspended_root_is_nobodys(self, store: RunStore, clock: StoreClock) -> None:
        """Releasing the lease must end the writer's right to write, and is not a crash."""
        root = lease_for(root_run(), 100.0)
        store.create(make_birth_event(root))
        given = store.record(make_handover_event(root, Suspended("for Ann"), None))
        assert given == store.run(root.id)
        assert (given.state.type, given.lease) == (PAUSED, None)
        with pytest.raises(Conflict):
            store.append([line(root)], replace(fence(root), version=given.version))
        clock.advance(200.0)
        assert store.reap() == []
        taken = _take(store, given)
        assert store.run(root.id).lease == taken.lease
        with pytest.raises(Conflict):
            _take(store, given)

    def test_a_suspended_root_can_be_ended(self, store: RunStore) -> None:
        """No process holds it, so a cancel must end it and its tree."""
        root = begin(store)
        nested = child_run(root, kind="flow")
        store.create(make_birth_event(nested))
        given = store.record(make_handover_event(root, Suspended(), None))
        assert store.record(step(given, CANCELLED)[0]).lease is None
        assert store.run(nested.id).state.type is CANCELLED

    def test_a_handover_reads_back(self, store: RunStore) -> None:
        """The fact of a handover lost its lease, so it can't be recognized."""
        root = begin(store)
        given = make_handover_event(root, Suspended(), None)
        suspended = store.record(given)
        taken = make_handover_event(suspended, AwaitingRetry(), _lease())
        store.record(taken)
        assert [event for _, event in store.events(root_id=root.id)][1:] == [given, taken]
        version = store.run(root.id).version
        assert store.record(taken).version == version  # repeating it changes nothing

    @pytest.mark.parametrize("ahead", [-60.0, 0.0, 60.0])
    def test_a_taken_run_is_reaped_by_its_new_lease(
        self, store: RunStore, clock: StoreClock, ahead: float
    ) -> None:
        """The second process died, too: its lease must count, by the store's clock."""
        root = store.record(step(begin(store), FAILED)[0])
        state = replace(AwaitingRetry(), at=clock.now + ahead)
        taken = store.record(make_handover_event(root, state, _lease(30.0)))
        assert taken.lease is not None
        assert taken.lease.until == clock.now + 30.0
        clock.advance(29.0)
        assert store.reap() == []
        clock.advance(2.0)
        assert [run.id for run in store.reap()] == [taken.id]


def _lease(seconds: float = LONG) -> Lease:
    return Lease(new_id(), "nowhere/4712/mark", seconds=seconds)


def _take(store: RunStore, root: Run) -> Run:
    return store.record(make_handover_event(root, AwaitingRetry(), _lease()))
