from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from flowstone.errors import StoreError, StoreUnusable
from flowstone.records.events import make_change_event
from flowstone.records.runs import RunQuery
from flowstone.records.states import COMPLETED, State
from flowstone.stores.sqlite import SqliteStore, open_sqlite
from flowstone.stores.sqlite.upkeep import SqliteUpkeep
from flowstone_testing.conformance.samples import begin, fence, line

if TYPE_CHECKING:
    from collections.abc import Iterator
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


@pytest.fixture
def upkeep(store: SqliteStore, path: Path) -> Iterator[SqliteUpkeep]:
    upkeep = SqliteUpkeep(path)
    yield upkeep
    upkeep.close()


def fill(store: SqliteStore, lines: int = 20_000) -> Run:
    root = begin(store)
    store.append([line(root, "x" * 100) for _ in range(lines)], fence(root))
    return store.record(make_change_event(root, State(COMPLETED), 1))


def test_what_is_in_a_store_is_counted(store: SqliteStore, upkeep: SqliteUpkeep) -> None:
    fill(store, 100)
    store.put("variable", "a", {})
    info = upkeep.measure()
    assert info.counts == {"runs": 1, "task runs": 0, "facts": 102, "documents": 1}
    assert info.file_bytes + info.log_bytes > 20_000
    assert info.free_bytes == 0


@pytest.mark.parametrize("whole", [False, True])
def test_deletion_and_a_vacuum_give_space_back_while_others_write(
    store: SqliteStore, upkeep: SqliteUpkeep, path: Path, *, whole: bool
) -> None:
    upkeep.vacuum()  # from now on in steps
    old = fill(store)
    live, is_over = begin(store), threading.Event()
    written: list[str] = []

    def write() -> None:
        with closing(open_sqlite(path)) as own:
            while not is_over.wait(0.002):
                event = line(live, str(len(written)))
                own.append([event], fence(live))
                written.append(event.id)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert store.delete_trees([old.id]) == [old.id]
        before = upkeep.measure()
        upkeep.vacuum(whole=whole)
    finally:
        is_over.set()
        writer.join()
    upkeep.vacuum()
    after = upkeep.measure()
    assert before.free_bytes > 2_000_000
    assert after.free_bytes < before.free_bytes / 10
    assert after.file_bytes < before.free_bytes / 4
    kept = {event.id for _, event in store.events(root_id=live.id)}
    assert kept.issuperset(written)
    assert upkeep.check() == []


def read_kind(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA auto_vacuum").fetchone()[0])


def test_the_first_vacuum_writes_the_file_anew(
    store: SqliteStore, upkeep: SqliteUpkeep, path: Path
) -> None:
    store.delete_trees([fill(store).id])
    before = upkeep.measure()
    assert read_kind(path) == 0
    upkeep.vacuum()
    after = upkeep.measure()
    assert read_kind(path) == 2
    assert (after.free_bytes, after.file_bytes < before.free_bytes / 4) == (0, True)
    assert store.runs(RunQuery()) == []


def test_a_backup_is_a_store(store: SqliteStore, upkeep: SqliteUpkeep, tmp_path: Path) -> None:
    run = fill(store, 100)
    target = tmp_path / "copy" / "flowstone.db"
    target.parent.mkdir()
    upkeep.back_up(target)
    assert target.stat().st_mode & 0o077 == 0
    assert [path.name for path in target.parent.iterdir()] == ["flowstone.db"]
    facts = store.events()
    store.delete_trees([run.id])
    with closing(open_sqlite(target)) as copy:
        assert copy.run(run.id) == run
        assert copy.events() == facts


def test_a_backup_overwrites_nothing(
    store: SqliteStore, upkeep: SqliteUpkeep, tmp_path: Path
) -> None:
    fill(store, 10)
    taken = tmp_path / "taken"
    taken.write_text("mine")
    with pytest.raises(FileExistsError):
        upkeep.back_up(taken)
    assert taken.read_text() == "mine"
    with pytest.raises(StoreUnusable, match=r"nowhere.*Name a file in a directory that exists"):
        upkeep.back_up(tmp_path / "nowhere" / "copy")


def test_what_is_wrong_is_found(store: SqliteStore, upkeep: SqliteUpkeep, path: Path) -> None:
    run = fill(store, 10)
    assert upkeep.check() == []
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM runs WHERE id = ?", (run.id,))
        connection.commit()
    assert upkeep.check() == ["1 trees of facts whose root is missing"]


def test_a_damaged_file_is_found(path: Path) -> None:
    with closing(open_sqlite(path)) as store:
        fill(store, 1000)
    content = bytearray(path.read_bytes())
    for page in range(20, 30):
        content[page * 4096 : page * 4096 + 200] = b"\xff" * 200
    path.write_bytes(content)
    with closing(SqliteUpkeep(path)) as upkeep:
        try:
            problems = upkeep.check()
        except StoreError as error:
            problems = [str(error)]
    assert problems
