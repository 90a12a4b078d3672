from __future__ import annotations

import asyncio
import gc
import os
import sys
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from threading import Event, Thread
from typing import BinaryIO
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowstone import flow
from flowstone.blocks import LocalDirectory, ObjectInfo, ObjectStore
from flowstone.blocks.local_files import walk
from flowstone.blocks.object_stores import ExactKey, ObjectStoreProvider, SyncResult
from flowstone.blocks.object_stores.merging import merge, open_spool
from flowstone.context.current import Services
from flowstone.context.external_work import sum_measures
from flowstone.errors import (
    BucketMissing,
    FilesLeftOut,
    ObjectMissing,
    PathInvalid,
    StorageError,
    Unreachable,
)
from flowstone.records.events import ArtifactVersion
from flowstone.records.redaction import MASK, register
from flowstone.records.runs import RunQuery
from flowstone_testing.objects import MemoryObjects, MemoryProvider

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def plant(root: Path, tree: dict[str, bytes]) -> None:
    for name, content in tree.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)


def read(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


@dataclass
class Script:
    """How the store below differs from a good one."""

    listed: Callable[[str], Iterator[ObjectInfo]] | None = None
    put: Callable[[str], None] = lambda key: None
    matches: Callable[[ObjectInfo, Path], bool | None] | None = None
    where: str = ""
    written: list[str] = field(default_factory=list)


SCRIPTS: dict[str, Script] = {}


class ScriptedProvider(MemoryProvider):
    @property
    def script(self) -> Script:
        return SCRIPTS[self._place]

    @property
    def where(self) -> str:
        return self.script.where or super().where

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        return super().list(prefix) if self.script.listed is None else self.script.listed(prefix)

    def put(self, key: str, source: BinaryIO, size: int | None) -> None:
        self.script.put(key)
        self.script.written.append(key)
        super().put(key, source, size)

    def matches(self, info: ObjectInfo, file: Path) -> bool | None:
        if self.script.matches is None:
            return super().matches(info, file)
        return self.script.matches(info, file)


class Scripted(MemoryObjects):
    """A store that does as its test wants."""

    def make_provider(self) -> ScriptedProvider:
        return ScriptedProvider(self.place, self.folder)


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Script]:
    SCRIPTS[str(tmp_path)] = Script()
    yield SCRIPTS[str(tmp_path)]
    del SCRIPTS[str(tmp_path)]


@pytest.fixture
def store(script: Script, tmp_path: Path) -> Scripted:
    return Scripted(place=str(tmp_path))


# ---------------------------------------------------------------- order

name = st.text(st.sampled_from("ab-./\U0001f600\uffff"), min_size=1, max_size=5)


@given(st.sets(name), st.sets(name))
def test_two_listings_are_merged(files: set[str], keys: set[str]) -> None:
    objects = [ObjectInfo(f"x/{key}", 1, NOW) for key in sorted(keys)]
    merged = list(merge(sorted(files), objects, "x/"))
    assert [pair.name for pair in merged] == sorted(files | keys)
    assert {pair.name for pair in merged if pair.has_file} == files
    assert {pair.name for pair in merged if pair.info is not None} == keys
    assert all(pair.info is None or pair.info.path == f"x/{pair.name}" for pair in merged)


@pytest.mark.parametrize("follow_links", [True, False])
def test_a_directory_is_walked_in_the_order_of_keys(tmp_path: Path, follow_links: bool) -> None:
    names = ["a", "a-b", "a.d/x", "a.txt", "a0", "b!/y", "b/!", "b/c/d", "b/c.d", "\U0001f600"]
    plant(tmp_path / "tree", dict.fromkeys(names, b""))
    (tmp_path / "tree/b-link").symlink_to("b")
    links = ["b-link/!", "b-link/c.d", "b-link/c/d"] if follow_links else []
    left_out: dict[str, str] = {}
    found = list(walk(tmp_path / "tree", [], left_out, follow_links=follow_links))
    assert found == sorted([*names, *links])
    assert not left_out


