"""A file that can't be written is still read: on a read-only or full disk, and by other users."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flowstone.errors import StoreTooNew, StoreUnusable
from flowstone.stores.sqlite import open_sqlite
from flowstone.stores.sqlite.reading import connect_to_read
from flowstone_testing.conformance.samples import begin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowstone.records.runs import Run


@pytest.fixture
def path() -> Iterator[Path]:
    """Return where a store may be, in a directory that other users may enter, unlike pytest's."""
    place = Path(tempfile.mkdtemp())
    place.chmod(0o755)
    yield place / "home" / "flowstone.db"
    shutil.rmtree(place)


def fill(path: Path) -> Run:
    store = open_sqlite(path)
    root = begin(store)
    store.close()
    return root


READ = """
import os, resource, sys
import urllib.parse  # pathlib loads it late, from where nobody may not read
from pathlib import Path
from flowstone.errors import StoreUnusable
from flowstone.records.events import make_birth_event
from flowstone.records.runs import RunQuery
from flowstone.stores.sqlite import open_sqlite
from flowstone_testing.conformance.samples import root_run
path, fault, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
if fault == "full disk":
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limit[1]))
elif os.getuid() == 0:  # permissions do not bind root
    os.setuid(65534)
store = open_sqlite(path)
for _ in range(2):  # the first failure to write leaves it readable
    assert len(store.runs(RunQuery())) == count
    store.reap()
    try:
        store.create(make_birth_event(root_run()))
    except StoreUnusable as error:
        print(error)
if fault == "full disk":
    resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    store.create(make_birth_event(root_run()))
    assert len(store.runs(RunQuery())) == count + 1
store.close()
"""


def read(path: Path, fault: str, count: int = 1) -> str:
    done = subprocess.run(
        [sys.executable, "-c", READ, str(path), fault, str(count)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="it has no such permissions and limits")
def test_what_cannot_be_written_is_read(path: Path) -> None:
    fill(path)
    told = read(path, "full disk")
    assert told.count("or point FLOWSTONE_HOME at another directory.") == 2

    path.chmod(0o644)
    path.parent.chmod(0o555)
    told = read(path, "read only", count=2)
    assert told.count("Permission denied") == 2

    path.parent.chmod(0o755)
    store = open_sqlite(path)  # its log has what is not in the file yet
    begin(store)
    for log in path.parent.glob("*-*"):
        log.chmod(0o644)
    path.parent.chmod(0o555)
    told = read(path, "read only", count=3)
    assert told.count("Permission denied") == 2
    path.parent.chmod(0o755)
    store.close()


def test_a_file_that_nobody_writes_needs_nothing_beside_it(path: Path) -> None:
    root = fill(path)
    found = connect_to_read(path)
    assert found is not None
    with closing(found[0]) as connection:
        assert connection.execute("SELECT id FROM runs").fetchall() == [(root.id,)]
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            connection.execute("DELETE FROM runs")


def test_where_there_is_no_file_nothing_is_read(path: Path) -> None:
    assert connect_to_read(path) is None


@pytest.mark.parametrize(("version", "error"), [(1, StoreUnusable), (99, StoreTooNew)])
def test_another_schema_is_not_read(path: Path, version: int, error: type[Exception]) -> None:
    fill(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    with pytest.raises(error, match=str(version)):
        connect_to_read(path)


def test_a_log_is_never_left_out(path: Path) -> None:
    """Without its index a log can be read by writing only; what it holds must not be missed."""
    store = open_sqlite(path)
    begin(store)
    copy = path.with_name("copy.db")
    shutil.copy(path, copy)
    shutil.copy(path.with_name("flowstone.db-wal"), path.with_name("copy.db-wal"))
    found = connect_to_read(copy)
    if found is not None:
        with closing(found[0]) as connection:
            assert connection.execute("SELECT count(*) FROM runs").fetchone() == (1,)
    store.close()
