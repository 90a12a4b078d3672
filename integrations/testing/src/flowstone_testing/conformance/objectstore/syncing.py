"""Tests of syncing: only differences are transferred."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from flowstone.blocks.object_stores import SyncResult
from flowstone.errors import FilesLeftOut, PathInvalid, StorageError
from flowstone_testing.conformance.objectstore.base import MIB, ObjectStoreBase, names

if TYPE_CHECKING:
    from pathlib import Path

    from flowstone.blocks import ObjectInfo, ObjectStore

HOUR = 3600
#: Ordered by key: `b-c` and `b.txt` come before the files in `b`.
TREE = {"a.txt": b"a", "b-c": b"bc", "b.txt": b"", "b/c.txt": b"c" * 100_000, "b/d/e f": b"\xe4"}


class SyncTests(ObjectStoreBase):
    """Sync up, down, again, with deletes, and after an interruption."""

    def test_a_sync_goes_up_and_comes_down(self, store: ObjectStore, tmp_path: Path) -> None:
        """Look at `list`, which must be ordered by key, and at `download`."""
        _plant(tmp_path / "up", TREE)
        size = sum(map(len, TREE.values()))
        whole = SyncResult(transferred=len(TREE), bytes_transferred=size)
        assert store.sync_up(tmp_path / "up", "/x/./y/") == whole
        assert names(store) == sorted(f"x/y/{name}" for name in TREE)
        assert store.sync_down("x/y", tmp_path / "down") == whole
        assert _tree(tmp_path / "down") == TREE

    def test_what_is_unchanged_is_not_sent_again(self, store: ObjectStore, tmp_path: Path) -> None:
        """Look at `matches`, and at the size and time in `list`."""
        up, down = tmp_path / "up", tmp_path / "down"
        _plant(up, TREE)
        store.sync_up(up, "x")
        before = list(store.list_objects())
        assert store.sync_up(up, "x") == SyncResult(unchanged=len(TREE))
        assert list(store.list_objects()) == before
        store.sync_down("x", down)
        marks = {name: (down / name).stat() for name in TREE}
        assert store.sync_down("x", down) == SyncResult(unchanged=len(TREE))
        for name, mark in marks.items():
            now = (down / name).stat()
            assert (now.st_ino, now.st_mtime_ns) == (mark.st_ino, mark.st_mtime_ns)
        assert store.sync_up(down, "x") == SyncResult(unchanged=len(TREE))
        assert list(store.list_objects()) == before

    def test_what_has_changed_is_sent(self, store: ObjectStore, tmp_path: Path) -> None:
        """Look at `matches`: if there is a checksum, it decides, regardless of the times."""
        up, down = tmp_path / "up", tmp_path / "down"
        _plant(up, TREE)
        store.sync_up(up, "x")
        store.sync_down("x", down)
        has_checksums = _matches(store, "x/a.txt", up / "a.txt") is not None
        _plant(up, {"a.txt": b"A", "b.txt": b"longer"}, age=HOUR if has_checksums else -HOUR)
        assert store.sync_up(up, "x") == SyncResult(2, len(TREE) - 2, 0, 7)
        assert (store.read_path("x/a.txt"), store.read_path("x/b.txt")) == (b"A", b"longer")
        moment = time.time() + (HOUR if has_checksums else -HOUR)
        os.utime(down / "a.txt", (moment, moment))
        assert store.sync_down("x", down) == SyncResult(2, len(TREE) - 2, 0, 7)
        assert _tree(down) == TREE | {"a.txt": b"A", "b.txt": b"longer"}

    def test_a_checksum_says_what_is_so(self, store: ObjectStore, tmp_path: Path) -> None:
        """Look at `matches`, also for multipart uploads: None if it can't be determined."""
        large = os.urandom(MIB) * 20 + b"end"
        for number, content in enumerate((b"", b"small", large)):
            file = tmp_path / f"file{number}"
            file.write_bytes(content)
            store.upload_from_path(file, f"x/{number}")
            assert _matches(store, f"x/{number}", file) in {True, None}
            if content:
                file.write_bytes(content[:-1] + b"?")
                assert _matches(store, f"x/{number}", file) in {False, None}

    def test_what_the_source_has_not_is_deleted_on_demand(
        self, store: ObjectStore, tmp_path: Path
    ) -> None:
        """Look at `delete`, and at the prefix of `list`: objects outside the folder must stay."""
        up, down, beside = tmp_path / "up", tmp_path / "down", tmp_path / "beside"
        _plant(up, TREE)
        extra = ["x/0", "x/b/c.txt~", "x/b/d-e", "x/z/1/2"]
        for path in [*extra, "x-1", "x.txt", "xy/1"]:
            store.write_path(path, b"extra")
        assert store.sync_up(up, "x").deleted == 0
        assert set(names(store, "x")) >= set(extra)
        assert store.sync_up(up, "x", delete=True) == SyncResult(0, len(TREE), len(extra), 0)
        assert names(store) == sorted(["x-1", "x.txt", "xy/1", *(f"x/{name}" for name in TREE)])
        _plant(beside, {"file": b"beside"})
        _plant(down, {"0": b"", "b/d/e f~": b"", "z/1/2": b""})
        (down / "link").symlink_to(beside)
        assert store.sync_down("x", down).deleted == 0
        assert store.sync_down("x", down, delete=True) == SyncResult(0, len(TREE), 3, 0)
        (down / "link").unlink()
        assert _tree(down) == TREE
        assert not (down / "z").exists()
        assert _tree(beside) == {"file": b"beside"}

    def test_a_sync_leaves_alone_what_is_ignored(self, store: ObjectStore, tmp_path: Path) -> None:
        """Look for a sync that the block defines."""
        up, down, ignore = tmp_path / "up", tmp_path / "down", tmp_path / "ignore"
        ignore.write_text("*.tmp\nbuild/\n!keep.tmp\n", encoding="utf-8")
        ignored = ["a.tmp", "build/x", "deep/build/y", "deep/b.tmp"]
        kept = ["a", "deep/c", "keep.tmp"]
        _plant(up, dict.fromkeys([*ignored, *kept], b"here"))
        store.write_path("x/there.tmp", b"there")
        store.write_path("x/build/there", b"there")
        done = store.sync_up(up, "x", ignore_file=ignore, delete=True)
        assert (done.transferred, done.deleted) == (len(kept), 0)
        assert names(store, "x") == sorted(
            f"x/{name}" for name in [*kept, "build/there", "there.tmp"]
        )
        _plant(down, {"mine.tmp": b"mine", "build/mine": b"mine", "mine": b"mine"})
        done = store.sync_down("x", down, ignore_file=ignore, delete=True)
        assert (done.transferred, done.deleted) == (len(kept), 1)
        assert sorted(_tree(down)) == sorted([*kept, "mine.tmp", "build/mine"])

    def test_a_sync_goes_on_where_it_broke(self, store: ObjectStore, tmp_path: Path) -> None:
        """Look at `put` and `download`: what has arrived is complete, and not sent again."""
        up, down = tmp_path / "up", tmp_path / "down"
        width = store.make_provider().parallel
        tree = {f"{number:03}/file": b"%03d" % number for number in range(4 * width)}
        broken = f"{3 * width:03}"
        _plant(up, tree)
        _plant(down, {"extra": b""})
        store.write_path("x/extra", b"")
        _make_unreadable(up / broken / "file")
        with pytest.raises(OSError, match=r".+"):
            store.sync_up(up, "x", delete=True)
        arrived = len(names(store, "x")) - 1
        assert 0 < arrived < len(tree)
        assert store.exists("x/extra")
        (up / broken / "file").unlink()
        _plant(up, {f"{broken}/file": tree[f"{broken}/file"]})
        done = store.sync_up(up, "x", delete=True)
        assert (done.transferred, done.unchanged) == (len(tree) - arrived, arrived)
        (down / broken).symlink_to(broken)
        with pytest.raises(StorageError):
            store.sync_down("x", down, delete=True)
        arrived = len(list(down.glob("*/file")))
        assert 0 < arrived < len(tree)
        assert (down / "extra").exists()
        (down / broken).unlink()
        done = store.sync_down("x", down, delete=True)
        assert (done.transferred, done.unchanged) == (len(tree) - arrived, arrived)
        assert _tree(down) == tree

    def test_a_source_that_is_not_there_deletes_nothing(
        self, store: ObjectStore, tmp_path: Path
    ) -> None:
        """Look for a sync that the block defines: it must raise and change neither side."""
        store.write_path("x/a", b"there")
        _plant(tmp_path / "down", {"a": b"here"})
        with pytest.raises(StorageError, match="nothing"):
            store.sync_up(tmp_path / "nothing", "x", delete=True)
        with pytest.raises(StorageError, match="nothing"):
            store.sync_down("nothing", tmp_path / "down", delete=True)
        with pytest.raises(StorageError, match="no-ignore"):
            store.sync_up(tmp_path / "down", "x", delete=True, ignore_file=tmp_path / "no-ignore")
        assert names(store) == ["x/a"]
        assert _tree(tmp_path / "down") == {"a": b"here"}

    def test_what_can_be_no_file_is_named(self, store: ObjectStore, tmp_path: Path) -> None:
        """Look for a sync that the block defines: transfer all other files, then raise."""
        up, down = tmp_path / "up", tmp_path / "down"
        _plant(up, TREE)
        (up / "b/loop").symlink_to("..")
        with pytest.raises(FilesLeftOut) as caught:
            store.sync_up(up, "x", delete=True)
        assert list(caught.value.problems) == ["b/loop"]
        assert names(store) == [f"x/{name}" for name in sorted(TREE)]
        store.write_path("x/same", b"1")
        with suppress(PathInvalid):  # a directory can't have both
            store.write_path("x/same/inner", b"2")
        (down / "a.txt/in the way").mkdir(parents=True)
        with pytest.raises(FilesLeftOut) as caught:
            store.sync_down("x", down, delete=True)
        prefix = store.make_provider().make_prefix("x")
        inner = [f"{prefix}same/inner"] if store.exists("x/same/inner") else []
        assert list(caught.value.problems) == [f"{prefix}a.txt", *inner]
        others = {name: content for name, content in TREE.items() if name != "a.txt"}
        assert _tree(down) == others | {"same": b"1"}


def _plant(root: Path, tree: dict[str, bytes], age: float = HOUR) -> None:
    """Write files of an age in seconds: a service's clock may be behind."""
    moment = time.time() - age
    for name, content in tree.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
        os.utime(root / name, (moment, moment))


def _tree(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def _matches(store: ObjectStore, path: str, file: Path) -> bool | None:
    provider = store.make_provider()
    key = provider.make_key(path)
    found: list[ObjectInfo] = [
        info for info in provider.list(key.rpartition("/")[0] + "/") if info.path == key
    ]
    return provider.matches(found[0], file)


def _make_unreadable(path: Path) -> None:
    path.chmod(0)
    with suppress(OSError):
        path.read_bytes()
        path.unlink()
        path.symlink_to("/proc/self/mem")  # root may read any file, but not this one
