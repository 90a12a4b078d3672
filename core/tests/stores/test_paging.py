"""Reads of everything, from a store whose answers are no longer than a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from flowstone.ports.paging import iterate_documents, iterate_events, iterate_runs
from flowstone.records.runs import RunQuery
from flowstone.records.states import COMPLETED
from flowstone.stores.memory import MemoryStore
from flowstone_testing.conformance.samples import begin, child_run, fence, life

if TYPE_CHECKING:
    from flowstone.records.documents import Document
    from flowstone.records.events import Event
    from flowstone.records.runs import Run


class InPages(MemoryStore):
    """Answers with a page of `size` records at most, and counts the pages."""

    size = 3
    pages = 0

    def _count(self, limit: int | None) -> None:
        assert limit is not None
        assert limit <= self.size
        self.pages += 1

    def runs(self, query: RunQuery) -> list[Run]:
        self._count(query.limit)
        return super().runs(query)

    def events(self, after: int = 0, **choice: Any) -> list[tuple[int, Event]]:
        self._count(choice.get("limit"))
        return super().events(after, **choice)

    def find(self, kind: str, **choice: Any) -> list[Document]:
        self._count(choice.get("limit"))
        return super().find(kind, **choice)


@pytest.mark.parametrize("tasks", [0, 1, 2, 3, 4, 5, 6, 7])
def test_all_runs_and_events_of_a_tree_come(tasks: int) -> None:
    store = InPages()
    root, other = begin(store), begin(store)
    ids = []
    for _ in range(tasks):
        for tree in (root, other):
            run = child_run(tree)
            store.append(life(run, COMPLETED)[0], fence(tree))
            ids += [run.id] if tree is root else []
    query = RunQuery(root_id=root.id)
    found = [run.id for run in iterate_runs(store, query, size=3)]
    assert found == [root.id, *ids]
    assert store.pages == len(found) // 3 + 1
    newest = RunQuery(root_id=root.id, newest_first=True)
    assert [run.id for run in iterate_runs(store, newest, size=3)] == found[::-1]
    events = list(iterate_events(store, root_id=root.id, size=3))
    assert [event.run_id for event in events] == [root.id, *[each for each in ids for _ in "12"]]
    births = [event.id for event in events if event.kind == "TaskRunStarted"]
    chosen = iterate_events(store, root_id=root.id, kinds=["TaskRunStarted"], size=3)
    assert [event.id for event in chosen] == births


@pytest.mark.parametrize("count", range(8))
def test_all_documents_of_some_kinds_come(count: int) -> None:
    store = InPages()
    names = [f"{number}" for number in range(count)]
    for kind in ("a:1", "a:2", "b"):
        for name in names:
            store.put(kind, name, {})
    found = [(each.kind, each.name) for each in iterate_documents(store, "a:", prefix=True, size=3)]
    assert found == [(kind, name) for kind in ("a:1", "a:2") for name in names]
    assert [each.name for each in iterate_documents(store, "b", size=3)] == names
