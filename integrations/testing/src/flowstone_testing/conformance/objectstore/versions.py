"""Tests of old versions of objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flowstone.errors import ObjectMissing, StorageError
from flowstone_testing.conformance.objectstore.base import ObjectStoreBase
from flowstone_testing.conformance.suite import capability

if TYPE_CHECKING:
    from flowstone.blocks import ObjectStore


class VersionTests(ObjectStoreBase):
    """List, read and restore."""

    @pytest.fixture
    def versioned(self, store: ObjectStore) -> ObjectStore:
        """A store that keeps old versions; override it if `store` does not."""
        return store

    @capability("versions", StorageError, "old versions are not kept")
    def test_old_versions_are_listed_read_and_restored(self, versioned: ObjectStore) -> None:
        """Look at `list_versions`, `get_version` and `restore`."""
        store = versioned
        for content in (b"one", b"two", b"three"):
            store.write_path("a/b", content)
        store.write_path("a/b.txt", b"another")
        found = list(store.versions("a/b"))
        assert [version.path for version in found] == ["a/b"] * 3
        assert [version.size for version in found] == [5, 3, 3]
        assert [version.is_current for version in found] == [True, False, False]
        contents = [store.read_path("a/b", version=version.version) for version in found]
        assert contents == [b"three", b"two", b"one"]
        assert store.object_info("a/b").version == found[0].version
        store.restore_version("a/b", found[2].version)
        assert store.read_path("a/b") == b"one"
        assert store.read_path("a/b", version=found[0].version) == b"three"
        store.delete_object("a/b")
        with pytest.raises(ObjectMissing):
            store.read_path("a/b")
        assert not any(version.is_current for version in store.versions("a/b"))
        store.restore_version("a/b", found[1].version)
        assert store.read_path("a/b") == b"two"
        for look in (store.read_path, store.restore_version):
            with pytest.raises(ObjectMissing):
                look("a/b", version="1234")
        assert list(store.versions("nothing")) == []
