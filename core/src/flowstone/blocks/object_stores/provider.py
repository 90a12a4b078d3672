"""ObjectStoreProvider: what a package writes for its service, a few operations on whole keys."""

from __future__ import annotations

import hashlib
import os
import shutil
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from flowstone.blocks.object_stores.paths import FolderInfo, check_text, folder_key, object_key
from flowstone.blocks.object_stores.resuming import CHUNK_BYTES, make_resuming_reader
from flowstone.blocks.object_stores.writing import WriteOptions
from flowstone.errors import StorageError, Unreachable
from flowstone.secrets.renewal import renew_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from io import BufferedIOBase, BufferedReader
    from pathlib import Path

    from flowstone.blocks.object_stores.paths import ObjectInfo, ObjectPath, ObjectVersion
    from flowstone.records.access import StoreAccess

Tool = Literal["pandas", "polars", "delta"]
#: What a refused login ends, and is tried again with renewed secrets.
OPERATIONS = (
    "get",
    "put",
    "head",
    "list",
    "delete",
    "copy",
    "read",
    "download",
    "presign",
    "write",
    "read_range",
    "list_level",
    "list_versions",
    "get_version",
    "restore",
    "matches",
)


_NOTHING = WriteOptions()


class ObjectStoreProvider(ABC):
    """Access to the objects of one bucket or directory, by full key, as implemented by one service.

    A package writes `where`, `get`, `put`, `head`, `list` and `delete`, and overrides what its
    service does better than the defaults. Keys are exact: what the service has under another
    spelling is another object, and a key that it can't have is refused with `PathInvalid`. Every
    operation turns the service's errors into `StorageError`, `CredentialsError` and their
    kin, may be called from several threads at once, and is called once more where the login was
    refused and a secret that is given by reference has changed: so hold the credentials block, and
    ask it for a client in each operation.

    Attributes:
        folder: the folder that the paths of the block are in, as the user gave it; keys begin
            with it already.
        urls: addresses of the place itself, without the folder, that a path may begin with:
            ``s3://bucket``; a path that begins with another URL is refused.
        parallel: objects that are on their way at a time, in operations on folders.
        keeps_metadata: whether `write` keeps content type and metadata; a copy then has them, too.
        attempts: how often a transfer is begun or taken up, when its connection breaks.
    """

    folder: str = ""
    urls: Sequence[str] = ()
    parallel: int = 8
    keeps_metadata: bool = False
    attempts: int = 3

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        renew_in(cls, OPERATIONS)

    @property
    @abstractmethod
    def where(self) -> str:
        """The place, without the folder, for messages and comparison: ``s3://bucket``."""

    def identify(self, key: str) -> tuple[str, str]:
        """Return an identity that is equal whenever two blocks refer to the same object.

        Override it where one place has several names: a move onto itself would delete the object.
        """
        return self.where, key

    @abstractmethod
    def get(self, key: str, offset: int = 0) -> BufferedIOBase:
        """Open an object to read, from an offset in bytes; never the whole of it in memory.

        What is opened at 0 and is `seekable` is sought in; else seeking opens the object again.

        A reader that has an attribute `etag` is opened again at an offset only while it is the
        same: content that was changed in between is not mixed.

        Raises:
            ObjectMissing: there is no such object.
            Unreachable: the connection failed; reading may raise it too, and is then taken up.
        """

    @abstractmethod
    def put(self, key: str, source: BinaryIO, size: int | None) -> None:
        """Write an object whole or not at all, over what is there.

        Args:
            key: the object.
            source: the content, from where it stands to its end; it may be unable to seek, and
                is left open.
            size: bytes; None where that is unknown.

        Raises:
            Unreachable: the connection failed; it is called again where the source can seek.
        """

    @abstractmethod
    def head(self, key: str) -> ObjectInfo:
        """Return what is known of an object, its `path` being the key.

        Raises:
            ObjectMissing: there is no such object.
        """

    @abstractmethod
    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield every object whose key begins with a prefix, a page at a time, ordered by key.

        The prefix is empty or ends in a slash. Keys that end in a slash are empty folders.

        Raises:
            BucketMissing: there is no such place.
        """

    @abstractmethod
    def delete(self, keys: Sequence[str]) -> None:
        """Delete up to 1000 objects; one that is not there is no error."""

    def write(self, key: str, source: BinaryIO, size: int | None, options: WriteOptions) -> None:
        """Do as `put`, with options; override where the service has such.

        A service that keeps no content type does without.

        Args:
            key: the object.
            source: the content, as for `put`.
            size: bytes; None where that is unknown.
            options: content type, metadata and a condition.

        Raises:
            ObjectExists: it was to be new.
            ObjectChanged: it has not the etag that was given.
            StorageError: the service has no metadata, or no conditions.
        """
        if options.has_condition():
            raise StorageError(
                self.where, "it has no conditional writes", "Write without if_match, if_none_match."
            )
        if options.metadata:
            raise StorageError(self.where, "it keeps no metadata", f"Write {key!r} without.")
        self.put(key, source, size)

    def upload(self, key: str, source: BinaryIO, options: WriteOptions) -> None:
        """Write an object from where a file stands to its end; a broken connection is tried again.

        It is not where the file can't seek, or where there is a condition: the first try may have
        written what the second then finds.

        Raises:
            Unreachable: the connection broke in the last try, too.
        """
        start = source.tell() if source.seekable() else None
        size = None if start is None else source.seek(0, os.SEEK_END) - start
        attempts = 1 if start is None or options.has_condition() else self.attempts
        for attempt in range(1, attempts + 1):
            if start is not None:
                source.seek(start)
            try:
                if options == _NOTHING:
                    self.put(key, source, size)
                else:
                    self.write(key, source, size, options)
                return
            except Unreachable:
                if attempt == attempts:
                    raise

    def read_range(self, key: str, offset: int, length: int) -> bytes:
        """Return a part of an object, less at its end; override to ask for no more than that.

        Raises:
            ObjectMissing: there is no such object.
        """
        length = min(length, self.head(key).size - offset)
        if length <= 0:
            return b""
        chunks = []
        with self.get(key, offset) as reader:
            while length > 0 and (chunk := reader.read(length)):
                chunks.append(chunk)
                length -= len(chunk)
        return b"".join(chunks)

    def matches(self, info: ObjectInfo, file: Path) -> bool | None:
        """Return whether a local file of the same size has an object's content.

        By default it compares the MD5 that `list` has given; override it where the service has
        another checksum. None says that the service has none of this object: a sync then goes by
        the times.

        Args:
            info: the object, as `list` gave it.
            file: the file.

        Raises:
            OSError: the file can't be read.
        """
        if info.md5 is None:
            return None
        with file.open("rb") as content:
            found = hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False))
        return found.digest() == info.md5

    def list_level(self, prefix: str) -> Iterator[ObjectInfo | FolderInfo]:
        """Yield the objects right in a folder, and the folders in it, by key; as `list` otherwise.

        Override it where the service leaves out what is in those folders.
        """
        last = None
        for info in self.list(prefix):
            name, slash, _ = info.path.removeprefix(prefix).partition("/")
            folder = f"{prefix}{name}/"
            if not slash:
                yield info
            elif folder != last:
                yield FolderInfo(folder)
                last = folder

    def list_versions(self, key: str) -> Iterator[ObjectVersion]:
        """Yield the versions of an object, the newest first; override where they are kept.

        Raises:
            StorageError: old versions are not kept, here or ever.
        """
        raise self._refuse_versions(key)

    def get_version(self, key: str, version: str) -> BufferedIOBase:
        """Open a version of an object to read, from its start.

        Raises:
            ObjectMissing: there is no such version.
        """
        del version
        raise self._refuse_versions(key)

    def restore(self, key: str, version: str) -> None:
        """Make a version of an object its newest again; the others stay.

        Raises:
            ObjectMissing: there is no such version.
        """
        del version
        raise self._refuse_versions(key)

    def _refuse_versions(self, key: str) -> StorageError:
        remedy = "Copy what is to be kept before it is written over."
        return StorageError(f"{self.where}/{key}", "it keeps no old versions", remedy)

    def copy(self, source: ObjectStoreProvider, source_key: str, key: str) -> None:
        """Copy an object from a place to this one; override to let the service do it.

        Args:
            source: where it is; perhaps another service, or the same with another login.
            source_key: the object there.
            key: the new object here.

        Raises:
            ObjectMissing: there is no such object.
        """
        found = source.head(source_key)
        with source.open_reader(source_key) as reader:
            if self.keeps_metadata:
                options = WriteOptions(found.content_type, found.metadata)
                self.write(key, reader, found.size, options)
            else:
                self.put(key, reader, found.size)

    def read(self, key: str) -> bytes:
        """Return an object's content; override where a small one can be had more cheaply.

        Raises:
            ObjectMissing: there is no such object.
        """
        with self.open_reader(key) as reader:
            return reader.read()

    def download(self, key: str, target: BinaryIO) -> None:
        """Read an object into a file; override where the service does it faster in parts.

        Raises:
            ObjectMissing: there is no such object.
        """
        with self.open_reader(key) as reader:
            shutil.copyfileobj(reader, target, CHUNK_BYTES)

    def presign(self, key: str, method: str, expires_seconds: int) -> str:
        """Return a URL that needs no login; override where the service has such.

        Args:
            key: the object, which need not be there.
            method: ``GET`` or ``PUT``.
            expires_seconds: how long the URL is good.

        Raises:
            StorageError: the service has none, or none that last so long.
        """
        del method, expires_seconds
        problem, remedy = "it has no presigned URLs", f"Pass the bytes of {key!r} instead."
        raise StorageError(self.where, problem, remedy)

    def make_access(self) -> StoreAccess:
        """Return what another tool needs to reach this place; override where one can.

        It may ask for a login that is good for a while, and then has a `refresh`.

        Raises:
            StorageError: only Flowstone reaches it.
        """
        raise self._make_refusal("is out of reach for other tools")

    def make_storage_options(self, tool: Tool) -> dict[str, Any] | None:
        """Return `make_access` in the words that a tool takes, or None where it wants nothing.

        Args:
            tool: ``pandas`` (the words of fsspec's file systems), ``polars`` or ``delta``.

        Raises:
            StorageError: the tool does not reach such places.
        """
        raise self._make_refusal(f"has no storage_options for {tool!r}")

    def make_uri(self, key: str) -> str:
        """Return the address of an object, or of a folder; override where it is another one.

        Raises:
            StorageError: the place has no URIs.
        """
        if not self.urls:
            raise self._make_refusal("has no URIs")
        return f"{self.urls[0]}/{key}"

    def _make_refusal(self, problem: str) -> StorageError:
        return StorageError(self.where, f"it {problem}", "Read and write through this block.")

    def make_key(self, path: ObjectPath) -> str:
        """Return the key of an object: its path in the block's folder."""
        key = object_key(self.folder, path, self.urls)
        check_text(key)
        return key

    def make_prefix(self, folder: ObjectPath = "") -> str:
        """Return what the keys in a folder begin with: nothing, or what ends in a slash."""
        return folder_key(self.folder, folder, self.urls)

    def open_reader(self, key: str, first: BufferedIOBase | None = None) -> BufferedReader:
        """Open an object to read and to seek; a connection that breaks is taken up again.

        Args:
            key: the object.
            first: what `get` returned for it, where that was called already.
        """
        opened: list[BufferedIOBase] = [] if first is None else [first]

        def open_at(offset: int) -> BufferedIOBase:
            return opened.pop() if opened else self.get(key, offset)

        def measure() -> int:
            return self.head(key).size

        return make_resuming_reader(open_at, f"{self.where}/{key}", self.attempts, measure)
