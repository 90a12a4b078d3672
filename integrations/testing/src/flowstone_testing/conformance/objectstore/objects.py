"""Tests of single objects and of listings."""

# ruff: noqa: S310 - the URLs are the store's own

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from inspect import isfunction
from itertools import islice
from typing import TYPE_CHECKING, Literal, cast
from urllib.request import Request, urlopen

import pytest

from flowstone.blocks import Block, ObjectStore
from flowstone.errors import ObjectMissing, StorageError
from flowstone_testing.conformance.objectstore.base import ObjectStoreBase, assert_same, names
from flowstone_testing.conformance.suite import capability
from flowstone_testing.objects import MemoryObjects

if TYPE_CHECKING:
    from pathlib import Path


class ObjectTests(ObjectStoreBase):
    """Write, read, look, list, copy, move, delete."""

    def test_what_is_written_is_read(self, store: ObjectStore) -> None:
        """Look at `put` and `get`: they must not change the bytes."""
        content = b"\r\n" + bytes(range(256)) * 41 + b"\n"
        assert store.write_path("a/b.bin", content) == "a/b.bin"
        assert_same(store.read_path("a/b.bin"), content)
        assert store.exists("a/b.bin")

    def test_a_whole_read_is_what_a_stream_reads(self, store: ObjectStore) -> None:
        """Look at a `read` that the provider defines: it returns the whole current object."""
        for content in (b"", b"1", bytes(range(256)) * 10_000, b"2"):
            store.write_path("a/b", content)
            assert_same(store.read_path("a/b"), content)
            assert_same(store.read_path("/a/./b"), b"".join(store.stream("a/b")))

    def test_an_object_may_be_empty(self, store: ObjectStore) -> None:
        """Look at `put` and `get` with no bytes: an empty range is invalid in a request."""
        store.write_path("empty", b"")
        assert store.read_path("empty") == b""
        assert list(store.stream("empty")) == []
        assert [info.size for info in store.list_objects()] == [0]

    def test_writing_again_replaces(self, store: ObjectStore) -> None:
        """Look at `put`: shorter content must not leave the end of a longer one."""
        store.write_path("a", b"long content")
        before = store.object_info("a")
        store.write_path("a", b"short")
        after = store.object_info("a")
        assert store.read_path("a") == b"short"
        assert after.size == 5
        assert before.etag is None or after.etag != before.etag

    def test_what_is_not_there_is_missing(self, store: ObjectStore, tmp_path: Path) -> None:
        """Look at the table of errors: the service's "no such key" is ObjectMissing."""
        store.write_path("folder/a", b"1")
        for path in ("nothing", "folder", "folder/b", "folder/a/b"):
            assert not store.exists(path)
            for lookup in (store.read_path, store.object_info, store.open_read):
                with pytest.raises(ObjectMissing):
                    lookup(path)
            with pytest.raises(ObjectMissing):
                store.copy_object(path, "copy")
            with pytest.raises(ObjectMissing):
                store.download_object_to_path(path, tmp_path / "file")
            store.delete_object(path)
        assert names(store) == ["folder/a"]

    def test_size_time_and_etag_are_told(self, store: ObjectStore) -> None:
        """Look at `head` and `list`: bytes, an aware time in UTC, the same etag in both."""
        store.write_path("a/b", b"12345")
        [listed] = store.list_objects()
        info = store.object_info("a/b")
        assert listed == info
        assert (info.path, info.size) == ("a/b", 5)
        assert info.modified.utcoffset() == timedelta(0)
        assert abs(datetime.now(UTC) - info.modified) < timedelta(minutes=15)

    def test_listing_goes_below_and_is_ordered(self, store: ObjectStore) -> None:
        """Look at `list`: every key with the prefix, ordered by key."""
        paths = ["a", "b/1", "b/c/2", "b/c/d/3", "b.txt", "z"]
        for path in paths:
            store.write_path(path, b"")
        assert names(store) == sorted(paths)
        assert names(store, "b") == ["b/1", "b/c/2", "b/c/d/3"]
        assert names(store, "/b/c/") == ["b/c/2", "b/c/d/3"]
        assert names(store, "nothing") == []
        assert [info.path for info in store.list_objects(max_items=2)] == sorted(paths)[:2]

    def test_a_level_is_listed_with_its_folders(self, store: ObjectStore) -> None:
        """Look at a `list_level` that the provider defines: it must not yield deeper objects."""
        for path in ("a", "b/1", "b/c/2", "b/d/3", "b-c", "b.txt", "z/9"):
            store.write_path(path, b"1")
        found = list(store.list_objects(delimiter="/"))
        assert [info.path for info in found] == ["a", "b-c", "b.txt", "b/", "z/"]
        assert [info.is_folder() for info in found] == [False, False, False, True, True]
        level = [info.path for info in store.list_objects("b", delimiter="/")]
        assert level == ["b/1", "b/c/", "b/d/"]
        assert [info.path for info in store.list_objects("b/c", delimiter="/")] == ["b/c/2"]
        assert list(store.list_objects("nothing", delimiter="/")) == []
        odd = cast("Literal['/']", "-")
        with pytest.raises(StorageError, match="delimiter"):
            list(store.list_objects(delimiter=odd))

    def test_a_listing_may_have_a_pattern(self, store: ObjectStore) -> None:
        """Look for a `list_objects` that the block defines."""
        for path in ("a.csv", "2026/b.csv", "2026/01/c.csv", "2026/01/c.txt", "csv/d"):
            store.write_path(path, b"1")

        def find(pattern: str, folder: str = "") -> list[str]:
            return [info.path for info in store.list_objects(folder, pattern=pattern)]

        assert find("*.csv") == ["2026/01/c.csv", "2026/b.csv", "a.csv"]
        assert find("2026/*.csv") == ["2026/b.csv"]
        assert find("/*.csv") == ["a.csv"]
        assert find("**/01/*") == ["2026/01/c.csv", "2026/01/c.txt"]
        assert find("*.csv", "2026") == ["2026/01/c.csv", "2026/b.csv"]
        assert find("/*.csv", "2026") == ["2026/b.csv"]
        levels = [i.path for i in store.list_objects(pattern="2*", delimiter="/")]
        assert levels == ["2026/"]
        assert [i.path for i in store.list_objects(max_items=1, pattern="a*")] == ["a.csv"]

    def test_many_are_deleted_at_once(self, store: ObjectStore) -> None:
        """Look at `delete` with several keys, one of them missing."""
        for path in ("a", "b/1", "b/2", "c"):
            store.write_path(path, b"1")
        store.delete_objects([*store.list_objects("b"), "c", "nothing"])
        store.delete_objects([])
        assert names(store) == ["a"]

    def test_folders_with_like_names_do_not_mix(self, store: ObjectStore, tmp_path: Path) -> None:
        """Look at `list`: the prefix ends in a slash and must be used unchanged."""
        for path in ("a/b/1", "a/bc/2", "a/b.txt", "ab/3", "a/b"[:1] + "/b-c/4"):
            store.write_path(path, path.encode())
        assert names(store, "a/b") == ["a/b/1"]
        assert [p.name for p in store.get_directory("a/b", tmp_path)] == ["1"]
        assert store.delete_folder("a/b") == 1
        assert names(store) == sorted(["a/bc/2", "a/b.txt", "ab/3", "a/b-c/4"])

    def test_many_objects_are_all_listed(self, store: ObjectStore) -> None:
        """Look at the paging of `list`, and at `delete` with 1000 keys."""
        paths = [f"many/{number % 7}/{number:06}" for number in range(self.count)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda path: store.write_path(path, b"x"), paths))
        assert names(store) == sorted(paths)
        assert [i.path for i in islice(store.list_objects("many/3"), 2)] == sorted(
            path for path in paths if path.startswith("many/3/")
        )[:2]
        assert store.delete_folder("many") == self.count
        assert names(store) == []

    def test_a_copy_is_another_object(self, store: ObjectStore) -> None:
        """Look at `copy`."""
        store.write_path("a", b"1")
        assert store.copy_object("a", "/b/c") == "b/c"
        store.write_path("a", b"2")
        assert (store.read_path("a"), store.read_path("b/c")) == (b"2", b"1")

    def test_a_move_leaves_nothing_behind(self, store: ObjectStore) -> None:
        """Look at `copy` and `delete`."""
        store.write_path("a", b"1")
        assert store.move_object("a", "b/c") == "b/c"
        assert names(store) == ["b/c"]
        assert store.read_path("b/c") == b"1"

    def test_onto_itself_nothing_is_lost(self, store: ObjectStore) -> None:
        """Look at `where`: it must be equal for two blocks of the same place."""
        store.write_path("a", b"1")
        same = type(store)(**{name: getattr(store, name) for name in type(store).model_fields})
        for target in (None, store, same):
            assert store.move_object("a", "./a", target) == "a"
            assert store.copy_object("a", "a", target) == "a"
            assert store.read_path("a") == b"1"

    def test_objects_go_from_store_to_store(
        self, store: ObjectStore, outside: ObjectStore | None
    ) -> None:
        """Look at `copy`: keys are full keys, each in its own store."""
        other = MemoryObjects(place=f"conformance-{id(self)}", folder="/else/where/")
        for target in (other, outside):
            if target is None:
                continue
            store.write_path("a/b", b"there")
            assert store.copy_object("a/b", "copied", target) == "copied"
            assert target.read_path("copied") == b"there"
            assert store.stream_from(target, "copied", "back") == "back"
            assert store.read_path("back") == b"there"
            assert store.stream_from(target, "copied") == "copied"
            assert store.move_object("a/b", "moved", target) == "moved"
            assert not store.exists("a/b")
            assert target.read_path("moved") == b"there"
        other.delete_folder("")

    @capability("presigns", StorageError, "presigned")
    def test_presigned_urls_need_no_login(self, store: ObjectStore) -> None:
        """Look at `presign`: the full key, quoted. Set `presigns` if the store has such URLs."""
        store.write_path("a b/ä+.txt", b"signed")
        with urlopen(store.presigned_url("a b/ä+.txt")) as answer:
            assert answer.read() == b"signed"
        url = store.presigned_url("new.txt", method="PUT")
        # urllib's own type is that of a form
        headers = {"Content-Type": "application/octet-stream", **self.presigned_headers}
        with urlopen(Request(url, b"put", headers, method="PUT")) as answer:
            assert answer.status in {200, 201}
        assert store.read_path("new.txt") == b"put"

    def test_it_may_be_used_from_several_threads(self, store: ObjectStore) -> None:
        """Look for a shared client that is not thread-safe."""

        def work(number: int) -> bytes:
            store.write_path(f"t/{number}", b"%d" % number * 1000)
            return store.read_path(f"t/{number}")

        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(work, range(32)))
        assert found == [b"%d" % number * 1000 for number in range(32)]

    def test_each_method_has_an_async_twin(self, store: ObjectStore) -> None:
        """Look for an async version in the provider: they must come from the interface."""

        async def work() -> list[str]:
            await store.awrite_path("a", b"12345")
            assert await store.aread_path("a") == b"12345"
            assert await store.aexists("a")
            assert [chunk async for chunk in store.astream("a", 2)] == [b"12", b"34", b"5"]
            await store.amove_object("a", "b")
            return [info.path async for info in store.alist_objects()]

        assert asyncio.run(work()) == ["b"]
        inside = [base for base in ObjectStore.__mro__ if "object_stores" in base.__module__]
        public = {
            name
            for base in inside
            for name, found in vars(base).items()
            if isfunction(found) and not name.startswith(("_", "a")) and not hasattr(Block, name)
        } - {"make_provider", "uri", "filesystem", "find_bucket"}
        assert public
        assert not [name for name in public if not hasattr(ObjectStore, f"a{name}")]
        assert not [
            name for name in public if getattr(type(store), name) is not getattr(ObjectStore, name)
        ]
