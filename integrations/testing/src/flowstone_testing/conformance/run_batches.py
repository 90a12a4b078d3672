"""Tests of batches of facts under a fence."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowstone.errors import Conflict, RunNotFound
from flowstone.records.events import fold
from flowstone.records.runs import RunQuery
from flowstone.records.states import COMPLETED, FAILED, PAUSED, RUNNING, SCHEDULED, State
from flowstone_testing.conformance.laws import histories, law
from flowstone_testing.conformance.samples import (
    artifact,
    begin,
    child_run,
    fence,
    life,
    line,
    root_run,
    step,
)
from flowstone_testing.conformance.suite import Suite

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowstone.ports import RunStore
    from flowstone.records.events import Event
    from flowstone.records.runs import Fence, Run


class BatchTests(Suite):
    """`append`."""

    def test_a_batch_is_kept(self, store: RunStore) -> None:
        """A batch must store its runs in their final states, and its facts in order."""
        root = begin(store)
        first, done = life(child_run(root), COMPLETED)
        second, waiting = life(child_run(root, state=State(SCHEDULED)), RUNNING, SCHEDULED)
        batch = [*first, line(done, "ünï 🪨"), *second, line(root)]
        store.append(batch, fence(root))
        assert store.runs(RunQuery(root_id=root.id)) == [root, done, waiting]
        assert [event for _, event in store.events(root_id=root.id)][1:] == batch

    def test_a_run_goes_on_in_later_batches(self, store: RunStore) -> None:
        """A change to a run of an earlier batch was lost."""
        root = begin(store)
        facts, run = life(child_run(root), FAILED, SCHEDULED, RUNNING, COMPLETED)
        for event in facts:
            store.append([event], fence(root))
        assert store.run(run.id) == run

    def test_an_empty_batch_is_fine(self, store: RunStore) -> None:
        """An empty batch must succeed, but still check the fence."""
        root = begin(store)
        store.append([], fence(root))
        with pytest.raises(Conflict):
            store.append([], replace(fence(root), version=7))

    def test_a_batch_again_changes_nothing(self, store: RunStore) -> None:
        """A repeated batch was stored twice: an event id must be stored once."""
        root = begin(store)
        facts, run = life(child_run(root), FAILED, SCHEDULED)
        store.append(facts, fence(root))
        change, after = step(run, RUNNING)
        store.append([change], fence(root))
        kept = store.events(root_id=root.id)
        store.append([*facts, change, *facts], fence(root))
        assert store.events(root_id=root.id) == kept
        assert store.run(run.id) == after

    def test_a_fact_twice_in_a_batch_is_kept_once(self, store: RunStore) -> None:
        """Duplicates within a batch were stored twice."""
        root = begin(store)
        facts, run = life(child_run(root), COMPLETED)
        store.append([*facts, *facts, line(root)], fence(root))
        assert len(store.events(root_id=root.id)) == 4
        assert store.run(run.id) == run

    def test_an_older_change_does_not_move_a_run_back(self, store: RunStore) -> None:
        """A late fact must be stored, but the run must stay at its highest version."""
        root = begin(store)
        (birth, failed, again, done), run = life(child_run(root), FAILED, SCHEDULED, COMPLETED)
        store.append([birth, done], fence(root))
        store.append([again, failed], fence(root))
        assert store.run(run.id) == run
        assert len(store.events(run_id=run.id)) == 4

    def test_a_change_may_come_before_its_birth(self, store: RunStore) -> None:
        """Batches in the wrong order lost a change: it must apply once the run exists."""
        root = begin(store)
        (birth, start, end), run = life(child_run(root, state=State(SCHEDULED)), RUNNING, COMPLETED)
        for batch in ([end], [start], [birth]):
            store.append(batch, fence(root))
        assert store.run(run.id) == run

    @law
    @given(history=histories(), data=st.data())
    def test_any_order_and_repetition_makes_the_same_runs(
        self, store: RunStore, history: list[Event], data: st.DataObject
    ) -> None:
        """A run must result from its birth and changes by version, in any order of arrival."""
        root = history[0].payload
        store.create(history[0])
        facts = history[1:]
        sent = data.draw(st.permutations(facts + data.draw(st.lists(st.sampled_from(facts)))))
        while sent:
            size = data.draw(st.integers(1, len(sent)))
            store.append(sent[:size], fence(root))  # type: ignore[arg-type]
            sent = sent[size:]
        kept = [event for _, event in store.events(root_id=history[0].root_id)]
        assert sorted(kept, key=_id) == sorted(history, key=_id)
        query = RunQuery(root_id=history[0].root_id)
        assert {run.id: run for run in store.runs(query)} == _fold(history)

    @pytest.mark.parametrize("change", [{"version": 2}, {"version": 0}, {"token": "another"}])
    def test_a_fence_that_does_not_hold_keeps_nothing(
        self, store: RunStore, change: dict[str, int | str]
    ) -> None:
        """A writer that lost the run could still write: check the fence's version and token."""
        root = begin(store)
        facts, _ = life(child_run(root), COMPLETED)
        with pytest.raises(Conflict) as caught:
            store.append([*facts, line(root)], replace(fence(root), **change))  # type: ignore[arg-type]
        assert caught.value.actual == root
        self._has_only(store, root)

    def test_a_fence_falls_with_a_change_of_the_root(self, store: RunStore) -> None:
        """After another process's write, the old fence must not hold, and the new one must."""
        root = begin(store)
        old = fence(root)
        root = store.record(step(root, PAUSED)[0])
        with pytest.raises(Conflict):
            store.append([line(root)], old)
        store.append([line(root)], fence(root))
        assert len(store.events(root_id=root.id)) == 3

    def test_an_unknown_root_is_not_found(self, store: RunStore) -> None:
        """A batch for an unknown tree must be refused."""
        root = root_run()
        with pytest.raises(RunNotFound):
            store.append([line(root)], fence(root))
        assert store.events() == []

    def test_a_fact_of_another_tree_is_refused(self, store: RunStore) -> None:
        """The fence of one tree accepted facts of another."""
        root, other = begin(store), begin(store)
        with pytest.raises(Conflict):
            store.append([line(root), line(other)], fence(root))
        self._has_only(store, root)

    def test_after_the_end_come_notes_only(self, store: RunStore) -> None:
        """After the end, hooks may log and save artifacts, but no run may begin or change state."""
        root = begin(store)
        facts, _ = life(child_run(root))
        end = store.record(step(root, COMPLETED)[0])
        store.append([line(root, "said a hook"), artifact(root)], fence(end))
        with pytest.raises(Conflict):
            store.append([line(root, "said a zombie"), *facts], fence(end))
        assert [event.kind for _, event in store.events(root_id=root.id)] == [
            "FlowRunStarted",
            "FlowRunCompleted",
            "LogWritten",
            "ArtifactSaved",
        ]

    @pytest.mark.parametrize("text", ["nul \x00", "half \ud83e of a pair", "\U0010ffff", "'; --"])
    def test_odd_text_loses_nothing(self, store: RunStore, text: str) -> None:
        """One unusual character made a batch fail or lose facts."""
        root = begin(store)
        facts, run = life(child_run(root, text), FAILED)
        end, _ = step(run, SCHEDULED, text)
        store.append([*facts, line(run, text), end, line(root)], fence(root))
        assert len(store.events(root_id=root.id)) == 6
        assert store.run(run.id).version == 3

    def test_a_large_batch_is_kept_in_order(self, store: RunStore) -> None:
        """A batch of thousands lost or reordered facts."""
        root = begin(store)
        batch = [event for _ in range(1500) for event in life(child_run(root), COMPLETED)[0]]
        store.append(batch, fence(root))
        kept = [event.id for _, event in store.events(root_id=root.id)]
        assert kept[1:] == [event.id for event in batch]
        assert len(store.runs(RunQuery(root_id=root.id, states=("COMPLETED",)))) == 1500

    def test_threads_may_append_at_once(self, store: RunStore) -> None:
        """Facts of one of several threads were lost: look at the store's locking."""
        roots = [begin(store) for _ in range(4)]

        def work(root: Run) -> None:
            writer: Fence = fence(root)
            for _ in range(25):
                store.append(life(child_run(root), COMPLETED)[0], writer)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, roots))
        for root in roots:
            assert len(store.events(root_id=root.id)) == 51
            assert len(store.runs(RunQuery(root_id=root.id))) == 26
        cursors = [cursor for cursor, _ in store.events()]
        assert cursors == sorted(set(cursors))

    @staticmethod
    def _has_only(store: RunStore, root: Run) -> None:
        assert store.runs(RunQuery(root_id=root.id)) == [root]
        assert [event.run_id for _, event in store.events(root_id=root.id)] == [root.id]


def _id(event: Event) -> str:
    return event.id


def _fold(events: Iterable[Event]) -> dict[str, Run | None]:
    runs: dict[str, Run | None] = {}
    for event in events:
        runs[event.run_id] = fold(runs.get(event.run_id), event)
    return runs
