"""What a run store does with leases: who keeps one, and who has lost it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from flowstone.errors import Conflict
from flowstone.records.events import make_birth_event
from flowstone.records.runs import Fence, RunQuery
from flowstone.records.states import CANCELLING, COMPLETED, CRASHED, SCHEDULED, State
from flowstone_testing.conformance.samples import (
    at_most,
    child_run,
    fence,
    life,
    line,
    root_run,
    step,
)
from flowstone_testing.conformance.suite import Suite

if TYPE_CHECKING:
    from flowstone.ports import RunStore
    from flowstone.records.runs import Run


class LeaseTests(Suite):
    """`renew` and `reap`. The samples' holder is on another host, so only its lease counts."""

    def test_a_renewed_lease_lasts(self, store: RunStore) -> None:
        """`renew` must move `until`, and return nothing while the fence holds."""
        root = _begin_until(store, 100.0)
        assert store.renew([fence(root)], 200.0) == []
        assert store.run(root.id) == at_most(root, 200.0)
        assert store.reap(150.0) == []

    def test_a_lease_of_another_is_not_renewed(self, store: RunStore) -> None:
        """Who has lost a run must learn it from its heartbeat, and not keep it alive."""
        root = _begin_until(store, 100.0)
        assert store.renew([_of_another(root)], 200.0) == [root]
        assert store.run(root.id) == root

    def test_a_holder_learns_of_a_cancel_and_keeps_its_lease(self, store: RunStore) -> None:
        """The heartbeat's answer is how a holder learns that it should stop; it needs its time."""
        root = _begin_until(store, 100.0)
        asked = store.record(step(root, CANCELLING)[0])
        assert store.renew([fence(root)], 200.0) == [at_most(asked, 200.0)]
        assert store.renew([fence(asked)], 300.0) == []

    def test_an_ended_run_is_not_renewed(self, store: RunStore) -> None:
        """A late heartbeat brought an ended run's lease back to life."""
        root = _begin_until(store, 100.0)
        end = store.record(step(root, COMPLETED)[0])
        assert store.renew([fence(end)], 200.0) == []
        assert store.renew([fence(root)], 200.0) == [end]
        assert store.run(root.id).lease == replace(root.lease, until=0.0)  # type: ignore[type-var]

    def test_each_fence_counts_by_itself(self, store: RunStore) -> None:
        """One lost run, or one that does not exist, must not keep others from being renewed."""
        roots = [_begin_until(store, 100.0) for _ in range(3)]
        lost = _of_another(roots[1])
        unknown = Fence("no-such-run", 1, "token")
        assert store.renew([fence(roots[0]), unknown, lost, fence(roots[2])], 200.0) == [roots[1]]
        assert [store.run(root.id).lease.until for root in roots] == [200.0, 100.0, 200.0]  # type: ignore[union-attr]

    def test_a_run_whose_lease_ran_out_has_crashed(self, store: RunStore) -> None:
        """Nobody else will ever end a dead process's run: `reap` must, and must say why."""
        root = _begin_until(store, 100.0)
        (reaped,) = store.reap(101.0)
        assert reaped == store.run(root.id)
        assert (reaped.state.type, reaped.state.at, reaped.ended) == (CRASHED, 101.0, 101.0)
        assert (reaped.version, reaped.lease) == (root.version + 1, None)
        message = reaped.state.message or ""
        assert "pid 4711 on host elsewhere" in message
        assert "1970-01-01 00:01:40 UTC" in message
        assert store.events(root_id=root.id)[-1][1].kind == "FlowRunCrashed"

    def test_its_tree_has_crashed_with_it(self, store: RunStore) -> None:
        """A task run stayed unfinished under a crashed root."""
        root = _begin_until(store, 100.0)
        done, done_run = life(child_run(root), COMPLETED)
        task = child_run(root)
        store.append([*done, make_birth_event(task)], fence(root))
        assert [run.id for run in store.reap(101.0)] == [root.id]
        assert store.run(task.id).state.type is CRASHED
        assert store.run(done_run.id) == done_run

    def test_a_reaped_run_takes_nothing_more(self, store: RunStore) -> None:
        """The writer that was thought dead came back: none of its facts may be kept."""
        root = _begin_until(store, 100.0)
        (reaped,) = store.reap(101.0)
        for version in (root.version, reaped.version):
            with pytest.raises(Conflict) as caught:
                store.append([line(root)], replace(fence(root), version=version))
            assert caught.value.actual == reaped
        assert store.renew([fence(root)], 200.0) == [reaped]
        with pytest.raises(Conflict):
            store.record(step(root, COMPLETED)[0])
        assert len(store.events(root_id=root.id)) == 2

    def test_reaping_again_finds_nothing(self, store: RunStore) -> None:
        """A run was ended twice."""
        _begin_until(store, 100.0)
        assert len(store.reap(101.0)) == 1
        assert store.reap(102.0) == []

    def test_only_dead_roots_are_reaped(self, store: RunStore) -> None:
        """`reap` took a run that has time left, no lease, an end, or a parent."""
        alive = _begin_until(store, 200.0)
        dead = _begin_until(store, 100.0)
        ended = store.record(step(_begin_until(store, 100.0), COMPLETED)[0])
        waiting = replace(root_run(), state=State(SCHEDULED), started=None, lease=None)
        store.create(make_birth_event(waiting))
        nested = child_run(alive, kind="flow")
        store.create(make_birth_event(nested))
        assert [run.id for run in store.reap(150.0)] == [dead.id]
        for run in (alive, ended, waiting, nested):
            assert store.run(run.id) == run

    def test_all_the_dead_are_reaped(self, store: RunStore) -> None:
        """Several runs of several processes: each is ended, in the order of their ids."""
        roots = [_begin_until(store, 100.0 + number) for number in range(5)]
        assert [run.id for run in store.reap(103.5)] == [run.id for run in roots[:4]]
        assert len(store.runs(RunQuery(states=("CRASHED",)))) == 4


def _of_another(root: Run) -> Fence:
    return Fence(root.id, root.version, "another")


def _begin_until(store: RunStore, until: float) -> Run:
    root = at_most(root_run(), until)
    store.create(make_birth_event(root))
    return root
