from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator
from io import BufferedIOBase, BytesIO
from pathlib import Path, PurePosixPath
from typing import BinaryIO, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowstone.blocks import LocalDirectory, ObjectInfo
from flowstone.blocks.ignore_files import is_ignored, read_rules
from flowstone.blocks.object_stores import folder_key, map_in_threads, object_key
from flowstone.blocks.object_stores.parallel import batches
from flowstone.blocks.object_stores.paths import local_path, parts
from flowstone.blocks.object_stores.resuming import make_resuming_reader
from flowstone.errors import (
    BucketMissing,
    InvalidName,
    PathEscapes,
    StorageError,
    Unreachable,
)
from flowstone_testing.objects import MemoryObjects, MemoryProvider

segment = st.text(st.characters(blacklist_characters="/\0"), min_size=1).filter(
    lambda text: text not in {".", ".."}
)
clean = st.lists(segment, min_size=1, max_size=4)
noise = st.sampled_from(["", ".", "x/.."])


@given(folder=st.lists(segment, max_size=3), path=clean, data=st.data())
def test_one_path_has_one_key(folder: list[str], path: list[str], data: st.DataObject) -> None:
    noisy = [part for item in path for part in (data.draw(noise), item, data.draw(noise))]
    key = object_key("/" + "//".join(folder) + "/", "/" + "/".join(noisy))
    assert key == "/".join([*folder, *path])
    assert object_key("/".join(folder), "/".join(path)) == key
    assert key.startswith(folder_key("/".join(folder)))
    assert parts(key) == [*folder, *path]


@given(st.lists(st.sampled_from(["a", "b", ".", "..", ""]), max_size=8))
def test_no_path_leads_out(found: list[str]) -> None:
    path = "/".join(found)
    try:
        key = object_key("in/side", path)
    except (PathEscapes, InvalidName):
        return
    normal = os.path.normpath("/in/side/" + path)
    assert "/" + key == normal
    assert normal.startswith("/in/side/")


@given(name=st.lists(st.sampled_from(["a", "..", ".", "", "b"]), min_size=1).map("/".join))
def test_nothing_is_written_outside_a_local_folder(name: str) -> None:
    root = Path("/root/folder")
    try:
        assert local_path(root, name).is_relative_to(root)
    except PathEscapes:
        assert ".." in name or name.startswith("/")
    else:
        assert ".." not in PurePosixPath(name).parts


def test_hostile_keys_are_not_written(tmp_path: Path) -> None:
    store = MemoryObjects(place=str(tmp_path))
    store.make_provider().put("in/../../evil", BytesIO(b"evil"), None)
    with pytest.raises(PathEscapes, match="evil"):
        store.get_directory("", tmp_path / "down")
    assert not (tmp_path / "evil").exists()


def test_empty_folders_of_others_become_directories(tmp_path: Path) -> None:
    store = MemoryObjects(place=str(tmp_path))
    store.make_provider().put("x/empty/", BytesIO(b""), 0)
    store.make_provider().put("x/file", BytesIO(b"1"), 1)
    assert [info.path for info in store.list_objects()] == ["x/file"]
    assert store.get_directory("x", tmp_path / "down") == [tmp_path / "down/file"]
    assert (tmp_path / "down/empty").is_dir()
    assert store.delete_folder("x") == 1
    assert list(store.make_provider().list("")) == []


GIT = {
    "*.log": (["a.log", "b/a.log"], ["a.log.txt"]),
    "/a": (["a"], ["b/a"]),
    "a/b": (["a/b"], ["x/a/b", "a/bc"]),
    "**/a": (["a", "x/a", "x/y/a"], ["ba"]),
    "a/**": (["a/b", "a/b/c"], ["a"]),
    "a/**/b": (["a/b", "a/x/b", "a/x/y/b"], ["ab"]),
    "a?c": (["abc", "x/abc"], ["a/c", "ac"]),
    "[!a]x": (["bx"], ["ax", "/x"]),
    "[a-c]x": (["bx"], ["dx", "-x"]),
    "\\*": (["*"], ["a"]),
    "\\!a": (["!a"], ["a"]),
    "a  ": (["a"], ["a  "]),
    "[": (["["], ["a"]),
    "a.b": (["a.b"], ["axb"]),
}


@pytest.mark.parametrize("pattern", GIT)
def test_patterns_are_those_of_git(pattern: str) -> None:
    rules = read_rules(["# comment\n", "\n", pattern + "\n"])
    out, kept = GIT[pattern]
    assert [path for path in out if not is_ignored(rules, path, folder=False)] == []
    assert [path for path in kept if is_ignored(rules, path, folder=False)] == []


def test_the_last_pattern_decides() -> None:
    rules = read_rules(["*.log", "!keep.log", "folder/"])
    assert is_ignored(rules, "a.log", folder=False)
    assert not is_ignored(rules, "b/keep.log", folder=False)
    assert is_ignored(rules, "b/folder", folder=True)
    assert not is_ignored(rules, "folder", folder=False)


