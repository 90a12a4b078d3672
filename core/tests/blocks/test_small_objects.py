"""Small objects by a faster library: used where it helps, and left alone where it fails."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import md5

import pytest

from flowstone.blocks.object_stores import SMALL_BYTES, FastTransfers, SmallObjects

#: How many failures in a row are too many.
MOST = 3


@dataclass
class Opened:
    content: bytes
    size: int
    etag: str | None = None

    def read(self) -> bytes:
        return self.content


@dataclass
class Library:
    """Objects in memory, and the keys of all calls."""

    objects: dict[str, bytes] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    etag: str | None = None
    is_broken: bool = False
    module: str = "a_library_of_the_tests"

    def put(self, key: str, content: bytes, attributes: Mapping[str, str]) -> None:
        self.calls.append(key)
        if self.is_broken:
            raise OSError
        self.objects[key] = content

    def get(self, key: str) -> Opened:
        self.calls.append(key)
        if self.is_broken:
            raise OSError
        if key not in self.objects:
            raise FileNotFoundError
        return Opened(self.objects[key], len(self.objects[key]), self.etag)


@pytest.fixture
def library() -> Library:
    return Library()


@pytest.fixture
def small(library: Library) -> SmallObjects:
    transfers = FastTransfers(library)
    return SmallObjects(lambda: transfers, is_fast=True)


def test_small_objects_go_by_the_library(small: SmallObjects, library: Library) -> None:
    assert small.put("a", b"1", {})
    assert small.get("a") == b"1"
    assert library.calls == ["a", "a"]


def test_large_objects_are_left_to_the_sdk(small: SmallObjects, library: Library) -> None:
    assert not small.put("a", bytes(SMALL_BYTES + 1), {})
    assert library.calls == []
    library.objects["a"] = bytes(SMALL_BYTES + 1)
    assert [small.get("a") for _ in range(5)] == [None] * 5
    assert library.calls == ["a"] * MOST, "it has learned"


def test_attributes_that_it_does_not_know_are_left_to_the_sdk(
    small: SmallObjects, library: Library
) -> None:
    assert not small.put("a", b"1", None)
    assert library.calls == []


def test_failures_stop_it_for_a_while(small: SmallObjects, library: Library) -> None:
    library.is_broken = True
    assert not any(small.put("a", b"1", {}) for _ in range(5))
    assert library.calls == ["a"] * MOST
    library.is_broken = False
    library.objects["a"] = b"1"
    assert small.get("a") == b"1", "reads are counted apart"


def test_a_success_begins_the_count_anew(small: SmallObjects, library: Library) -> None:
    for _ in range(2):
        library.is_broken = True
        assert not any(small.put("a", b"1", {}) for _ in range(MOST - 1))
        library.is_broken = False
        assert small.put("a", b"1", {})


def test_a_missing_object_is_no_failure(small: SmallObjects, library: Library) -> None:
    assert [small.get("a") for _ in range(5)] == [None] * 5
    assert library.calls == ["a"] * 5


@pytest.mark.parametrize("key", ["a//b", "a/./b", "../a", "a/", "/a", "a\nb"])
def test_keys_that_it_would_change_are_left_to_the_sdk(
    small: SmallObjects, library: Library, key: str
) -> None:
    assert not small.put(key, b"1", {})
    assert small.get(key) is None
    assert library.calls == []


@pytest.mark.parametrize(
    ("etag", "is_whole"),
    [
        (md5(b"1", usedforsecurity=False).hexdigest(), True),
        (f'"{md5(b"1", usedforsecurity=False).hexdigest()}"', True),
        (md5(b"2", usedforsecurity=False).hexdigest(), False),
        ("0x8DD", True),
        (None, True),
    ],
)
def test_content_fits_its_etag(
    small: SmallObjects, library: Library, etag: str | None, is_whole: bool
) -> None:
    library.objects["a"], library.etag = b"1", etag
    assert small.get("a") == (b"1" if is_whole else None)


def test_cut_content_is_left_to_the_sdk(library: Library) -> None:
    class Cut(Library):
        def get(self, key: str) -> Opened:
            return Opened(b"1", 2)

    assert FastTransfers(Cut()).get("a") is None


def test_without_the_library_there_is_only_the_sdk(library: Library) -> None:
    transfers = FastTransfers(library)
    off = SmallObjects(lambda: transfers, is_fast=False)
    unsupported = SmallObjects(lambda: None, is_fast=True)
    for small in (off, unsupported):
        assert not small.put("a", b"1", {})
        assert small.get("a") is None
    assert library.calls == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_the_child_of_a_fork_leaves_a_loaded_library_alone(library: Library) -> None:
    loaded = Library({"a": b"1"}, module="pytest")
    unloaded = Library({"a": b"1"})
    child = os.fork()
    if child == 0:
        found = FastTransfers(loaded).get("a"), FastTransfers(unloaded).get("a")
        os._exit(0 if found == (None, b"1") else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert FastTransfers(loaded).get("a") == b"1"
