from __future__ import annotations

import os
import pickle
import re
import socket
import threading
from collections.abc import Callable, Iterator
from io import BufferedIOBase, BytesIO
from pathlib import Path
from typing import BinaryIO, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowstone.blocks import LocalDirectory, ObjectInfo, ObjectStore
from flowstone.blocks.ignore_files import is_ignored, read_rules
from flowstone.blocks.object_stores import (
    CHUNK_BYTES,
    ExactKey,
    folder_key,
    map_in_threads,
    object_key,
    send_in_parts,
)
from flowstone.blocks.object_stores.parallel import batches
from flowstone.blocks.object_stores.paths import local_path
from flowstone.blocks.object_stores.resuming import make_resuming_reader
from flowstone.errors import (
    BucketMissing,
    ConfigurationError,
    FilesLeftOut,
    ObjectMissing,
    PathEscapes,
    PathInvalid,
    StorageError,
    Unreachable,
)
from flowstone_testing.objects import MemoryObjects, MemoryProvider

segment = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1
).filter(lambda text: text not in {".", ".."})
clean = st.lists(segment, min_size=1, max_size=4)


@given(folder=st.lists(segment, max_size=3), path=clean, data=st.data())
def test_one_path_has_one_key(folder: list[str], path: list[str], data: st.DataObject) -> None:
    dots = [part for item in path for part in ([item, "."] if data.draw(st.booleans()) else [item])]
    outside = data.draw(st.sampled_from(["", "/", "//", "./", "/./"]))
    key = object_key("/" + "/".join(folder) + "//", outside + "/".join(dots) + "/")
    assert key == "/".join([*folder, *path])
    assert object_key("/".join(folder), "/".join(path)) == key
    assert key.startswith(folder_key("/".join(folder)))
    assert object_key("", ExactKey(key)) == object_key("/".join(folder), ExactKey("/".join(path)))


@given(st.lists(st.sampled_from(["a", "b", ".", "..", "", "s3:"]), max_size=8))
def test_no_path_leads_out_or_to_another_object(found: list[str]) -> None:
    path = "/".join(found)
    try:
        key = object_key("in/side", path)
    except (PathEscapes, PathInvalid):
        return
    assert ".." not in path
    assert "//" not in path.strip("/")
    assert key == "in/side/" + "/".join(part for part in found if part not in {"", "."})


@given(st.text(st.sampled_from("a/.\0:"), max_size=6))
def test_an_exact_key_is_not_changed(text: str) -> None:
    key = ExactKey(text)
    assert folder_key("in/side", key) in {f"in/side/{text}", f"in/side/{text}/"}
    assert object_key("in/side", key) == f"in/side/{text}"
    assert pickle.loads(pickle.dumps(key)).__class__ is ExactKey


@pytest.mark.parametrize("path", [None, b"a", 1])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(TypeError):
        object_key("folder", path)


@given(name=st.lists(st.sampled_from(["a", "..", ".", "", "b", "\0"]), min_size=1).map("/".join))
def test_nothing_is_written_outside_a_local_folder(name: str) -> None:
    root = Path("/root/folder")
    try:
        found = local_path(root, name)
    except (PathEscapes, PathInvalid):
        assert {"", ".", "..", "\0"} & set(name.split("/"))
    else:
        assert found == root / name
        assert not {"..", "."} & set(name.split("/"))


HOSTILE = ["in/../../evil", "/../evil", "../evil", "in/..", "..", "in/a\0b", "x" * 300]


@pytest.mark.parametrize("key", HOSTILE)
def test_hostile_keys_are_not_written(tmp_path: Path, key: str) -> None:
    store = MemoryObjects(place=str(tmp_path), folder="f")
    store.make_provider().put(f"f/{key}", BytesIO(b"evil"), None)
    for number in range(3):
        store.write_path(f"in/{number}", b"good")
    with pytest.raises(FilesLeftOut, match="1 of its files were not transferred") as caught:
        store.get_directory("", tmp_path / "down")
    assert list(caught.value.problems) == [f"f/{key}"]
    assert [path.name for path in tmp_path.iterdir()] == ["down"]
    assert sorted(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()) == (
        [b"good"] * 3
    )