@given(st.text(max_size=12), st.text(max_size=12))
def test_any_line_is_a_pattern(line: str, path: str) -> None:
    is_ignored(read_rules([line]), path, folder=False)


class Breaking(BytesIO):
    """A connection that breaks after so many bytes."""

    def __init__(self, content: bytes, breaks_after: int, etag: str = "1") -> None:
        super().__init__(content)
        self.left, self.etag = breaks_after, etag

    def read(self, size: int | None = -1) -> bytes:
        if self.left <= 0:
            raise Unreachable("there", "it broke", "Try again.")
        chunk = super().read(self.left if size is None or size < 0 else min(size, self.left))
        self.left -= len(chunk)
        return chunk


@given(
    content=st.binary(min_size=1, max_size=300),
    after=st.integers(1, 50),
    sizes=st.lists(st.integers(1, 80), min_size=1),
)
def test_a_broken_read_goes_on_where_it_was(content: bytes, after: int, sizes: list[int]) -> None:
    opened: list[int] = []

    def open_at(offset: int) -> BufferedIOBase:
        opened.append(offset)
        return Breaking(content[offset:], after)

    with make_resuming_reader(open_at, "it", 3) as reader:
        found = b"".join(reader.read(size) for size in sizes)
        found += reader.read()
    assert found == content
    assert opened == sorted(set(opened))


def test_a_read_that_stays_broken_is_an_error() -> None:
    opened: list[int] = []

    def open_at(offset: int) -> BufferedIOBase:
        opened.append(offset)
        return Breaking(b"content", 0)

    with make_resuming_reader(open_at, "it", 3) as reader, pytest.raises(Unreachable):
        reader.read()
    assert len(opened) == 3


def test_content_that_changed_in_between_is_told() -> None:
    etags = iter(["1", "2"])
    with (
        make_resuming_reader(
            lambda offset: Breaking(b"content"[offset:], 3, next(etags)), "it", 3
        ) as reader,
        pytest.raises(StorageError, match="it was changed while it was read"),
    ):
        reader.read()


