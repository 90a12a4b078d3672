"""ObjectStoreProvider: the class that a package implements for its service, working on keys."""

from __future__ import annotations

import hashlib
import os
import shutil
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TypeVar, get_args

from flowstone.blocks.object_stores.paths import FolderInfo, check_text, folder_key, object_key
from flowstone.blocks.object_stores.resuming import CHUNK_BYTES, make_resuming_reader
from flowstone.blocks.object_stores.writing import WriteOptions
from flowstone.errors import (
    FlowstoneError,
    ObjectChanged,
    ObjectMissing,
    StorageError,
    Unreachable,
)
from flowstone.secrets.renewal import renew_in, retry_refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from io import BufferedIOBase, BufferedReader
    from pathlib import Path

    from flowstone.blocks.object_stores.paths import ObjectInfo, ObjectPath, ObjectVersion
    from flowstone.records.access import StoreAccess

T = TypeVar("T")
Tool = Literal["pandas", "polars", "delta"]
TOOLS: tuple[str, ...] = get_args(Tool)
#: Operations that are retried with renewed secrets after the credentials were refused.
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
    """The base class for access to the objects of one bucket, container or directory.

    Subclasses implement `where`, `get`, `put`, `head`, `list` and `delete`, and override the
    operations that their service does better than the defaults. Keys are full and exact: a key
    with another spelling is another object, and a key that the service does not allow raises
    `PathInvalid`.

    Every operation must translate the service's errors into `StorageError`, `CredentialsError` or
    their subclasses, and must be thread-safe. When the credentials were refused and a secret given
    by reference has changed, the operation is called again. So keep the credentials block, and ask
    it for a client in each operation.

    Attributes:
        folder: the folder of the block, as the user gave it. The keys passed to operations
            already start with it.
        urls: addresses of the bucket itself, without the folder, that a path may start with, such
            as ``s3://bucket``. A path that starts with any other URL is refused.
        parallel: the number of objects transferred at a time in operations on folders.
        keeps_metadata: whether `write` stores content type and metadata. If so, copies keep them.
        attempts: the maximum number of attempts of a transfer whose connection breaks.
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
        """The address of the bucket, without the folder, for messages: ``s3://bucket``."""

    def identify(self, key: str) -> tuple[str, str]:
        """Return a value that is equal for two blocks if they refer to the same object.

        Override it if a bucket has several addresses, or a move onto itself would delete an object.
        """
        return self.where, key

    @abstractmethod
    def get(self, key: str, offset: int = 0) -> BufferedIOBase:
        """Open an object for reading from an offset in bytes, without loading it into memory.

        If the reader opened at offset 0 is `seekable`, it is used for seeking. Otherwise, seeking
        opens the object again at another offset. If the reader has an attribute `etag`, an object
        whose etag has changed in between raises an error, so that contents are never mixed.

        Raises:
            ObjectMissing: there is no such object.
            Unreachable: the connection failed. If reading raises it, the object is opened again
                where the connection broke.
        """

    @abstractmethod
    def put(self, key: str, source: BinaryIO, size: int | None) -> None:
        """Write an object completely or not at all, replacing an existing one.

        Args:
            key: the object.
            source: the content, from its current position; maybe not seekable. Leave it open.
            size: the number of bytes; None if unknown.

        Raises:
            Unreachable: the connection failed. It is called again if the source is seekable.
        """

    @abstractmethod
    def head(self, key: str) -> ObjectInfo:
        """Return the `ObjectInfo` of an object, with its key as `path`.

        Raises:
            ObjectMissing: there is no such object.
        """

    @abstractmethod
    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield all objects whose keys start with a prefix, ordered by key, page by page.

        The prefix is empty or ends in a slash. Keys that end in a slash are empty folders.

        Raises:
            BucketMissing: there is no such bucket, container or directory.
        """

    @abstractmethod
    def delete(self, keys: Sequence[str]) -> None:
        """Delete up to 1000 objects; ignore those that don't exist."""

    def write(self, key: str, source: BinaryIO, size: int | None, options: WriteOptions) -> None:
        """Write an object like `put`, with options; override it if the service supports them.

        Args:
            key: the object.
            source: the content, as for `put`.
            size: the number of bytes; None if unknown.
            options: content type (ignored by a service without them), metadata and a condition.

        Raises:
            ObjectExists: the object exists, and the options ask for a new one.
            ObjectChanged: the object does not have the given etag.
            StorageError: the service does not support metadata, or conditional writes.
        """
        if options.has_condition():
            remedy = f"Write {key!r} without if_match and if_none_match."
            raise StorageError(self.where, "it does not support conditional writes", remedy)
        if options.metadata:
            remedy = f"Write {key!r} without metadata."
            raise StorageError(self.where, "it does not support metadata", remedy)
        self.put(key, source, size)

    def upload(self, key: str, source: BinaryIO, options: WriteOptions) -> None:
        """Write an object from a file's current position to its end, retrying broken connections.

        A conditional write is not retried, and neither is a file that is not seekable.

        Args:
            key: the object.
            source: the file.
            options: content type, metadata and a condition.

        Raises:
            Unreachable: the connection broke in the last attempt.
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
            except ObjectChanged as error:
                try:
                    self.head(key)
                except ObjectMissing:
                    raise ObjectChanged(error.where, is_there=False) from error.__cause__
                except FlowstoneError:
                    pass  # these credentials may not allow checking whether it exists
                raise

    def retry_refused(self, call: Callable[[], T], *streams: BinaryIO) -> T:
        """Call code that accesses the service; retry once with renewed secrets if it is refused.

        The operations of this class do so by themselves. Tasks that use the SDK directly need it.

        Args:
            call: the code, which asks for a client itself.
            *streams: files that it reads or writes. Their positions are restored for the second
                call; there is none if one of them is not seekable.
        """
        return retry_refused(self, call, *streams)

    def remove_empty_folders(self, prefix: str, keys: Iterable[str]) -> None:
        """Remove the folders below a prefix that deleting objects by these keys has left empty.

        A sync that deletes calls it. Override it if folders exist by themselves, as on a disk.
        """
        del prefix, keys

    def read_range(self, key: str, offset: int, length: int) -> bytes:
        """Return up to `length` bytes from an offset; override it if one request can do that.

        Args:
            key: the object.
            offset: the position of the first byte.
            length: the maximum number of bytes.

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
        """Return whether a local file of the same size has the same content as an object.

        The default compares the MD5 of the `ObjectInfo`; override it for other checksums. None
        means that the object has no checksum: a sync then compares modification times.

        Args:
            info: the object, as yielded by `list`.
            file: the local file.

        Raises:
            OSError: the file can't be read.
        """
        if info.md5 is None:
            return None
        with file.open("rb") as content:
            found = hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False))
        return found.digest() == info.md5

    def list_level(self, prefix: str) -> Iterator[ObjectInfo | FolderInfo]:
        """Yield the objects and subfolders directly in a folder, ordered by key.

        Override it if the service can list a folder without the content of its subfolders.
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
        """Yield the versions of an object, newest first; override it if the service has versions.

        Raises:
            StorageError: this bucket, or the service, does not retain old versions.
        """
        raise self._refuse_versions(key)

    def get_version(self, key: str, version: str) -> BufferedIOBase:
        """Open a version of an object for reading.

        Raises:
            ObjectMissing: there is no such version.
        """
        del version
        raise self._refuse_versions(key)

    def restore(self, key: str, version: str) -> None:
        """Make a copy of an old version the current one; the other versions stay.

        Raises:
            ObjectMissing: there is no such version.
        """
        del version
        raise self._refuse_versions(key)

    def _refuse_versions(self, key: str) -> StorageError:
        problem = "old versions are not kept here"
        remedy = "Turn on versioning if the service has it, or copy objects before you overwrite."
        return StorageError(f"{self.where}/{key}", problem, remedy)

    def copy(self, source: ObjectStoreProvider, source_key: str, key: str) -> None:
        """Copy an object from any provider; override it if the service can copy by itself.

        Args:
            source: the provider to copy from; it may have another service or other credentials.
            source_key: the object to copy.
            key: the new object.

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
        """Return an object's content; override it if a single request can do that.

        Raises:
            ObjectMissing: there is no such object.
        """
        with self.open_reader(key) as reader:
            return reader.read()

    def download(self, key: str, target: BinaryIO) -> None:
        """Download an object into a file; override it if downloading in parts is faster.

        Raises:
            ObjectMissing: there is no such object.
        """
        with self.open_reader(key) as reader:
            shutil.copyfileobj(reader, target, CHUNK_BYTES)

    def presign(self, key: str, method: str, expires_seconds: int) -> str:
        """Return a URL that works without credentials; override it if the service has them.

        Args:
            key: the object, which need not exist.
            method: ``GET`` or ``PUT``.
            expires_seconds: the number of seconds for which the URL is valid.

        Raises:
            StorageError: the service has no presigned URLs, or none that last that long.
        """
        del method, expires_seconds
        problem = "it does not support presigned URLs"
        remedy = f"Pass on the content of {key!r} instead."
        raise StorageError(self.where, problem, remedy)

    def make_access(self) -> StoreAccess:
        """Return the address and credentials for other tools; override it if they can connect.

        If the credentials expire, set `refresh`.

        Raises:
            StorageError: other tools can't connect to this store.
        """
        raise self._make_refusal("can't be reached by other tools")

    def make_storage_options(self, tool: Tool) -> dict[str, Any] | None:
        """Return a tool's `storage_options`: address and credentials; None if it needs none.

        Args:
            tool: ``pandas`` (the options of fsspec's file systems), ``polars`` or ``delta``.

        Raises:
            StorageError: the tool can't connect to this store.
        """
        raise self._make_refusal(f"has no storage_options for {tool!r}")

    def make_uri(self, key: str) -> str:
        """Return the URI of an object or folder; override it if it is not one of `urls` plus key.

        Raises:
            StorageError: the store has no URIs.
        """
        if not self.urls:
            raise self._make_refusal("has no URIs")
        return f"{self.urls[0]}/{key}"

    def _make_refusal(self, problem: str) -> StorageError:
        return StorageError(self.where, f"it {problem}", "Read and write through this block.")

    def make_key(self, path: ObjectPath) -> str:
        """Return the key of an object from its path in the block's folder."""
        key = object_key(self.folder, path, self.urls)
        check_text(key)
        return key

    def make_prefix(self, folder: ObjectPath = "") -> str:
        """Return the prefix of the keys in a folder: empty, or ending in a slash."""
        return folder_key(self.folder, folder, self.urls)

    def open_reader(self, key: str, first: BufferedIOBase | None = None) -> BufferedReader:
        """Open an object as a seekable reader, which resumes after a broken connection.

        Args:
            key: the object.
            first: the reader that `get` returned for it, if that was called already.
        """
        opened: list[BufferedIOBase] = [] if first is None else [first]

        def open_at(offset: int) -> BufferedIOBase:
            return opened.pop() if opened else self.get(key, offset)

        def measure() -> int:
            return self.head(key).size

        return make_resuming_reader(open_at, f"{self.where}/{key}", self.attempts, measure)
