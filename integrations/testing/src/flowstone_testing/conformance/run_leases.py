"""Tests of leases: heartbeats, expiry and reaping."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from flowstone.errors import Conflict
from flowstone.records.events import make_birth_event
from flowstone.records.runs import Fence, RunQuery
from flowstone.records.states import (
    CANCELLED,
    CANCELLING,
    COMPLETED,
    CRASHED,
    RUNNING,
    SCHEDULED,
    State,
)
from flowstone_testing.conformance.clock import ClockedSuite
from flowstone_testing.conformance.samples import (
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


class LeaseTests(ClockedSuite):
    """`heartbeat` and `reap`. The samples' holder is on another host, so only its lease counts."""

    def test_a_renewed_lease_lasts(self, store: RunStore, clock: StoreClock) -> None:
        """`heartbeat` must extend `until`, and return nothing while the fence holds."""
        root = _begin_for(store, 100.0)
        clock.advance(90.0)
        assert store.heartbeat([fence(root)], 100.0).runs == []
        assert _read_end(store, root) == clock.now + 100.0
        clock.advance(99.0)
        assert store.reap() == []

    @pytest.mark.parametrize("ahead", [-60.0, 0.0, 60.0])
    def test_a_lease_begins_by_the_clock_of_the_store(
        self, store: RunStore, clock: StoreClock, ahead: float
    ) -> None:
        """A process with a wrong clock had no lease, or one that was too long."""
        root = lease_for(root_run(state=State(RUNNING, at=clock.now + ahead)), 30.0)
        store.create(make_birth_event(root))
        assert _read_end(store, root) == clock.now + 30.0
        clock.advance(29.0)
        assert store.reap() == []
        assert store.heartbeat([fence(root)], 30.0).runs == []
        clock.advance(29.0)
        assert store.reap() == []
        clock.advance(2.0)
        assert [run.id for run in store.reap()] == [root.id]

    def test_heartbeats_keep_a_lease_alive(self, store: RunStore, clock: StoreClock) -> None:
        """A heartbeat that was not written left too little time for the next one to be late."""
        root = _begin_for(store, 30.0)
        for _ in range(45):
            clock.advance(1.0)
            assert store.heartbeat([fence(root)], 30.0).runs == []
            assert 20.0 <= _read_end(store, root) - clock.now <= 30.0
        assert store.reap() == []

    def test_one_beat_renews_all_and_tells_of_each_request(
        self, store: RunStore, clock: StoreClock
    ) -> None:
        """Some roots of a process were not renewed, or a request to them was not returned."""
        roots = [_begin_for(store, 10.0) for _ in range(7)]
        asked = [store.record(step(root, CANCELLING)[0]) for root in roots[2:4]]
        ended = store.record(step(roots[5], COMPLETED)[0])
        clock.advance(9.0)
        assert store.heartbeat([fence(root) for root in roots], 10.0).runs == [*asked, ended]
        clock.advance(9.0)
        assert store.reap() == []

    def test_a_lease_of_another_is_not_renewed(self, store: RunStore, clock: StoreClock) -> None:
        """The heartbeat must tell a process that it lost a run, and not renew the lease."""
        root = _begin_for(store, 100.0)
        end = _read_end(store, root)
        clock.advance(50.0)
        assert store.heartbeat([_of_another(root)], 200.0).runs == [root]
        assert _read_end(store, root) == end

    def test_a_holder_learns_of_a_cancel_and_keeps_its_lease(
        self, store: RunStore, clock: StoreClock
    ) -> None:
        """The heartbeat must return a cancel to the holder, and renew the lease for its cleanup."""
        root = _begin_for(store, 100.0)
        asked = store.record(step(root, CANCELLING)[0])
        assert store.heartbeat([fence(root)], 200.0).runs == [asked]
        assert _read_end(store, root) == clock.now + 200.0
        assert store.heartbeat([fence(asked)], 300.0).runs == []

    def test_an_ended_run_is_not_renewed(self, store: RunStore) -> None:
        """A late heartbeat renewed the lease of a run that had ended."""
        root = _begin_for(store, 100.0)
        end = store.record(step(root, COMPLETED)[0])
        assert store.heartbeat([fence(end)], 200.0).runs == []
        assert store.heartbeat([fence(root)], 200.0).runs == [end]
        assert _read_end(store, root) == 0.0

    def test_each_fence_counts_by_itself(self, store: RunStore, clock: StoreClock) -> None:
        """A lost or unknown run must not prevent others from being renewed."""
        roots = [_begin_for(store, 100.0) for _ in range(3)]
        lost = _of_another(roots[1])
        unknown = Fence("no-such-run", 1, "token")
        assert store.heartbeat([fence(roots[0]), unknown, lost, fence(roots[2])], 200.0).runs == [
            roots[1]
        ]
        left = [_read_end(store, root) - clock.now for root in roots]
        assert left == pytest.approx([200.0, 100.0, 200.0])

    def test_a_run_whose_lease_ran_out_has_crashed(
        self, store: RunStore, clock: StoreClock
    ) -> None:
        """`reap` must end the run of a dead process, and say why."""
        root = _begin_for(store, 100.0)
        clock.advance(101.0)
        (reaped,) = store.reap()
        assert reaped == store.run(root.id)
        at = clock.now
        assert (reaped.state.type, reaped.state.at, reaped.ended) == (CRASHED, at, at)
        assert (reaped.version, reaped.lease) == (root.version + 1, None)
        message = reaped.state.message or ""
        assert "pid 4711 on host elsewhere" in message
        assert "1970-01-01 00:18:20 UTC" in message
        assert store.events(root_id=root.id)[-1][1].kind == "FlowRunCrashed"

    def test_a_run_that_was_being_cancelled_is_cancelled(
        self, store: RunStore, clock: StoreClock
    ) -> None:
        """The run was marked as crashed: a retry of crashed runs would execute it again."""
        root = store.record(step(_begin_for(store, 100.0), CANCELLING, "it is late")[0])
        task = child_run(root)
        store.append([make_birth_event(task)], fence(root))
        clock.advance(101.0)
        (reaped,) = store.reap()
        assert (reaped.state.type, reaped.lease) == (CANCELLED, None)
        assert (reaped.state.message or "").startswith("it is late; its process (pid 4711 ")
        assert store.run(task.id).state.type is CANCELLED

    def test_its_tree_has_crashed_with_it(self, store: RunStore, clock: StoreClock) -> None:
        """A task run of a crashed root stayed unfinished."""
        root = _begin_for(store, 100.0)
        done, done_run = life(child_run(root), COMPLETED)
        task = child_run(root)
        store.append([*done, make_birth_event(task)], fence(root))
        clock.advance(101.0)
        assert [run.id for run in store.reap()] == [root.id]
        assert store.run(task.id).state.type is CRASHED
        assert store.run(done_run.id) == done_run

    def test_a_reaped_run_takes_nothing_more(self, store: RunStore, clock: StoreClock) -> None:
        """A writer that was considered dead came back: none of its facts may be stored."""
        root = _begin_for(store, 100.0)
        clock.advance(101.0)
        (reaped,) = store.reap()
        for version in (root.version, reaped.version):
            with pytest.raises(Conflict) as caught:
                store.append([line(root)], replace(fence(root), version=version))
            assert caught.value.actual == reaped
        assert store.heartbeat([fence(root)], 200.0).runs == [reaped]
        with pytest.raises(Conflict):
            store.record(step(root, COMPLETED)[0])
        assert len(store.events(root_id=root.id)) == 2

    def test_reaping_again_finds_nothing(self, store: RunStore, clock: StoreClock) -> None:
        """A run was ended twice."""
        _begin_for(store, 100.0)
        clock.advance(101.0)
        assert len(store.reap()) == 1
        assert store.reap() == []

    def test_only_dead_roots_are_reaped(self, store: RunStore, clock: StoreClock) -> None:
        """`reap` ended a run that has time left, no lease, an end, or a parent."""
        alive = _begin_for(store, 200.0)
        dead = _begin_for(store, 100.0)
        ended = store.record(step(_begin_for(store, 100.0), COMPLETED)[0])
        waiting = replace(root_run(), state=State(SCHEDULED), started=None, lease=None)
        store.create(make_birth_event(waiting))
        nested = child_run(alive, kind="flow")
        store.create(make_birth_event(nested))
        clock.advance(150.0)
        assert [run.id for run in store.reap()] == [dead.id]
        for run in (alive, ended, waiting, nested):
            assert store.run(run.id) == run

    def test_all_the_dead_are_reaped(self, store: RunStore, clock: StoreClock) -> None:
        """Each dead run of several processes must be ended, in the order of ids."""
        roots = [_begin_for(store, 100.0 + number) for number in range(5)]
        clock.advance(103.5)
        assert [run.id for run in store.reap()] == [run.id for run in roots[:4]]
        assert len(store.runs(RunQuery(states=("CRASHED",)))) == 4


def _of_another(root: Run) -> Fence:
    return Fence(root.id, root.version, "another")


def _begin_for(store: RunStore, seconds: float) -> Run:
    root = lease_for(root_run(), seconds)
    store.create(make_birth_event(root))
    return root


def _read_end(store: RunStore, root: Run) -> float:
    lease = store.run(root.id).lease
    assert lease is not None
    return lease.until
