"""Tests of whole folders: upload, download, in parallel, with an ignore file."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flowstone.errors import ObjectMissing, StorageError
from flowstone_testing.conformance.objectstore.base import ObjectStoreBase, names

if TYPE_CHECKING:
    from flowstone.blocks import ObjectStore

TREE = {
    "a.txt": b"a",
    "b/c.txt": b"c" * 100_000,
    "b/d/e f.txt": b"e",
    "b/d/\u00e4.txt": b"",
    "bc/g.txt": b"g",
}

IGNORE = """
# what is made can be made again
*.pyc
/build
logs/*.log
!logs/keep.log
cache/
**/tmp/x
docs/**/draft.md
\\#kept.txt
name[0-9].txt
"""
LEFT_OUT = [
    "a.pyc", "deep/er/b.pyc", "build/a", "build/deep/b", "logs/a.log", "cache/a", "deep/cache/b",
    "tmp/x", "deep/tmp/x", "docs/draft.md", "docs/a/b/draft.md", "#kept.txt", "name1.txt",
]  # fmt: skip
PUT = [
    "a.py", "deep/build/a", "logs/keep.log", "logs/deep/a.log", "cachet/a", "tmp/y", "draft.md",
    "docs/final.md", "names.txt", "# what is made can be made again", "deep/cache.txt",
]  # fmt: skip


class FolderTests(ObjectStoreBase):
    """Upload and download folders."""

    def test_a_folder_comes_back_as_it_was(self, store: ObjectStore, tmp_path: Path) -> None:
        """Look at the keys: the folder's path must be added, and removed again, exactly once."""
        _plant(tmp_path / "up", TREE)
        for to_path, back in (("x/y", "x/y"), ("/./x/y/", "x/y/"), (None, None)):
            assert store.put_directory(tmp_path / "up", to_path) == len(TREE)
            prefix = "x/y/" if to_path else ""
            assert set(names(store)) >= {prefix + name for name in TREE}
            down = tmp_path / f"down{to_path is None}{back}".replace("/", "")
            found = store.get_directory(back, down)
            if back:
                assert sorted(found) == sorted(down / name for name in TREE)
            assert {name: (down / name).read_bytes() for name in TREE} == TREE

    def test_upload_and_download_of_folders(self, store: ObjectStore, tmp_path: Path) -> None:
        """Look at `test_a_folder_comes_back_as_it_was`: these methods are aliases."""
        _plant(tmp_path / "up", TREE)
        assert store.upload_from_folder(tmp_path / "up", "/to/folder/") == "to/folder"
        assert names(store) == sorted(f"to/folder/{name}" for name in TREE)
        assert store.download_folder_to_path("to", tmp_path / "down") == tmp_path / "down"
        assert _tree(tmp_path / "down") == {f"folder/{name}": TREE[name] for name in TREE}

    def test_empty_directories_go_nowhere(self, store: ObjectStore, tmp_path: Path) -> None:
        """Look for an object that represents a directory: stores have only objects."""
        (tmp_path / "up/empty/inner").mkdir(parents=True)
        assert store.put_directory(tmp_path / "up", "x") == 0
        assert names(store) == []
        with pytest.raises(ObjectMissing):
            store.get_directory("x", tmp_path / "down")
        (tmp_path / "up/file").write_bytes(b"1")
        assert store.put_directory(tmp_path / "up", "x") == 1
        assert names(store) == ["x/file"]

    def test_a_directory_that_is_not_there_is_an_error(
        self, store: ObjectStore, tmp_path: Path
    ) -> None:
        """Look for an upload in the provider: uploading nothing must be an error."""
        for missing in (tmp_path / "nothing", tmp_path / "nothing/deeper"):
            with pytest.raises(StorageError, match="nothing"):
                store.put_directory(missing)
            with pytest.raises(StorageError, match="nothing"):
                store.upload_from_path(missing)
        with pytest.raises(StorageError, match="no-ignore"):
            store.put_directory(tmp_path, ignore_file=tmp_path / "no-ignore")

    def test_a_folder_that_is_not_there_is_missing(
        self, store: ObjectStore, tmp_path: Path
    ) -> None:
        """Look for folder operations in the provider: downloading nothing must be an error."""
        store.write_path("x/a", b"1")
        for work in (store.get_directory, store.download_folder_to_path):
            with pytest.raises(ObjectMissing, match="no/such"):
                work("no/such", tmp_path / "down")
        assert not (tmp_path / "down").exists()
        assert store.delete_folder("no/such") == 0
        assert names(store) == ["x/a"]
        assert store.delete_folder("x") == 1
        with pytest.raises(ObjectMissing, match="x"):
            store.get_directory("x", tmp_path / "down")

    def test_an_ignore_file_leaves_out(self, store: ObjectStore, tmp_path: Path) -> None:
        """Look for an upload in the provider: the interface applies the patterns."""
        ignore = tmp_path / "ignore"
        ignore.write_text(IGNORE, encoding="utf-8")
        _plant(tmp_path / "up", dict.fromkeys([*PUT, *LEFT_OUT], b""))
        assert store.put_directory(tmp_path / "up", ignore_file=ignore) == len(PUT)
        assert names(store) == sorted(PUT)

    def test_a_folder_goes_in_parallel_and_bounded(
        self, store: ObjectStore, tmp_path: Path
    ) -> None:
        """Look for folder operations in the provider, and for threads that don't end."""
        tree = {f"{number % 5}/{number:03}": b"%d" % number for number in range(200)}
        _plant(tmp_path / "up", tree)
        before = set(threading.enumerate())
        assert store.put_directory(tmp_path / "up", "p") == 200
        assert len(store.get_directory("p", tmp_path / "down")) == 200
        assert _tree(tmp_path / "down") == tree
        after = set(threading.enumerate()) - before
        assert not [thread for thread in after if thread.name.startswith("flowstone-transfer")]
        assert len(after) <= store.make_provider().parallel * 4

    def test_a_failure_in_a_folder_is_told(self, store: ObjectStore, tmp_path: Path) -> None:
        """Look for errors that are swallowed in threads."""
        _plant(tmp_path / "up", {f"{number}": b"1" for number in range(20)})
        store.put_directory(tmp_path / "up", "p")
        (tmp_path / "down").write_bytes(b"a file where the directory should be")
        with pytest.raises(StorageError, match="down"):
            store.get_directory("p", tmp_path / "down")


def _plant(root: Path, tree: dict[str, bytes]) -> None:
    for name, content in tree.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)


def _tree(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }
