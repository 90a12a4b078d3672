"""Tests of paths: one normalization, and the block's folder exactly once."""

from __future__ import annotations

import copy
from io import BytesIO
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowstone.blocks.object_stores import folder_key
from flowstone.errors import PathEscapes, PathInvalid, StorageError
from flowstone_testing.conformance.objectstore.base import ObjectStoreBase, names

if TYPE_CHECKING:
    from pathlib import Path

    from flowstone.blocks import ObjectStore

SPELLINGS = ["/a/b.txt", "./a/b.txt", "a/./b.txt", "a/b.txt/", "//a/b.txt//", "/./a/././b.txt"]
UNCLEAR = ["a//b", "//a///b", "a/.//b", "a/b\0", "a/\udcff"]
LEADING_OUT = [
    "..", "../b", "a/../../b", "/../b", "a/./../../b", "a/..", "a/../b", "b/..", "..//b",
    "s3://of-somebody-else/b", "https://of.somebody.else/b?token=1",
]  # fmt: skip
REFUSED = [(path, PathInvalid) for path in UNCLEAR] + [(path, PathEscapes) for path in LEADING_OUT]
#: Names that other programs use; a store that can't have one of them refuses it.
EXACT = [
    "a//b", "/b", "//b", "b//", "a/./b", "./b", "a/../b", "../b", "..", ".", "a/.", "a/..", "b/",
    "s3://of-somebody-else/b", " b ", "a\nb", "a\rb", "a\\b", "a%2Fb", "\x01b", "b" * 500,
]  # fmt: skip
#: As a key: any text without NUL and lone surrogates.
segments = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1)
typed = st.lists(segments, min_size=1, max_size=3).map("/".join)
ODD = [
    "with space.txt", "plus+.txt", "per%20cent.txt", "hash#.txt", "question?.txt", "amp&=.txt",
    "quote'.txt", 'double".txt', "tilde~.txt", "semi;.txt", "comma,.txt", "brackets[1].txt",
    "umlaut-\u00e4.txt", "umlaut-a\u0308.txt", "\u65e5\u672c.txt", "\U0001f680.txt",
    ".hidden", "dots...txt",
]  # fmt: skip


