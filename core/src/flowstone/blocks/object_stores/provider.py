"""What a provider of an object store writes: a few operations on whole keys."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, BinaryIO, ClassVar

from flowstone.blocks.object_stores.paths import folder_key, object_key
from flowstone.blocks.object_stores.resuming import resuming
from flowstone.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from io import BufferedIOBase, BufferedReader

    from flowstone.blocks.object_stores.paths import ObjectPath

CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What a store says of one object.

    Attributes:
        path: relative to the block's folder, so that ``read_path(info.path)`` reads it. In the
            primitives of a provider: the whole key.
        size: bytes.
        modified: when it was last written; aware, UTC.
        etag: changes when the content does; None where the store has no such thing.
    """

    path: str
    size: int
    modified: datetime
    etag: str | None = None


class Primitives(ABC):
    """The few operations on whole, normalised keys that a provider of an object store writes.

    Each turns the service's errors into `StorageError` and its kin.
    """

    #: Objects that are on their way at a time, in folder operations.
    _parallel: ClassVar[int] = 8
    #: How often a transfer that a broken connection stopped is taken up again.
    _attempts: ClassVar[int] = 3

    @abstractmethod
    def _folder(self) -> str:
        """Return the folder that all paths are in, as the user gave it; "" for none."""

    @abstractmethod
    def _where(self) -> str:
        """Return the place, without the folder, for messages and comparison: ``s3://bucket``."""

    def _identity(self, key: str) -> tuple[str, str]:
        """Return what is equal for one object, whichever block it is asked of.

        Override it where one place has several names: a move onto itself would delete the object.
        """
        return self._where(), key

    @abstractmethod
    def _get(self, key: str, offset: int = 0) -> BufferedIOBase:
        """Open an object to read, from an offset in bytes; never the whole of it in memory.

        Raises:
            ObjectMissing: there is no such object.
            Unreachable: the connection failed; reading may raise it too.
        """

    @abstractmethod
    def _put(self, key: str, source: BinaryIO, size: int | None) -> None:
        """Write an object from a stream, whole or not at all; `size` is None where unknown."""

    @abstractmethod
    def _head(self, key: str) -> ObjectInfo:
        """Return what is known of an object, its `path` being the key.

        Raises:
            ObjectMissing: there is no such object.
        """

    @abstractmethod
    def _list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield every object whose key begins with a prefix, a page at a time, ordered by key.

        The prefix is empty or ends in a slash. Keys that end in a slash are empty folders.

        Raises:
            BucketMissing: there is no such place.
        """

    @abstractmethod
    def _delete(self, keys: list[str]) -> None:
        """Delete up to 1000 objects; one that is not there is no error."""

    def _copy_from(self, source: Primitives, source_key: str, key: str) -> None:
        """Copy an object from a store to this one; override to let the service do it."""
        size = source._head(source_key).size
        with source._reader(source_key) as reader:
            self._put(key, reader, size)

    def _read_whole(self, key: str) -> bytes:
        """Return an object's content; override where a small one can be had more cheaply.

        Raises:
            ObjectMissing: there is no such object.
        """
        with self._reader(key) as reader:
            return reader.read()

    def _download(self, key: str, target: BinaryIO) -> None:
        """Read an object into a file; override where the service does it faster in parts."""
        with self._reader(key) as reader:
            shutil.copyfileobj(reader, target, CHUNK_BYTES)

    def _presign(self, key: str, method: str, expires_seconds: int) -> str:  # noqa: ARG002
        """Return a URL that needs no login; override where the service has such."""
        raise StorageError(
            self._where(),
            f"a {type(self).__name__} has no presigned URLs",
            f"Pass the bytes of {key!r} instead.",
        )

    def _reader(self, key: str) -> BufferedReader:
        """Open an object to read; a connection that breaks is taken up where it broke."""
        return resuming(
            lambda offset: self._get(key, offset), f"{self._where()}/{key}", self._attempts
        )

    def _key(self, path: ObjectPath) -> str:
        return object_key(self._folder(), path)

    def _prefix(self, folder: ObjectPath) -> str:
        return folder_key(self._folder(), folder)

    def _path(self, key: str) -> str:
        return key.removeprefix(folder_key(self._folder()))

    def _relative(self, info: ObjectInfo) -> ObjectInfo:
        return replace(info, path=self._path(info.path))
