from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flowstone.errors import StoreBusy, StoreError, StoreForeign, StoreTooNew, StoreUnusable
from flowstone.records.events import make_birth_event
from flowstone.records.runs import RunQuery
from flowstone.records.states import COMPLETED
from flowstone.stores.sql.statements import select_events, select_runs
from flowstone.stores.sqlite import open_sqlite
from flowstone.stores.sqlite.dialect import SQLITE
from flowstone_testing.conformance.samples import (
    LONG,
    artifact,
    begin,
    child_run,
    fence,
    life,
    root_run,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowstone.stores.sql.database import SqlConnection


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "flowstone.db"


def fill(path: Path, tasks: int = 300) -> None:
    store = open_sqlite(path)
    root = begin(store)
    batch = [event for _ in range(tasks) for event in life(child_run(root), COMPLETED)[0]]
    store.append(batch, fence(root))
    store.close()


def test_artifacts_are_found_by_an_index(path: Path) -> None:
    fill(path, 10)
    statement, values = select_events(
        SQLITE, 0, 10, root_id=None, run_id=None, kinds=["ArtifactSaved"], limit=10
    )
    connection = sqlite3.connect(path)
    plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()
    connection.close()
    assert any("events_of_artifacts" in row[3] for row in plan), plan


def test_what_is_due_is_found_by_an_index(path: Path) -> None:
    fill(path, 10)
    query = RunQuery(
        deployments=("etl/a", "etl/b"), states=("Scheduled",), scheduled_until=1.0, limit=9
    )
    statement, values = select_runs(SQLITE, query)
    connection = sqlite3.connect(path)
    plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()
    connection.close()
    assert any("runs_scheduled" in row[3] for row in plan), plan


def test_a_file_of_the_first_schema_is_brought_on(path: Path) -> None:
    fill(path, 3)
    connection = sqlite3.connect(path)
    connection.execute("DROP INDEX events_of_artifacts")
    connection.execute("DROP INDEX events_of_records")
    connection.execute("DROP TABLE slots")
    connection.execute("DROP TABLE wishes")
    connection.execute("DROP TABLE deletions")
    connection.execute("DROP INDEX runs_of_deployment")
    connection.execute("DROP INDEX runs_scheduled")
    for column in ("recipe", "deployment", "scheduled_time"):
        connection.execute(f"ALTER TABLE runs DROP COLUMN {column}")
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()
    store = open_sqlite(path)
    root = begin(store)
    store.append([artifact(root)], fence(root))
    assert len(store.events(kinds=["ArtifactSaved"])) == 1
    assert len(store.runs(RunQuery())) == 5
    store.close()


def test_home_and_file_are_the_users_alone(path: Path) -> None:
    store = open_sqlite(path)
    begin(store)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {path.name: 0o600, f"{path.name}-wal": 0o600, f"{path.name}-shm": 0o600}
    store.close()


def test_an_empty_file_becomes_a_store(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    store = open_sqlite(path)
    root = begin(store)
    store.close()
    again = open_sqlite(path)
    assert again.run(root.id) == root
    again.close()


def test_two_stores_of_one_process_share_a_file(path: Path) -> None:
    one = open_sqlite(path)
    root = begin(one)
    two = open_sqlite(path)
    assert two.run(root.id) == root
    one.close()
    # Had the second let go of the first's locks, this process would tidy the log away under us.
    script = f"""
from pathlib import Path
from flowstone.stores.sqlite import open_sqlite
open_sqlite(Path({str(path)!r})).close()
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    assert Path(f"{path}-wal").exists()
    other = begin(two, "other")
    two.close()
    again = open_sqlite(path)
    assert again.runs(RunQuery()) == [root, other]
    again.close()


def test_a_closed_store_says_so(path: Path) -> None:
    store = open_sqlite(path)
    store.close()
    with pytest.raises(StoreUnusable, match="it has been closed"):
        store.runs(RunQuery())


def foreign_database(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()


def text_file(path: Path) -> None:
    path.write_text("dear diary\n" * 100)


def beginning_only(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0" + bytes(20))


@pytest.mark.parametrize("make", [foreign_database, text_file, beginning_only])
def test_a_foreign_file_is_left_as_it_is(path: Path, make: object) -> None:
    path.parent.mkdir()
    make(path)  # type: ignore[operator]
    before = path.read_bytes(), path.stat().st_mtime_ns, list(path.parent.iterdir())
    with pytest.raises(StoreForeign, match="not a Flowstone store"):
        open_sqlite(path)
    assert (path.read_bytes(), path.stat().st_mtime_ns, list(path.parent.iterdir())) == before


def test_a_newer_schema_is_left_to_newer_versions(path: Path) -> None:
    fill(path)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreTooNew, match="has schema 99"):
        open_sqlite(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("left", [0.1, 0.5, 0.9])
def test_a_file_that_was_cut_is_said_to_be_damaged(path: Path, left: float) -> None:
    fill(path)
    os.truncate(path, int(path.stat().st_size * left))
    with pytest.raises(StoreForeign, match="FLOWSTONE_HOME"):
        _read_everything(path)


def test_pages_of_rubbish_are_said_to_be_damage(path: Path) -> None:
    fill(path)
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(path.stat().st_size - 4096))
    with pytest.raises(StoreForeign, match="FLOWSTONE_HOME"):
        _read_everything(path)


def _read_everything(path: Path) -> None:
    store = open_sqlite(path)
    try:
        store.runs(RunQuery())
        store.events()
    finally:
        store.close()


def test_a_home_below_a_file_is_unusable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnusable, match="FLOWSTONE_HOME"):
        open_sqlite(tmp_path / "file" / "home" / "flowstone.db")


def test_a_directory_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreUnusable, match="directory"):
        open_sqlite(tmp_path)


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A directory that other users may enter, unlike pytest's."""
    place = Path(tempfile.mkdtemp())
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


AS_NOBODY = """
import os, sys
import urllib.parse  # pathlib loads it late, from where nobody may not read
from pathlib import Path
from flowstone.errors import StoreUnusable
from flowstone.records.events import make_birth_event
from flowstone.stores.sqlite import open_sqlite
from flowstone_testing.conformance.samples import root_run
if os.getuid() == 0:  # permissions do not bind root
    os.setuid(65534)
try:
    store = open_sqlite(Path(sys.argv[1]))
    store.create(make_birth_event(root_run()))
except StoreUnusable as error:
    print(error)
"""


@pytest.mark.parametrize("exists", [False, True])
def test_a_read_only_home_is_unusable(open_place: Path, exists: bool) -> None:
    path = open_place / "home" / "flowstone.db"
    path.parent.mkdir()
    if exists:
        fill(path)
        path.chmod(0o444)
    path.parent.chmod(0o555)
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, str(path)], capture_output=True, text=True, check=True
    )
    assert "Permission denied" in done.stdout
    assert "FLOWSTONE_HOME" in done.stdout