def test_a_store_that_lists_without_order_is_refused(
    store: Scripted, script: Script, tmp_path: Path
) -> None:
    plant(tmp_path / "up", {"a": b"", "b": b"", "c": b""})
    infos = [ObjectInfo(key, 0, NOW) for key in ("b", "a", "c", "d")]
    script.listed = lambda prefix: iter(infos)
    with pytest.raises(StorageError, match="lists 'a' after 'b', and a sync needs keys in order"):
        store.sync_up(tmp_path / "up", delete=True)
    with pytest.raises(StorageError, match="lists 'a' after 'b', and a sync needs keys in order"):
        store.sync_down("", tmp_path / "up", delete=True)
    assert sorted(read(tmp_path / "up")) == ["a", "b", "c"]


def test_any_name_waits_in_a_spool() -> None:
    names = ["a\nb", "\udcff", "ä", "", *("x" * 1000 for _ in range(2000))]
    with open_spool() as spool:
        for each in names:
            spool.add(each)
        assert list(spool) == names == list(spool)


def make_many(count: int) -> Iterator[str]:
    return (f"{number // 100:04}/{number % 100:02}" for number in range(count))


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["up", "down", "delete up", "delete down"])
def test_memory_does_not_grow_with_the_number_of_files(
    store: Scripted, script: Script, tmp_path: Path, direction: str
) -> None:
    def list_many(prefix: str, count: int) -> Iterator[ObjectInfo]:
        return (ObjectInfo(prefix + each, 0, NOW) for each in make_many(count))

    script.matches = lambda info, file: True
    empty = tmp_path / "empty"
    empty.mkdir()

    def measure(count: int) -> int:
        tree = tmp_path / uuid4().hex
        plant(tree, dict.fromkeys(make_many(count), b""))
        script.listed = lambda prefix: list_many(prefix, count)
        # Beside the heap of other tests, garbage in circles would wait for long to be collected.
        gc.collect()
        gc.freeze()
        tracemalloc.start()
        try:
            if direction == "up":
                assert store.sync_up(tree, "x") == SyncResult(unchanged=count)
            elif direction == "down":
                assert store.sync_down("x", tree) == SyncResult(unchanged=count)
            elif direction == "delete up":
                assert store.sync_up(empty, "x", delete=True) == SyncResult(deleted=count)
            else:
                script.listed = lambda prefix: iter(())
                assert store.sync_down("", tree, delete=True) == SyncResult(deleted=count)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    # What waits to be deleted: its names, up to 1 MiB, and one request for 1000.
    # All of the names would be more than a megabyte.
    allowed = measure(1_000) + 500_000
    # The interpreter's table of interned texts, as pathlib's, grows by megabytes now and then.
    assert any(measure(10_000) < allowed for _ in range(3))


# ---------------------------------------------------------------- what is unchanged


def test_without_a_checksum_size_and_time_decide(
    store: Scripted, script: Script, tmp_path: Path
) -> None:
    script.matches = lambda info, file: None
    up, down = tmp_path / "up", tmp_path / "down"
    plant(up, {"older": b"1", "newer": b"1", "larger": b"1"})
    for each in up.iterdir():
        os.utime(each, (1000, 1000))
    assert store.sync_up(up).transferred == 3
    assert store.sync_up(up) == SyncResult(unchanged=3)
    assert store.sync_down("", down).transferred == 3
    assert store.sync_down("", down) == SyncResult(unchanged=3)
    modified = store.object_info("newer").modified
    assert datetime.fromtimestamp((down / "newer").stat().st_mtime, UTC) - modified < timedelta(
        microseconds=1
    )
    assert store.sync_up(down) == SyncResult(unchanged=3)
    later = modified.timestamp() + 1
    os.utime(up / "newer", (later, later))
    (up / "larger").write_bytes(b"22")
    os.utime(up / "larger", (1000, 1000))
    os.utime(down / "older", (1000, 1000))
    assert store.sync_up(up) == SyncResult(2, 1, 0, 3)
    assert store.sync_down("", down) == SyncResult(3, 0, 0, 4)


def test_the_md5_that_is_listed_is_compared(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"hello")
    info = ObjectInfo("a", 5, NOW)
    provider = MemoryProvider("x", "")
    digest = bytes.fromhex("5d41402abc4b2a76b9719d911017c592")
    for md5, is_same in ((None, None), (digest, True), (b"1" * 16, False)):
        found = replace(info, md5=md5)
        assert ObjectStoreProvider.matches(provider, found, file) is is_same
    assert replace(info, md5=digest) == info


