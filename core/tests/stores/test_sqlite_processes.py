from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import contextmanager
from time import time
from typing import TYPE_CHECKING, Any

import pytest

from flowstone.errors import Conflict
from flowstone.records.runs import RunQuery
from flowstone.records.states import CRASHED, RUNNING
from flowstone.stores.sqlite import open_sqlite
from flowstone.stores.sqlite.liveness import LivenessFiles
from flowstone_testing.conformance.samples import fence, line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

START = """
import os, sys
from dataclasses import replace
from pathlib import Path
from time import time
from flowstone.records.events import make_birth_event
from flowstone.records.runs import RunQuery
from flowstone.records.states import COMPLETED
from flowstone.stores.sqlite import open_sqlite
from flowstone_testing.conformance.samples import begin, child_run, fence, life, root_run
path = Path(sys.argv[1])
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "flowstone.db"


@contextmanager
def process(script: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", START + script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def at_once(count: int, script: str, path: Path) -> None:
    """Run a script in several processes, all let go together; none may say a word."""
    children: list[Any] = [process(f"sys.stdin.readline()\n{script}", path) for _ in range(count)]
    running = [child.__enter__() for child in children]
    for child in running:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    said = [child.communicate() for child in running]
    for child in children:
        child.__exit__(None, None, None)
    assert said == [("", "")] * count


def test_many_processes_write_one_file(path: Path) -> None:
    at_once(
        8,
        """
for _ in range(5):
    store = open_sqlite(path)
    root = begin(store)
    for _ in range(20):
        batch = [event for _ in range(5) for event in life(child_run(root), COMPLETED)[0]]
        store.append(batch, fence(root))
        store.runs(RunQuery(listed=True))
    store.close()
""",
        path,
    )
    store = open_sqlite(path)
    assert len(store.runs(RunQuery(listed=True))) == 40
    assert len(store.runs(RunQuery(states=("COMPLETED",)))) == 8 * 5 * 20 * 5
    assert len(store.events()) == 40 + 2 * 8 * 5 * 20 * 5
    store.close()


@pytest.mark.parametrize("attempt", range(3))
def test_many_processes_open_a_new_store(path: Path, attempt: int) -> None:
    at_once(8, "store = open_sqlite(path); begin(store); store.close()", path)
    store = open_sqlite(path)
    assert len(store.runs(RunQuery())) == 8
    store.close()


def test_a_forked_child_and_its_parent_both_write(path: Path) -> None:
    at_once(
        1,
        """
store = open_sqlite(path)
root = begin(store, "parent")
mine = store.holder()
child = os.fork()
if child == 0:
    begin(store, "child")
    assert store.run("parent") == root
    assert store.holder() != mine and store.holder().split("/")[1] == str(os.getpid())
    store.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
store.append(life(child_run(root), COMPLETED)[0], fence(root))
assert {"parent", "child"} <= {run.name for run in store.runs(RunQuery())}
assert store.holder() == mine
store.close()
""",
        path,
    )


def test_a_forked_child_outlives_its_parent(path: Path) -> None:
    at_once(
        1,
        """
store = open_sqlite(path)
root = begin(store)
ours, theirs = os.pipe()
if os.fork() == 0:
    begin(store, "child")
    os.close(theirs)
    assert os.read(ours, 1) == b""  # until the parent is gone
    assert os.path.exists(f"{path}-wal"), "the parent tidied the log away under its child"
    begin(store, "orphan")
    store.close()
    os._exit(0)
store.append(life(child_run(root), COMPLETED)[0], fence(root))
store.close()
""",
        path,
    )
    store = open_sqlite(path)
    assert [run.name for run in store.runs(RunQuery(listed=True))] == ["root", "child", "orphan"]
    store.close()


WRITER = """
store = open_sqlite(path)
root = root_run("doomed")
root = replace(root, lease=replace(root.lease, holder=store.holder(), seconds=3600))
store.create(make_birth_event(root))
print(root.id, flush=True)
while True:
    facts = [event for _ in range(10) for event in life(child_run(root), COMPLETED)[0]]
    store.append([*facts, make_birth_event(child_run(root))], fence(root))
    print(root.id, flush=True)