class PathTests(ObjectStoreBase):
    """Common bugs: a prefix that is doubled, or dropped."""

    @pytest.mark.parametrize("spelling", SPELLINGS)
    def test_spellings_of_a_path_are_one_object(self, store: ObjectStore, spelling: str) -> None:
        """Look for a provider that uses another key than the interface passes."""
        store.write_path(spelling, b"1")
        assert names(store) == ["a/b.txt"]
        assert store.read_path("a/b.txt") == b"1"
        store.write_path("a/b.txt", b"2")
        assert store.read_path(spelling) == b"2"
        assert store.read_path(PurePosixPath(spelling)) == b"2"
        store.delete_object(spelling)
        assert names(store) == []

    @pytest.mark.parametrize(("path", "error"), REFUSED)
    def test_a_path_may_not_lead_out(
        self, store: ObjectStore, path: str, error: type[Exception], tmp_path: Path
    ) -> None:
        """Look for a public method that the provider overrides and that uses raw paths."""
        store.write_path("b", b"inside")
        for refused in (
            lambda: store.read_path(path),
            lambda: store.write_path(path, b""),
            lambda: store.exists(path),
            lambda: store.delete_object(path),
            lambda: store.copy_object("b", path),
            lambda: store.move_object("b", path),
            lambda: list(store.list_objects(path)),
            lambda: store.delete_folder(path),
            lambda: store.get_directory(path, tmp_path),
            lambda: store.put_directory(tmp_path, path),
        ):
            with pytest.raises(error) as caught:
                refused()
            assert isinstance(caught.value, StorageError)
            assert "token" not in str(caught.value)
        assert names(store) == ["b"]

    @pytest.mark.parametrize("path", ["", "/", ".", "./", "//"])
    def test_a_folder_is_no_object(self, store: ObjectStore, path: str) -> None:
        """Look for a public method that the provider overrides."""
        with pytest.raises(PathInvalid):
            store.write_path(path, b"")
        with pytest.raises(PathInvalid):
            store.read_path(path)

    def test_an_address_of_its_own_is_understood(self, store: ObjectStore) -> None:
        """Look at `urls`: the place, without the folder."""
        provider = store.make_provider()
        store.write_path("a/b", b"1")
        for url in provider.urls:
            whole = f"{url}/{provider.make_key('a/b')}"
            assert store.read_path(whole) == b"1"
            assert store.copy_object(whole, f"{whole}-copy") == "a/b-copy"
            assert names(store, f"{url}/{provider.make_prefix('a')}") == ["a/b", "a/b-copy"]
            for other in (
                f"{url}-2/a/b",
                f"{url}/../b",
                f"{url}//a//b",
                f"x{url}/a/b",
                url.replace("//", "/"),
            ):
                with pytest.raises((PathEscapes, PathInvalid)):
                    store.read_path(other)
            if provider.folder:
                with pytest.raises(PathEscapes):
                    store.read_path(f"{url}/a/b")

    @pytest.mark.parametrize("exact", EXACT)
    def test_what_is_listed_is_taken_as_it_is(self, store: ObjectStore, exact: str) -> None:
        """Look for keys that are normalized: `a//b` and `a/b` are different objects."""
        for path in ("a/b", "b"):
            store.write_path(path, b"another")
        provider = store.make_provider()
        try:
            provider.put(provider.make_prefix() + exact, BytesIO(b"this"), 4)
        except StorageError:
            assert names(store) == ["a/b", "b"]
            return
        [info] = [info for info in store.list_objects() if info.size == 4]
        assert info.path == exact
        assert store.read_path(info) == store.read_path(info.path) == b"this"
        assert store.object_info(info) == info
        assert store.exists(info.path)
        assert store.copy_object(info, "copy") == "copy"
        assert store.move_object(info.path, "moved") == "moved"
        assert store.move_object("moved", info) == exact
        assert store.write_path(info, b"that") == exact
        assert store.read_path(copy.deepcopy(info.path)) == b"that"
        store.delete_object(info)
        assert names(store) == ["a/b", "b", "copy"]
        provider.put(provider.make_prefix() + exact, BytesIO(b"this"), 4)
        assert store.delete_folder("") == 4

    @settings(
        max_examples=50,
        deadline=None,
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.differing_executors,
        ],
    )
    @given(path=typed, content=st.binary(max_size=100))
    def test_any_path_that_is_taken_is_read(
        self, store: ObjectStore, path: str, content: bytes
    ) -> None:
        """Look at the quoting of keys: an object must be readable under its exact name only."""
        store.delete_folder("")
        try:
            written = store.write_path(path, content)
        except StorageError:
            assert names(store) == []
            return
        assert store.read_path(path) == store.read_path(written) == content
        [info] = store.list_objects()
        assert (info.path, info.size) == (written, len(content))
        assert store.read_path(info) == content
        assert store.move_object(info, "to") == "to"
        assert names(store) == ["to"]
        store.delete_object("to")
        assert names(store) == []

    def test_names_are_kept_as_they_are(self, store: ObjectStore) -> None:
        """Look at the quoting of keys in URLs, and whether Unicode is normalized."""
        for number, name in enumerate(ODD):
            store.write_path(f"odd/{name}", str(number).encode())
        assert sorted(names(store)) == sorted(f"odd/{name}" for name in ODD)
        for number, name in enumerate(ODD):
            assert store.read_path(f"odd/{name}") == str(number).encode()
            assert store.object_info(f"odd/{name}").size == len(str(number))
        store.copy_object(f"odd/{ODD[0]}", f"copies/{ODD[-3]}")
        assert names(store, "copies") == [f"copies/{ODD[-3]}"]
        assert store.delete_folder("odd") == len(ODD)

    def test_the_folder_is_applied_once(
        self, store: ObjectStore, outside: ObjectStore | None, tmp_path: Path
    ) -> None:
        """Look at `make_provider`, and for a provider that adds the folder again."""
        if outside is None:
            return
        (tmp_path / "up").mkdir()
        (tmp_path / "up/c.txt").write_bytes(b"c")
        folder = folder_key(store.make_provider().folder).strip("/")
        store.write_path("a.txt", b"a")
        store.copy_object("a.txt", "b.txt")
        store.put_directory(tmp_path / "up", "in")
        here = ["a.txt", "b.txt", "in/c.txt"]
        assert names(outside) == [f"{folder}/{name}" for name in here]
        assert names(store) == here
        assert [path.name for path in store.get_directory("in", tmp_path / "down")] == ["c.txt"]
        assert (tmp_path / "down/c.txt").read_bytes() == b"c"

    def test_a_folder_of_that_name_inside_is_another_one(
        self, store: ObjectStore, outside: ObjectStore | None
    ) -> None:
        """Look for code that strips or skips the folder if a path begins with its name."""
        if outside is None:
            return
        folder = folder_key(store.make_provider().folder).strip("/")
        store.write_path(f"{folder}/a.txt", b"inner")
        store.write_path("a.txt", b"outer")
        assert names(outside) == [f"{folder}/a.txt", f"{folder}/{folder}/a.txt"]
        assert names(store) == sorted(["a.txt", f"{folder}/a.txt"])
        assert store.read_path(f"{folder}/a.txt") == b"inner"
        assert store.read_path("a.txt") == b"outer"

    def test_what_is_beside_the_folder_is_not_seen(
        self, store: ObjectStore, outside: ObjectStore | None
    ) -> None:
        """Look at `list`: the prefix ends in a slash and must be used unchanged."""
        if outside is None:
            return
        folder = folder_key(store.make_provider().folder).strip("/")
        for beside in (f"{folder}x/a.txt", f"{folder}.txt", "other/a.txt"):
            outside.write_path(beside, b"beside")
        assert names(store) == []
        assert store.delete_folder("") == 0
        assert len(names(outside)) == 3
