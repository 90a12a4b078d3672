"""Copies of objects, within a store or from one store to another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.blocks.async_twins import make_twin
from flowstone.blocks.object_stores.paths import ExactKey, is_exact
from flowstone.errors import ConfigurationError

if TYPE_CHECKING:
    from flowstone.blocks.object_stores.paths import ObjectPath
    from flowstone.blocks.object_stores.provider import ObjectStoreProvider


class CopyableStore:
    """A store whose objects can be copied within it, and from and to other stores."""

    def make_provider(self) -> ObjectStoreProvider:
        """Return the provider for this store."""
        raise NotImplementedError

    def find_bucket(self, name: str) -> CopyableStore:
        """Return another bucket with the same credentials by its name, with no folder set.

        Raises:
            ConfigurationError: a store of this kind has no buckets.
        """
        what = f"to_bucket={name!r}"
        problem = f"a {type(self).__name__} has no buckets by name"
        raise ConfigurationError(what, problem, "Pass the object store block itself.")

    def copy_object(
        self,
        from_path: ObjectPath,
        to_path: ObjectPath,
        to_bucket: CopyableStore | str | None = None,
    ) -> str:
        """Copy an object within this store, or to another one; return its new path.

        Args:
            from_path: the object in this store.
            to_path: the path in the destination.
            to_bucket: the destination, or the name of a bucket with the same credentials; None for
                this store.
        """
        return self._find_destination(to_bucket).stream_from(self, from_path, to_path)

    def move_object(
        self,
        from_path: ObjectPath,
        to_path: ObjectPath,
        to_bucket: CopyableStore | str | None = None,
    ) -> str:
        """Move an object within this store, or to another one; return its new path.

        Args:
            from_path: as for `copy_object`.
            to_path: as for `copy_object`.
            to_bucket: as for `copy_object`.
        """
        destination = self._find_destination(to_bucket)
        source, target = self.make_provider(), destination.make_provider()
        key, new_key = source.make_key(from_path), target.make_key(to_path)
        is_same = source.identify(key) == target.identify(new_key)
        moved = self.copy_object(from_path, to_path, destination)
        if not is_same:
            source.delete([key])
        return moved

    def _find_destination(self, to_bucket: CopyableStore | str | None) -> CopyableStore:
        """Return the store that a copy goes to."""
        found = self.find_bucket(to_bucket) if isinstance(to_bucket, str) else to_bucket
        return self if found is None else found

    def stream_from(
        self, bucket: CopyableStore, from_path: ObjectPath, to_path: ObjectPath | None = None
    ) -> str:
        """Copy an object from another store to this one; return its path here.

        Args:
            bucket: the store to copy from.
            from_path: the object in that store.
            to_path: the path in this store; None for the object's name.
        """
        source, target = bucket.make_provider(), self.make_provider()
        key = source.make_key(from_path)
        if to_path is None:
            to_path = ExactKey(key.rstrip("/").rpartition("/")[2])
        new_key = target.make_key(to_path)
        if source.identify(key) == target.identify(new_key):
            source.head(key)  # a copy onto itself changes nothing, but the object must exist
        else:
            target.copy(source, key, new_key)
        return strip_prefix(target, to_path, new_key)

    # In pairs: pydantic's plugin for mypy takes a name that stands alone for a field.
    acopy_object, amove_object, astream_from = (
        make_twin(copy_object),
        make_twin(move_object),
        make_twin(stream_from),
    )


def strip_prefix(provider: ObjectStoreProvider, path: ObjectPath, key: str) -> str:
    """Return the path of a key, as an `ExactKey` if the original path was exact."""
    found = key.removeprefix(provider.make_prefix())
    return ExactKey(found) if is_exact(path) else found