"""


@pytest.mark.parametrize("lines", [1, 2, 5, 17, 40])
def test_a_killed_writer_has_crashed(path: Path, lines: int) -> None:
    with process(WRITER, path) as writer:
        assert writer.stdout is not None
        said = [writer.stdout.readline().strip() for _ in range(lines)]
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        root_id = said[0]
        acknowledged = lines + len(writer.stdout.readlines()) - 1
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()
    store = open_sqlite(path)
    assert len(store.events(root_id=root_id)) >= 1 + 21 * acknowledged
    (root,) = store.reap()
    assert (root.id, root.state.type) == (root_id, CRASHED)
    assert f"pid {writer.pid} on host {os.uname().nodename}" in (root.state.message or "")
    assert "was killed or died; it was last seen at" in (root.state.message or "")
    assert store.runs(RunQuery(states=("RUNNING",))) == []
    assert store.reap() == []
    assert list((path.parent / "presence").iterdir()) == []
    store.close()


def test_a_stopped_process_is_not_dead(path: Path) -> None:
    with process(WRITER, path) as writer:
        assert writer.stdout is not None
        root_id = writer.stdout.readline().strip()
        writer.stdout.readline()
        writer.send_signal(signal.SIGSTOP)
        store = open_sqlite(path, now=lambda: time() + 1e6)
        assert store.reap() == []  # its lease ran out long ago
        assert store.run(root_id).state.type is RUNNING
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        assert [root.id for root in store.reap()] == [root_id]
        store.close()


def test_a_reaped_writer_on_another_host_is_fenced(path: Path) -> None:
    store = open_sqlite(path)
    with process("store = open_sqlite(path)\nprint(begin(store).id, flush=True)", path) as writer:
        root_id, _ = writer.communicate()
    root = store.run(root_id.strip())
    assert store.reap() == []
    later = open_sqlite(path, now=lambda: time() + 1e6)
    assert [run.id for run in later.reap()] == [root.id]
    later.close()
    with pytest.raises(Conflict):
        store.append([line(root)], fence(root))
    store.close()


def test_a_process_that_ends_well_leaves_no_mark(path: Path) -> None:
    at_once(1, "open_sqlite(path).holder()", path)
    assert list((path.parent / "presence").iterdir()) == []


def test_a_process_sees_itself_alive(tmp_path: Path) -> None:
    presence = LivenessFiles(tmp_path)
    holder = presence.holder()
    assert presence.holder() == holder
    assert presence.is_alive(holder) is True
    presence.sweep()
    assert presence.is_alive(holder) is True
    script = (
        "from flowstone.stores.sqlite.liveness import LivenessFiles\n"
        "print(LivenessFiles(path).is_alive(sys.argv[2]))"
    )
    with process(script, tmp_path, holder) as other:
        assert other.communicate() == ("True\n", "")


@pytest.mark.parametrize("holder", ["", "elsewhere/1/mark"])
def test_who_can_not_be_seen_is_unknown(tmp_path: Path, holder: str) -> None:
    assert LivenessFiles(tmp_path).is_alive(holder) is None


def test_whose_mark_is_gone_is_dead(tmp_path: Path) -> None:
    assert LivenessFiles(tmp_path).is_alive(f"{os.uname().nodename}/1/gone") is False


def test_two_that_look_at_once_do_not_take_each_other_for_the_owner(path: Path) -> None:
    with process("print(open_sqlite(path).holder(), flush=True)\nsys.stdin.read()", path) as dead:
        assert dead.stdout is not None
        holder = dead.stdout.readline().strip()
        dead.kill()
        dead.wait()
    directory = path.parent / "presence"
    look = (
        "from flowstone.stores.sqlite import liveness\n"
        "liveness._try(os.open(path, os.O_RDWR))\nprint('looking', flush=True)\nsys.stdin.read()"
    )
    with process(look, directory / holder.rpartition("/")[2]) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "looking\n"
        assert LivenessFiles(directory).is_alive(holder) is False