def test_a_local_directory_compares_contents(tmp_path: Path) -> None:
    store = LocalDirectory(basepath=tmp_path / "store")
    content = os.urandom(3_000_000)
    store.write_path("a", content)
    info, file = store.object_info("a"), tmp_path / "file"
    for found, is_same in (
        (content, True),
        (content[:-1], False),
        (content + b"1", False),
        (content[:-1] + bytes([content[-1] ^ 1]), False),
        (b"", False),
    ):
        file.write_bytes(found)
        assert store.make_provider().matches(info, file) is is_same


def test_what_is_deleted_meanwhile_is_sent(store: Scripted, script: Script, tmp_path: Path) -> None:
    def matches(info: ObjectInfo, file: Path) -> bool:
        raise ObjectMissing(info.path, "it is gone", "Write it.")

    script.matches = matches
    plant(tmp_path / "up", {"a": b"1"})
    store.write_path("a", b"1")
    assert store.sync_up(tmp_path / "up").transferred == 1


def test_a_file_that_cannot_be_compared_is_named(
    store: Scripted, script: Script, tmp_path: Path
) -> None:
    def matches(info: ObjectInfo, file: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    script.matches = matches
    plant(tmp_path / "up", {"a": b"1"})
    store.write_path("a", b"1")
    with pytest.raises(StorageError, match=r"up/a: it can't be read \(Permission denied\)"):
        store.sync_up(tmp_path / "up")


# ---------------------------------------------------------------- what is in the way


ODD_FOLDERS = {
    "two slashes": (["a/1", "a//2", "a///b/3", "a/./4"], ["1", "2", "4", "b/3"], []),
    "an object and a folder": (["a/same", "a/same/in", "a/z"], ["same", "z"], ["a/same/in"]),
    "some between": (["a/x", "a/x-y", "a/x.z", "a/x/in"], ["x", "x-y", "x.z"], ["a/x/in"]),
    "a marker, and an object": (["a/same", "a/same/", "a/z"], ["same", "z"], ["a/same/"]),
    "a folder, then an object": (["a//b/c", "a/b", "a/z"], ["b/c", "z"], ["a/b"]),
    "two of one file": (["a/./b", "a//b", "a/b", "a/z"], ["b", "z"], ["a/./b", "a//b"]),
    "two of one other file": (["a/./b", "a//b", "a/z"], ["b", "z"], ["a//b"]),
    "one that came before": (["a/-b", "a/./-b", "a//z"], ["-b", "z"], ["a/./-b"]),
    "a deep one": (["a/b", "a/b/c/d", "a/b/c/e"], ["b"], ["a/b/c/d", "a/b/c/e"]),
    "hostile ones": (["a/../x", "a/..", "a/b/../../../x", "a/n\0l", "a/z"], ["z"], [
        "a/..", "a/../x", "a/b/../../../x", "a/n\0l"
    ]),
}  # fmt: skip


@pytest.mark.parametrize("case", ODD_FOLDERS)
def test_a_folder_with_odd_keys_comes_down(store: Scripted, tmp_path: Path, case: str) -> None:
    keys, files, left_out = ODD_FOLDERS[case]
    for key in keys:
        store.make_provider().put(key, BytesIO(b"" if key.endswith("/") else key.encode()), None)
    down = tmp_path / "down"
    plant(down, {"0": b"not there", "b-1": b"not there"})
    for _ in range(2):
        if left_out:
            with pytest.raises(FilesLeftOut) as caught:
                store.sync_down("a", down, delete=True)
            assert list(caught.value.problems) == left_out
        else:
            store.sync_down("a", down, delete=True)
        found = read(down)
        assert sorted(found) == files
        good = [key for key in keys if key not in left_out]
        assert sorted(found.values()) == sorted(key.encode() for key in good if key[-1] != "/")
    assert [path.name for path in tmp_path.iterdir()] == ["down"]


def test_a_file_becomes_a_directory_and_the_other_way_round(
    store: Scripted, tmp_path: Path
) -> None:
    down = tmp_path / "down"
    before = {"a": b"file", "b/c/d": b"deep", "b/e": b"deep", "z": b"same"}
    plant(down, before)
    after = {"a/x": b"deep", "b": b"file", "z": b"same"}
    for path, content in after.items():
        store.write_path(path, content)
    with pytest.raises(FilesLeftOut) as caught:
        store.sync_down("", down)
    assert list(caught.value.problems) == ["a/x", "b"]
    assert read(down) == before
    assert store.sync_down("", down, delete=True) == SyncResult(2, 1, 3, 8)
    assert read(down) == after


def test_a_local_path_that_is_a_file_is_refused(store: Scripted, tmp_path: Path) -> None:
    store.write_path("a", b"1")
    plant(tmp_path, {"file": b"1"})
    with pytest.raises(PathInvalid, match="it is a file, not a directory"):
        store.sync_down("", tmp_path / "file", delete=True)
    with pytest.raises(StorageError, match="Not a directory"):
        store.sync_up(tmp_path / "file", delete=True)
    assert store.read_path("a") == b"1"


def test_what_stands_for_an_empty_folder_stays(store: Scripted, tmp_path: Path) -> None:
    for key in ("x/", "x/empty/", "x/build/"):
        store.make_provider().put(key, BytesIO(b""), 0)
    plant(tmp_path / "up", {"a": b"1", "ignore": b"build/\nignore\n"})
    ignore = tmp_path / "up/ignore"
    assert store.sync_up(tmp_path / "up", "x", ignore_file=ignore, delete=True).deleted == 0
    done = store.sync_down("x", tmp_path / "down", ignore_file=ignore)
    assert done == SyncResult(1, 0, 0, 1)
    assert sorted(path.name for path in (tmp_path / "down").iterdir()) == ["a", "empty"]
    store.delete_object("x/a")
    assert store.sync_down("x", tmp_path / "down", delete=True) == SyncResult(deleted=1)


def test_what_is_no_file_at_the_source_keeps_its_object(store: Scripted, tmp_path: Path) -> None:
    plant(tmp_path / "up", {"a": b"1"})
    (tmp_path / "up/gone").symlink_to("nowhere")
    (tmp_path / "up/loop").symlink_to(".")
    for path in ("gone", "loop/x", "loo", "extra"):
        store.write_path(path, b"1")
    with pytest.raises(FilesLeftOut) as caught:
        store.sync_up(tmp_path / "up", delete=True)
    assert list(caught.value.problems) == ["gone", "loop"]
    assert [info.path for info in store.list_objects()] == ["a", "gone", "loop/x"]


def test_only_what_a_sync_understands_is_deleted(store: Scripted, tmp_path: Path) -> None:
    down, elsewhere = tmp_path / "down", tmp_path / "elsewhere"
    plant(elsewhere, {"a": b"1"})
    plant(down, {"extra": b"1", ".flowstone-1.part": b"in the making"})
    Path(os.fsdecode(os.fsencode(down) + b"/bad-\xff.txt")).write_text("bad")
    (down / "link").symlink_to(elsewhere)
    (down / "file-link").symlink_to(elsewhere / "a")
    (down / "loop").symlink_to("loop")
    os.mkfifo(down / "pipe")
    assert store.sync_down("", down, delete=True).deleted == 2
    left = sorted(os.fsencode(each.name) for each in down.iterdir())
    assert left == [b".flowstone-1.part", b"bad-\xff.txt", b"link", b"loop", b"pipe"]
    assert read(elsewhere) == {"a": b"1"}


def test_names_that_are_no_text_come_down_from_a_directory(tmp_path: Path) -> None:
    bad = os.fsdecode(b"bad-\xff.txt")
    plant(tmp_path / "store", {bad: b"bad"})
    store = LocalDirectory(basepath=tmp_path / "store")
    for transferred in (1, 0):
        done = store.sync_down("", tmp_path / "down", delete=True)
        assert done.transferred == transferred
    assert read(tmp_path / "down") == {bad: b"bad"}


def test_a_sync_to_a_disk_removes_the_directories_that_it_empties(tmp_path: Path) -> None:
    disk = LocalDirectory(basepath=tmp_path / "disk")
    for path in ("x/a/b/1", "x/a/b/2", "x/c/1", "x/keep/1", "y/1"):
        disk.write_path(path, b"1")
    (tmp_path / "disk/x/mine").mkdir()
    plant(tmp_path / "up", {"keep/1": b"1"})
    assert disk.sync_up(tmp_path / "up", "x").deleted == 0
    assert disk.sync_up(tmp_path / "up", "x", delete=True).deleted == 3
    assert sorted(path.name for path in (tmp_path / "disk/x").iterdir()) == ["keep", "mine"]
    (tmp_path / "up/keep/1").unlink()
    assert disk.sync_up(tmp_path / "up", "x", delete=True).deleted == 1
    assert [path.name for path in (tmp_path / "disk/x").iterdir()] == ["mine"]
    assert disk.sync_up(tmp_path / "up", "y", delete=True).deleted == 1
    assert (tmp_path / "disk/y").is_dir()
    assert disk.sync_up(tmp_path / "up", delete=True).deleted == 0


def test_a_directory_is_made_by_the_first_sync(tmp_path: Path) -> None:
    plant(tmp_path / "up", {"a/b": b"1"})
    store = LocalDirectory(basepath=tmp_path / "new/store")
    with pytest.raises(BucketMissing):
        store.sync_down("", tmp_path / "down")
    assert store.sync_up(tmp_path / "up") == SyncResult(1, 0, 0, 1)
    assert store.sync_down("", tmp_path / "down") == SyncResult(1, 0, 0, 1)


def test_an_empty_store_is_there_and_an_empty_folder_is_not(
    store: Scripted, tmp_path: Path
) -> None:
    plant(tmp_path / "down", {"a": b"1"})
    with pytest.raises(ObjectMissing, match="there is no such folder"):
        store.sync_down("x", tmp_path / "down", delete=True)
    assert read(tmp_path / "down") == {"a": b"1"}
    assert store.sync_down("", tmp_path / "down", delete=True) == SyncResult(deleted=1)


def test_the_working_directory_is_the_default(
    store: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plant(tmp_path, {"a": b"1"})
    assert asyncio.run(store.async_up()).transferred == 1
    assert asyncio.run(store.async_down(ExactKey(""), Path("down"))).transferred == 1
    assert store.sync_up("down", delete=True) == SyncResult(unchanged=1)
    plant(Path("down"), {"b/c": b""})
    assert store.sync_down(local_path="down", delete=True) == SyncResult(0, 1, 1, 0)
    assert read(tmp_path) == {"a": b"1", "down/a": b"1"}


def test_nothing_is_deleted_where_a_transfer_failed(
    store: Scripted, script: Script, tmp_path: Path
) -> None:
    def put(key: str) -> None:
        if key == "b":
            raise Unreachable("there", "it broke", "Try again.")

    plant(tmp_path / "up", {"a": b"1", "b": b"2", "c": b"3", ".flowstone-1.part": b"half"})
    store.write_path("extra", b"1")
    script.put = put
    with pytest.raises(Unreachable):
        store.sync_up(tmp_path / "up", delete=True)
    assert store.exists("extra")
    script.put = lambda key: None
    script.written.clear()
    arrived = len(list(store.list_objects())) - 1
    done = store.sync_up(tmp_path / "up", delete=True)
    assert (done.unchanged, done.deleted) == (arrived, 1)
    assert len(script.written) == done.transferred == 3 - arrived


# ---------------------------------------------------------------- in a run


def find_progress(services: Services) -> list[tuple[str, str | None, float]]:
    """Return the versions of progress artifacts: id, description, percent."""
    services.journal.flush()
    events = [event.payload for _, event in services.runs.events(kinds=["ArtifactSaved"])]
    return [
        (each.id, each.description, each.data)
        for each in events
        if isinstance(each, ArtifactVersion) and each.kind == "progress"
    ]


def test_a_run_has_measures_and_a_progress_that_ends_at_100(
    services: Services, store: Scripted, script: Script, tmp_path: Path
) -> None:
    plant(tmp_path / "up", {"a": b"123", "b/c": b"45"})
    store.write_path("x/extra", b"1")

    @flow
    def both() -> None:
        assert store.sync_up(tmp_path / "up", "x", delete=True).bytes_transferred == 5
        asyncio.run(store.async_down("x", tmp_path / "down"))
        store.sync_up(tmp_path / "up", "x", progress=False)

    both()
    [run] = services.runs.runs(RunQuery(listed=True))
    assert sum_measures(run.id) == {
        "objects_written": (2, "objects"),
        "bytes_written": (5, "bytes"),
        "objects_deleted": (1, "objects"),
        "objects_read": (2, "objects"),
        "bytes_read": (5, "bytes"),
    }
    [*made] = find_progress(services)
    assert [percent for _, _, percent in made] == [0, 100, 0, 100]
    assert len({key for key, _, _ in made}) == 2
    place = f"memory://{tmp_path}/x/"
    assert [made[0][1], made[2][1]] == [
        f"sync_up: {tmp_path}/up to {place}",
        f"sync_down: {place} to {tmp_path}/down",
    ]


def test_folders_have_a_progress_too(services: Services, store: Scripted, tmp_path: Path) -> None:
    plant(tmp_path / "up", {"a": b"123"})

    @flow
    def both() -> None:
        store.put_directory(tmp_path / "up", "x")
        store.get_directory("x", tmp_path / "down")
        store.get_directory("x", tmp_path / "down", progress=False)

    both()
    assert [percent for _, _, percent in find_progress(services)] == [0, 100, 0, 100]


def test_progress_is_live_and_stays_where_it_broke(
    services: Services, store: Scripted, script: Script, tmp_path: Path
) -> None:
    goes_on = Event()

    def put(key: str) -> None:
        if key == "b":
            assert goes_on.wait(60)
            raise Unreachable("there", "it broke", "Try again.")

    script.put = put
    plant(tmp_path / "up", {"a": b"1" * 300, "b": b"2" * 600, "c": b"3" * 100})

    @flow
    def send() -> SyncResult:
        return store.sync_up(tmp_path / "up", progress=True)

    failed: list[BaseException] = []

    def run() -> None:
        try:
            send()
        except Unreachable as error:
            failed.append(error)

    thread = Thread(target=run)
    thread.start()
    pause = Event()
    while (made := find_progress(services))[-1:] == [] or made[-1][2] != 40:
        assert thread.is_alive()
        pause.wait(0.01)
    goes_on.set()
    thread.join()
    assert failed
    assert find_progress(services)[-1][2] == 40
    [ended] = services.runs.runs(RunQuery(listed=True))
    assert sum_measures(ended.id)["bytes_written"] == (400, "bytes")


def test_a_progress_shows_no_secret(
    services: Services, store: Scripted, script: Script, tmp_path: Path
) -> None:
    register("canary-in-an-address")
    script.where = "https://user:canary-in-an-address@host/bucket"
    plant(tmp_path / "up", {"a": b"1"})

    @flow
    def send() -> None:
        store.sync_up(tmp_path / "up")

    send()
    assert {each[1] for each in find_progress(services)} == {
        f"sync_up: {tmp_path}/up to https://user:{MASK}@host/bucket/"
    }


@pytest.mark.usefixtures("services")
def test_without_a_terminal_nothing_is_drawn(
    store: Scripted, script: Script, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert not sys.stderr.isatty()
    plant(tmp_path / "up", {f"{number}": b"1" for number in range(5)})
    for progress in (True, False, None):
        store.sync_up(tmp_path / "up", progress=progress)
    assert capfd.readouterr() == ("", "")


def test_each_store_syncs_with_each(tmp_path: Path) -> None:
    stores: Sequence[ObjectStore] = [
        LocalDirectory(basepath=tmp_path / "store"),
        MemoryObjects(place=str(tmp_path), folder="deep/folder"),
    ]
    tree = {"a": b"1", "b/c": b"2"}
    plant(tmp_path / "0", tree)
    for number, store in enumerate(stores):
        assert store.sync_up(tmp_path / str(number)).transferred == 2
        assert store.sync_down("", tmp_path / str(number + 1)).transferred == 2
        assert read(tmp_path / str(number + 1)) == tree