ODD_FOLDERS = {
    "two slashes": (["a/1", "a//2", "a///b/3", "a/./4"], ["1", "2", "4", "b/3"], []),
    "an object and a folder": (["a/same", "a/same/inner", "a/z"], ["same", "z"], ["a/same/inner"]),
    "a marker, and an object": (["a/same", "a/same/", "a/z"], ["same", "z"], ["a/same/"]),
    "a folder, then an object": (["a//b/c", "a/b", "a/z"], ["b/c", "z"], ["a/b"]),
    "two of one file": (["a/./b", "a//b", "a/b", "a/z"], ["b", "z"], ["a//b", "a/b"]),
    "a deep one": (["a/b", "a/b/c/d", "a/b/c/e"], ["b"], ["a/b/c/d", "a/b/c/e"]),
}


@pytest.mark.parametrize("case", ODD_FOLDERS)
def test_a_folder_with_odd_keys_comes_down(tmp_path: Path, case: str) -> None:
    keys, files, left_out = ODD_FOLDERS[case]
    store = MemoryObjects(place=str(tmp_path))
    for key in keys:
        content = b"" if key.endswith("/") else key.encode()
        store.make_provider().put(key, BytesIO(content), None)
    down = tmp_path / "down"
    if left_out:
        with pytest.raises(FilesLeftOut) as caught:
            store.get_directory("a", down)
        assert list(caught.value.problems) == left_out
        assert all(name in str(caught.value) for name in left_out)
        others = {key for key in keys if key not in left_out}
        assert all(any(o in why for o in others) for why in caught.value.problems.values())
    else:
        assert len(store.get_directory("a", down)) == len(files)
    found = {path.relative_to(down).as_posix(): path for path in down.rglob("*") if path.is_file()}
    assert sorted(found) == files
    assert all(path.read_bytes().decode() in keys for path in found.values())


def test_what_is_on_the_disk_is_in_the_way(tmp_path: Path) -> None:
    store = MemoryObjects(place=str(tmp_path))
    for path in ("a", "b/c", "d"):
        store.write_path(path, b"new")
    (tmp_path / "down/a").mkdir(parents=True)
    (tmp_path / "down/b").write_bytes(b"old")
    with pytest.raises(FilesLeftOut, match=r"(?s)'a': .*directory has that name.*'b/c': .*a file"):
        store.get_directory("", tmp_path / "down")
    assert (tmp_path / "down/b").read_bytes() == b"old"
    assert (tmp_path / "down/d").read_bytes() == b"new"


