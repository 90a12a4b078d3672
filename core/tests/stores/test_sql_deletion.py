from __future__ import annotations

import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from flowstone.records.events import make_change_event
from flowstone.records.runs import RunQuery
from flowstone.records.states import COMPLETED, State
from flowstone.stores.sql.deletion import delete_trees
from flowstone.stores.sqlite import SqliteStore, open_sqlite
from flowstone.stores.sqlite.connection import SqliteFile
from flowstone.stores.sqlite.upkeep import SqliteUpkeep
from flowstone_testing.conformance.samples import begin, child_run, fence, life, line

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from flowstone.records.runs import Run


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "flowstone.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    store = open_sqlite(path)
    yield store
    store.close()


def fill(store: SqliteStore, tasks: int) -> Run:
    root = begin(store)
    facts = [event for _ in range(tasks) for event in life(child_run(root), COMPLETED)[0]]
    store.append([*facts, line(root)], fence(root))
    return store.record(make_change_event(root, State(COMPLETED), 1))


class DiesOnTheWay(SqliteFile):
    """A database whose process dies after so many steps."""

    def __init__(self, path: Path, steps: int) -> None:
        super().__init__(path)
        self._steps = steps

    def write_in_steps(self, work: Callable[[sqlite3.Connection], bool]) -> None:
        for _ in range(self._steps):
            if not self.write(work):
                return
        raise KeyboardInterrupt


@pytest.mark.parametrize("steps", range(5))
def test_an_interrupted_deletion_is_finished_by_the_next(
    store: SqliteStore, path: Path, steps: int
) -> None:
    gone, kept = fill(store, 3000), fill(store, 1)
    with closing(DiesOnTheWay(path, steps)) as dying, pytest.raises(KeyboardInterrupt):
        delete_trees(dying, [gone.id])
    assert store.runs(RunQuery(listed=True)) == [kept]
    with closing(SqliteUpkeep(path)) as upkeep:
        assert upkeep.check() == [], "what is on its way out is not called damage"
    assert store.delete_trees([]) == []
    assert {run.root_id for run in store.runs(RunQuery())} == {kept.id}
    assert {event.root_id for _, event in store.events()} == {kept.id}


def test_others_write_while_much_is_deleted(store: SqliteStore, path: Path) -> None:
    gone, live = fill(store, 10_000), begin(store)
    is_over, has_written = threading.Event(), threading.Event()
    written: list[str] = []

    def write() -> None:
        with closing(open_sqlite(path)) as own:
            while not is_over.is_set():
                event = line(live)
                own.append([event], fence(live))
                written.append(event.id)
                has_written.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert has_written.wait(30)
        before = len(written)
        assert store.delete_trees([gone.id]) == [gone.id]
        meanwhile = len(written) - before
    finally:
        is_over.set()
        writer.join()
    assert meanwhile > 10, "between two steps there is room for others"
    assert [e.id for _, e in store.events(root_id=live.id)][1:] == written