class FlakyProvider(MemoryProvider):
    """Uploads break after half of the bytes, so many times."""

    breaks: ClassVar[int] = 0

    def put(self, key: str, source: BinaryIO, size: int | None) -> None:
        if FlakyProvider.breaks > 0:
            FlakyProvider.breaks -= 1
            source.read((size or 0) // 2)
            raise Unreachable(self.where, "it broke", "Try again.")
        super().put(key, source, size)


class Flaky(MemoryObjects):
    """A store behind a connection that breaks."""

    def make_provider(self) -> FlakyProvider:
        return FlakyProvider(self.place, self.folder)


def test_a_broken_upload_is_tried_again(tmp_path: Path) -> None:
    store = Flaky(place=str(tmp_path))
    FlakyProvider.breaks = 2
    file = BytesIO(b"header|0123456789")
    file.seek(7)
    store.upload_from_file_object(file, "a")
    assert store.read_path("a") == b"0123456789"
    FlakyProvider.breaks = 3
    with pytest.raises(Unreachable):
        store.write_path("a", b"new")
    assert store.read_path("a") == b"0123456789"


def test_work_is_bounded_ordered_and_stops_at_an_error() -> None:
    taken, running, most = 0, 0, 0
    lock = threading.Lock()

    def items() -> Iterator[int]:
        nonlocal taken
        for number in range(1000):
            taken += 1
            yield number

    def work(number: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        with lock:
            running -= 1
        if number == 500:
            raise KeyError(number)
        return number

    found = []
    with pytest.raises(KeyError):
        for result in map_in_threads(work, items(), 4):
            found.append(result)
            assert taken <= len(found) + 8
    assert found == list(range(500))
    assert most <= 4
    assert taken < 520
    assert list(batches(range(5), 2)) == [[0, 1], [2, 3], [4]]


class TestLocalDirectory:
    def test_a_missing_directory_is_told_when_listed(self, tmp_path: Path) -> None:
        store = LocalDirectory(basepath=tmp_path / "no")
        with pytest.raises(BucketMissing, match="no such directory"):
            list(store.list_objects())
        store.write_path("a", b"1")
        assert [info.path for info in store.list_objects()] == ["a"]

    def test_a_field_that_is_set_counts_at_once(self, tmp_path: Path) -> None:
        store = LocalDirectory(basepath=tmp_path / "first")
        store.write_path("a", b"1")
        copy = store.model_copy()
        store.basepath = tmp_path / "second"
        store.write_path("a", b"2")
        assert (copy.read_path("a"), store.read_path("a")) == (b"1", b"2")

    def test_a_link_may_not_lead_out(self, tmp_path: Path) -> None:
        (tmp_path / "outside").mkdir()
        (tmp_path / "outside/secret").write_bytes(b"secret")
        (tmp_path / "in").mkdir()
        (tmp_path / "in/link").symlink_to(tmp_path / "outside")
        store = LocalDirectory(basepath=tmp_path / "in")
        looks: list[Callable[[], object]] = [
            lambda: store.read_path("link/secret"),
            lambda: store.write_path("link/new", b""),
            lambda: store.delete_object("link/secret"),
            lambda: store.exists("link/secret"),
        ]
        for look in looks:
            with pytest.raises(PathEscapes, match="link leads it out"):
                look()
        assert list(store.list_objects("")) == []
        assert (tmp_path / "outside/secret").exists()

    def test_a_link_that_stays_inside_is_followed(self, tmp_path: Path) -> None:
        (tmp_path / "in/a/b").mkdir(parents=True)
        (tmp_path / "in/a/link").symlink_to(tmp_path / "in/a/b")
        (tmp_path / "root").symlink_to(tmp_path / "in")
        for root in ("in", "root"):
            store = LocalDirectory(basepath=tmp_path / root)
            store.write_path("a/link/c", root.encode())
            assert store.read_path("a/b/c") == store.read_path("a/link/c") == root.encode()

    def test_a_link_to_a_file_outside_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "secret").write_bytes(b"secret")
        (tmp_path / "in/a").mkdir(parents=True)
        (tmp_path / "in/a/link").symlink_to(tmp_path / "secret")
        (tmp_path / "in/b").symlink_to("../in2")
        (tmp_path / "in2").mkdir()
        store = LocalDirectory(basepath=tmp_path / "in")
        for path in ("a/link", "b/new"):
            for look in (store.read_path, store.open_read, store.object_info):
                with pytest.raises(PathEscapes, match="link leads it out"):
                    look(path)
            with pytest.raises(PathEscapes, match="link leads it out"):
                store.write_path(path, b"")
        assert list((tmp_path / "in2").iterdir()) == []

    def test_drafts_are_not_objects(self, tmp_path: Path) -> None:
        (tmp_path / ".flowstone-0123.part").write_bytes(b"half")
        (tmp_path / ".part").write_bytes(b"whole")
        store = LocalDirectory(basepath=tmp_path)
        assert [info.path for info in store.list_objects()] == [".part"]

    def test_an_object_can_not_be_a_folder_too(self, tmp_path: Path) -> None:
        store = LocalDirectory(basepath=tmp_path)
        store.write_path("a/b", b"1")
        for path in ("a", "a/b/c"):
            with pytest.raises(StorageError, match=re.escape(str(tmp_path / path))):
                store.write_path(path, b"2")
        assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]
        assert [path.name for path in tmp_path.iterdir()] == ["a"]

    def test_a_relative_and_a_home_path_are_where_they_say(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        LocalDirectory(basepath="here").write_path("a", b"1")
        LocalDirectory(basepath="~/there").write_path("a", b"2")
        assert (tmp_path / "here/a").read_bytes() == b"1"
        assert (tmp_path / "home/there/a").read_bytes() == b"2"

    def test_what_is_listed_is_an_object_info(self, tmp_path: Path) -> None:
        store = LocalDirectory(basepath=tmp_path)
        store.write_path("a", b"1")
        assert [type(info) for info in store.list_objects()] == [ObjectInfo]

    def test_a_file_of_two_directories_is_not_lost_by_a_move(self, tmp_path: Path) -> None:
        outer, inner = LocalDirectory(basepath=tmp_path), LocalDirectory(basepath=tmp_path / "raw")
        (tmp_path / "link").symlink_to(tmp_path / "raw")
        linked = LocalDirectory(basepath=tmp_path / "link")
        inner.write_path("a", b"1")
        assert inner.move_object("a", "raw/a", outer) == "raw/a"
        assert outer.move_object("raw/a", "a", inner) == "a"
        assert linked.move_object("a", "a", inner) == "a"
        assert outer.copy_object("raw/a", "a", inner) == "a"
        assert inner.read_path("a") == b"1"

    @pytest.mark.parametrize("chunk_bytes", [0, -1])
    def test_no_byte_is_lost_for_a_wrong_size(self, tmp_path: Path, chunk_bytes: int) -> None:
        store = LocalDirectory(basepath=tmp_path)
        store.write_path("a", b"1")
        with pytest.raises(StorageError, match=f"chunks of {chunk_bytes} bytes"):
            list(store.stream("a", chunk_bytes))

    @pytest.mark.parametrize("content", [None, "text", 1])
    def test_what_is_no_bytes_is_not_written(self, tmp_path: Path, content: bytes) -> None:
        store = LocalDirectory(basepath=tmp_path)
        with pytest.raises(TypeError):
            store.write_path("a", content)
        assert not store.exists("a")