FULL_DISK = """
import resource, sys
from pathlib import Path
from flowstone.errors import StoreUnusable
from flowstone.records.states import COMPLETED
from flowstone.stores.sqlite import open_sqlite
from flowstone_testing.conformance.samples import begin, child_run, fence, life
store = open_sqlite(Path(sys.argv[1]))
root = begin(store)
limit = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limit[1]))
kept = 0
try:
    while True:
        batch = [event for _ in range(50) for event in life(child_run(root), COMPLETED)[0]]
        store.append(batch, fence(root))
        kept += 1
except StoreUnusable as error:
    print(error)
assert kept, "the limit came too early"
resource.setrlimit(resource.RLIMIT_FSIZE, limit)
assert len(store.events()) == 1 + 100 * kept
store.append(life(child_run(root), COMPLETED)[0], fence(root))  # there is room again
assert len(store.events()) == 3 + 100 * kept
store.close()
"""


def test_a_full_disk_keeps_what_was_kept(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "FLOWSTONE_HOME" in done.stdout


def test_sqlites_own_full_is_a_full_disk(path: Path) -> None:
    store = open_sqlite(path)
    root = begin(store)
    store._database.read(lambda connection: connection.execute("PRAGMA max_page_count = 30"))
    with pytest.raises(StoreUnusable, match="the disk is full"):
        store.append([event for _ in range(500) for event in life(child_run(root))[0]], fence(root))
    assert store.runs(RunQuery()) == [root]
    store.close()


def test_who_waits_too_long_is_told(path: Path) -> None:
    store = open_sqlite(path, patience=0.3)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreBusy, match="held by other processes"):
        begin(store)
    assert store.runs(RunQuery()) == []  # readers do not wait
    holder.execute("ROLLBACK")
    root = begin(store)
    assert store.run(root.id) == root
    holder.execute("BEGIN IMMEDIATE")
    assert store.heartbeat([fence(root)], LONG).runs == []  # nothing is due, so it only reads
    with pytest.raises(StoreBusy, match="held by other processes"):
        store.heartbeat([fence(root)], 2 * LONG)
    holder.execute("ROLLBACK")
    holder.close()
    store.close()


def test_an_error_in_a_transaction_undoes_it(path: Path) -> None:
    store = open_sqlite(path)

    def work(connection: SqlConnection) -> None:
        connection.execute("INSERT INTO strays VALUES ('x')")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store._database.write(work)
    assert store._database.read(lambda c: c.execute("SELECT * FROM strays").fetchall()) == []
    store.create(make_birth_event(root_run()))
    store.close()


def test_what_lists_show_is_read_by_index(path: Path) -> None:
    from flowstone.stores.sql import statements

    store = open_sqlite(path)
    newest = RunQuery(listed=True, newest_first=True, limit=20)
    statement, values = statements.select_runs(SQLITE, newest)
    plans = {
        "runs_listed": (statement, values),
        "runs_unfinished": (statements.UNFINISHED, ["x"]),
        "events_of_tree": statements.select_events(
            SQLITE, 0, 1_000_000, root_id="x", run_id=None, kinds=(), limit=None
        ),
        "INTEGER PRIMARY KEY": statements.select_events(
            SQLITE, 999_000, 1_000_000, root_id="x", run_id="y", kinds=["LogWritten"], limit=10
        ),
    }
    for index, (sql, parameters) in plans.items():
        plan = store._database.read(
            lambda c, sql=sql, parameters=parameters: c.execute(  # type: ignore[misc]
                f"EXPLAIN QUERY PLAN {sql}", parameters
            ).fetchall()
        )
        assert any(index in row[3] for row in plan), plan
    store.close()


def test_every_error_of_sqlite_is_translated(path: Path) -> None:
    store = open_sqlite(path)
    with pytest.raises(StoreError, match="no such table"):
        store._database.read(lambda connection: connection.execute("SELECT * FROM nowhere"))
    store.close()
