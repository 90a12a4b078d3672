"""Shared by the tests of object stores: fixtures, and attributes that a test class sets."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, ClassVar

import pytest

from flowstone.blocks import ObjectStore
from flowstone.context.current import use_services
from flowstone.testing.memory import memory_services
from flowstone_testing.conformance.suite import Suite

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from flowstone.context.current import Services

MIB = 1024 * 1024


class ObjectStoreBase(Suite):
    """Fixtures and attributes.

    Attributes:
        count: number of objects in the test of many; more than a page of the service's listing.
        big_bytes: the size of a big object.
        most_bytes: maximum memory while a big object is uploaded or downloaded.
        presigns: whether the store has presigned URLs that urllib can read and write.
        conditional_writes: whether the store can write only if there is no object, or replace
            only one with a given etag.
        keeps_metadata: whether objects have metadata and a content type.
        versions: whether the store can keep old versions of objects.
        presigned_headers: headers that a PUT to a presigned URL needs besides its type.
    """

    kind = "block"
    interface = ObjectStore
    count: ClassVar[int] = 10_000
    big_bytes: ClassVar[int] = 96 * MIB
    most_bytes: ClassVar[int] = 48 * MIB
    presigns: ClassVar[bool] = False
    conditional_writes: ClassVar[bool] = False
    keeps_metadata: ClassVar[bool] = False
    versions: ClassVar[bool] = False
    presigned_headers: ClassVar[Mapping[str, str]] = {}

    @pytest.fixture
    def store(self) -> ObjectStore:
        """A store, empty and new for each test, best with a folder; closed after the test."""
        raise NotImplementedError("give the suite a fixture `store`")

    @pytest.fixture
    def outside(self, store: ObjectStore) -> ObjectStore | None:
        """The same place without the folder; None for a block without a folder."""
        folder = store.make_provider().folder
        assert not folder, "give the suite a fixture `outside`: this store has a folder"
        return None

    @pytest.fixture(autouse=True)
    def services(self, tmp_path: Path) -> Iterator[Services]:
        current = memory_services(tmp_path / "flowstone-home")
        with use_services(current), closing(current):
            yield current


def names(store: ObjectStore, folder: str = "") -> list[str]:
    """Return the paths in a folder, in listing order."""
    return [info.path for info in store.list_objects(folder)]


def assert_same(found: bytes, content: bytes) -> None:
    """Fail with the first difference; pytest would compare for minutes and show everything."""
    if found == content:
        return
    pairs = enumerate(zip(found, content, strict=False))
    place = next((at for at, (one, other) in pairs if one != other), min(len(found), len(content)))
    near = slice(max(0, place - 10), place + 10)
    pytest.fail(
        f"{len(found)} bytes came back of {len(content)}; from byte {place} on they differ: "
        f"{found[near]!r} is not {content[near]!r}"
    )
