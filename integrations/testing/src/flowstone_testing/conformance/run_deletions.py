"""Tests of deleting runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flowstone.errors import RunNotFound
from flowstone.records.events import make_birth_event, make_change_event
from flowstone.records.runs import RunQuery
from flowstone.records.states import COMPLETED, FAILED, State
from flowstone_testing.conformance.samples import (
    artifact,
    begin,
    child_run,
    fence,
    life,
    line,
)
from flowstone_testing.conformance.suite import Suite

if TYPE_CHECKING:
    from flowstone.ports import RunStore
    from flowstone.records.runs import Run


class DeletionTests(Suite):
    """`delete_trees`."""

    def test_a_tree_is_deleted_whole(self, store: RunStore) -> None:
        """A run, line or artifact of the tree still exists, or another tree has lost one."""
        gone, kept = _make_tree(store, "gone"), _make_tree(store, "kept")
        before = [each for each in store.events() if each[1].root_id == kept.id]
        assert store.delete_trees([gone.id]) == [gone.id]
        assert {run.root_id for run in store.runs(RunQuery())} == {kept.id}
        assert store.events() == before
        assert set(store.tally([gone.id, kept.id])) == {kept.id}
        for ref in (gone.id, "gone", "step-of-gone"):
            with pytest.raises(RunNotFound):
                store.run(ref)
        assert store.delete_trees([gone.id]) == []

    def test_what_has_not_ended_stays(self, store: RunStore) -> None:
        """A live run was deleted, or only a part of a tree."""
        live, ended = begin(store), _make_tree(store, "ended")
        task = child_run(live)
        store.append(life(task, COMPLETED)[0], fence(live))
        parts = [run.id for run in store.runs(RunQuery(root_id=ended.id)) if not run.is_root]
        facts = store.events()
        assert store.delete_trees([live.id, task.id, *parts, "nothing", ""]) == []
        assert store.events() == facts
        assert store.run(live.id) == live

    def test_a_cursor_is_given_once(self, store: RunStore) -> None:
        """After the newest facts were deleted, reading from a cursor missed later facts."""
        first = begin(store)
        gone = _make_tree(store, "gone")
        cursor = store.events()[-1][0]
        store.delete_trees([gone.id])
        assert store.events(cursor) == []
        store.append([line(first, "later")], fence(first))
        again = _make_tree(store, "again")
        found = store.events(cursor)
        assert [event.kind for _, event in found[:1]] == ["LogWritten"]
        assert {event.root_id for _, event in found[1:]} == {again.id}
        store.delete_trees([again.id])
        assert store.events(cursor) == found[:1]

    def test_many_are_deleted_at_once(self, store: RunStore) -> None:
        """Some runs of a long list were not deleted, or some facts of a large tree."""
        wide = begin(store, "wide")
        store.append([line(wide, str(number)) for number in range(4500)], fence(wide))
        _end(store, wide)
        roots = [_make_tree(store, f"run-{number}").id for number in range(450)]
        kept = roots.pop()
        assert sorted(store.delete_trees([*roots, wide.id])) == sorted([*roots, wide.id])
        assert {event.root_id for _, event in store.events()} == {kept}

    def test_a_deleted_run_takes_nothing_more(self, store: RunStore) -> None:
        """A late line of a deleted run was stored."""
        root = _make_tree(store, "gone")
        store.delete_trees([root.id])
        with pytest.raises(RunNotFound):
            store.append([line(root)], fence(root))
        assert store.events() == []


def _make_tree(store: RunStore, name: str) -> Run:
    """Return a flow run that has ended, with a subflow, a task, a line and an artifact."""
    root = begin(store, name)
    inner = child_run(root, f"flow-of-{name}", kind="flow")
    store.create(make_birth_event(inner))
    facts, task = life(child_run(root, f"step-of-{name}"), COMPLETED)
    store.append([*facts, line(task), artifact(root)], fence(root))
    return _end(store, root)


def _end(store: RunStore, root: Run) -> Run:
    return store.record(make_change_event(root, State(FAILED), root.attempt))