@pytest.fixture(params=["memory", "local"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "memory":
        return MemoryObjects(place=str(tmp_path))
    return LocalDirectory(basepath=tmp_path / "store")


def test_what_is_no_file_is_named(store: ObjectStore, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "deep").mkdir(parents=True)
    (tree / "deep/z.txt").write_text("z")
    os.mkfifo(tree / "deep/pipe")
    (tree / "to-pipe").symlink_to("deep/pipe")
    (tree / "nowhere").symlink_to("nothing")
    (tree / "itself").symlink_to("itself")
    (tree / "null").symlink_to("/dev/null")
    Path(os.fsdecode(os.fsencode(tree) + b"/bad-\xff.txt")).write_text("bad")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(tree / "a.sock"))
        with pytest.raises(FilesLeftOut) as caught:
            store.put_directory(tree, "t")
    assert {name: why.partition(" (")[0] for name, why in caught.value.problems.items()} == {
        "a.sock": "a socket",
        "bad-\udcff.txt": "its name is not valid UTF-8",
        "deep/pipe": "a named pipe",
        "itself": "a broken link",
        "nowhere": "a broken link",
        "null": "a device",
        "to-pipe": "a named pipe",
    }
    assert r"'bad-\udcff.txt'" in str(caught.value)
    assert [info.path for info in store.list_objects()] == ["t/deep/z.txt"]
    (tmp_path / "ignore").write_text("*pipe\n*.sock\nbad*\nitself\nnowhere\nnull\n")
    assert store.put_directory(tree, "t", tmp_path / "ignore") == 1


def test_linked_folders_are_followed(store: ObjectStore, tmp_path: Path) -> None:
    tree, elsewhere = tmp_path / "tree", tmp_path / "elsewhere"
    (elsewhere / "deep").mkdir(parents=True)
    (elsewhere / "deep/b.txt").write_text("b")
    tree.mkdir()
    (tree / "linked").symlink_to(elsewhere)
    (tree / "again").symlink_to("linked")
    (tree / "file.txt").symlink_to(elsewhere / "deep/b.txt")
    assert store.put_directory(tree, "t") == 3
    files = ["t/again/deep/b.txt", "t/file.txt", "t/linked/deep/b.txt"]
    assert [info.path for info in store.list_objects()] == files
    (elsewhere / "deep/up").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(tree)
    with pytest.raises(FilesLeftOut, match="a link to a directory that it is in") as caught:
        store.put_directory(tree, "u")
    loops = ["deep/up", "back"]
    assert set(caught.value.problems) == {
        f"{link}/{loop}" for link in ("again", "linked") for loop in loops
    }
    assert len(list(store.list_objects("u"))) == 3


def test_names_that_look_like_paths_go_up_as_they_are(store: ObjectStore, tmp_path: Path) -> None:
    names = ["a\\b", "s3:", "%2F", " a ", "...", "~", "a\nb", "-", "umlaut-a\u0308"]
    for name in names:
        (tmp_path / "tree/s3:").mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree/s3:" / name).write_text(name)
    assert store.put_directory(tmp_path / "tree") == len(names)
    assert {info.path: store.read_path(info.path).decode() for info in store.list_objects()} == {
        f"s3:/{name}": name for name in names
    }
    assert store.upload_from_path(tmp_path / "tree/s3:/%2F") == "%2F"
    assert store.stream_from(store, ExactKey("s3:/%2F")) == "%2F"
    assert len(store.get_directory(ExactKey("s3:"), tmp_path / "down")) == len(names)


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

    with make_resuming_reader(open_at, "it", 3, lambda: 0) as reader:
        found = b"".join(reader.read(size) for size in sizes)
        found += reader.read()
    assert found == content
    assert opened == sorted(set(opened))


def test_a_read_that_stays_broken_is_an_error() -> None:
    opened: list[int] = []

    def open_at(offset: int) -> BufferedIOBase:
        opened.append(offset)
        return Breaking(b"content", 0)

    with make_resuming_reader(open_at, "it", 3, lambda: 0) as reader, pytest.raises(Unreachable):
        reader.read()
    assert len(opened) == 3


def test_content_that_changed_in_between_is_told() -> None:
    etags = iter(["1", "2"])
    with (
        make_resuming_reader(
            lambda offset: Breaking(b"content"[offset:], 3, next(etags)), "it", 3, lambda: 0
        ) as reader,
        pytest.raises(StorageError, match="it was changed while it was read"),
    ):
        reader.read()


class FlakyProvider(MemoryProvider):
    """The first uploads break after half of the bytes."""

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


def test_a_bound_holds_parts_back_before_they_are_read() -> None:
    bound, counting, held, most = threading.BoundedSemaphore(2), threading.Lock(), 0, 0

    class Source(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            nonlocal held, most
            content = super().read(size)
            with counting:
                held += bool(content)
                most = max(most, held)
            return content

    def send(number: int, content: bytes) -> tuple[int, bytes]:
        nonlocal held
        with counting:
            held -= 1
        return number, content

    content = bytes(range(100))
    sent = send_in_parts(
        Source(content), send, choose_bytes=lambda number: 7 + number % 2, workers=8, bound=bound
    )
    assert b"".join(part for _, part in sent) == content
    assert [number for number, _ in sent] == list(range(len(sent)))
    assert 1 <= most <= 2
    with pytest.raises(OSError, match="broken"):
        send_in_parts(Broken(), send, choose_bytes=lambda _: 7, workers=8, bound=bound)
    assert bound.acquire(blocking=False)
    assert bound.acquire(blocking=False)


class Broken(BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        raise OSError("broken")


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
            with pytest.raises(PathEscapes, match="link points outside"):
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
                with pytest.raises(PathEscapes, match="link points outside"):
                    look(path)
            with pytest.raises(PathEscapes, match="link points outside"):
                store.write_path(path, b"")
        assert list((tmp_path / "in2").iterdir()) == []

    def test_what_is_no_file_is_no_object(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "itself").symlink_to("itself")
        (tmp_path / "nowhere").symlink_to("nothing")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(os.path.relpath(tmp_path / "a.sock"))
            store = LocalDirectory(basepath=tmp_path)
            for path in ("pipe", "itself", "nowhere", "a.sock", "x" * 300, "x/" * 3000 + "x"):
                assert not store.exists(path)
                for look in (store.read_path, store.open_read, store.object_info):
                    with pytest.raises(ObjectMissing):
                        look(path)
            store.delete_object("x" * 300)
            assert list(store.list_objects()) == []

    def test_a_listing_gives_what_can_be_read(self, tmp_path: Path) -> None:
        (tmp_path / "outside").mkdir()
        (tmp_path / "outside/secret").write_bytes(b"secret")
        store = LocalDirectory(basepath=tmp_path / "in")
        store.write_path("a", b"1")
        (tmp_path / "in/b").symlink_to("a")
        (tmp_path / "in/c").symlink_to(tmp_path / "outside/secret")
        (tmp_path / "in/d").symlink_to(tmp_path / "outside")
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/in/bad-\xff")).write_bytes(b"1")
        found = [info.path for info in store.list_objects()]
        assert found == ["a", "b", "bad-\udcff"]
        assert [store.read_path(path) for path in found] == [b"1"] * 3
        with pytest.raises(PathEscapes, match="link points outside"):
            list(store.list_objects("d"))
        assert store.move_object(found[-1], "good") == "good"
        with pytest.raises(PathInvalid, match="UTF-8"):
            store.copy_object("good", "bad-\udcff")
        with pytest.raises(PathInvalid, match="UTF-8"):
            store.copy_object("good", ExactKey("\udcff"), MemoryObjects(place=str(tmp_path)))

    def test_a_reader_keeps_to_what_it_opened(self, tmp_path: Path) -> None:
        store = LocalDirectory(basepath=tmp_path)
        store.write_path("a", b"old" * CHUNK_BYTES)
        with store.open_read("a") as reader:
            assert reader.read(3) == b"old"
            store.write_path("a", b"new" * CHUNK_BYTES)
            reader.seek(2 * CHUNK_BYTES)
            assert set(reader.read()) == set(b"old")

    def test_drafts_are_not_objects(self, tmp_path: Path) -> None:
        (tmp_path / ".flowstone-0123.part").write_bytes(b"half")
        (tmp_path / ".part").write_bytes(b"whole")
        store = LocalDirectory(basepath=tmp_path)
        assert [info.path for info in store.list_objects()] == [".part"]
        with pytest.raises(PathInvalid, match="reserved for temporary files"):
            store.write_path(".flowstone-0123.part", b"whole")
        (tmp_path / "tree").mkdir()
        (tmp_path / ".flowstone-0123.part").rename(tmp_path / "tree/.flowstone-0123.part")
        with pytest.raises(FilesLeftOut, match="reserved for temporary files"):
            store.put_directory(tmp_path / "tree", "t")

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
        with pytest.raises(StorageError, match=f"chunk_bytes is {chunk_bytes}"):
            list(store.stream("a", chunk_bytes))

    @pytest.mark.parametrize("content", [None, "text", 1])
    def test_what_is_no_bytes_is_not_written(self, tmp_path: Path, content: bytes) -> None:
        store = LocalDirectory(basepath=tmp_path)
        with pytest.raises(TypeError):
            store.write_path("a", content)
        assert not store.exists("a")


def test_a_folder_has_no_buckets_by_name(tmp_path: Path) -> None:
    store = LocalDirectory(basepath=tmp_path)
    store.write_path("a", b"1")
    for call in (store.copy_object, store.move_object):
        with pytest.raises(ConfigurationError, match="no buckets by name"):
            call("a", "b", to_bucket="elsewhere")
    assert store.read_path("a") == b"1"
