"""ObjectStore: the interface of all object stores."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, ClassVar, Literal

from flowstone.blocks.async_twins import iterate, make_twin
from flowstone.blocks.base import Block
from flowstone.blocks.local_files import open_atomically, translate_read_error
from flowstone.blocks.object_stores.addresses import Addresses
from flowstone.blocks.object_stores.arrivals import Arrivals
from flowstone.blocks.object_stores.copies import CopyableStore, strip_prefix
from flowstone.blocks.object_stores.folders import Folders
from flowstone.blocks.object_stores.parallel import batches
from flowstone.blocks.object_stores.paths import ExactKey, strip_folder
from flowstone.blocks.object_stores.paths import local_path as path_below
from flowstone.blocks.object_stores.resuming import CHUNK_BYTES
from flowstone.blocks.object_stores.syncing import Syncing
from flowstone.blocks.object_stores.writing import make_write_options
from flowstone.errors import ObjectMissing, StorageError, Unreachable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
    from io import BufferedReader

    from flowstone.blocks.object_stores.paths import ObjectInfo, ObjectPath, ObjectVersion
    from flowstone.blocks.object_stores.provider import ObjectStoreProvider


#: The methods that a subclass without a provider has to define.
TRANSFERS = (
    "download_folder_to_path",
    "download_object_to_file_object",
    "download_object_to_path",
    "upload_from_file_object",
    "upload_from_folder",
    "upload_from_path",
)


class ObjectStore(Addresses, Arrivals, CopyableStore, Folders, Syncing, Block):
    """A store of objects by path, such as a bucket or a directory, or a folder in one.

    Paths are relative to the block's folder. Leading and trailing slashes and ``./`` are ignored;
    an inner ``//``, ``..`` and the URL of another store are refused. The paths that `list_objects`
    yields are exact keys and are used unchanged, whatever other programs name their objects.

    An invalid path raises `PathInvalid`, a path that leads out of the folder `PathEscapes`, a
    missing object `ObjectMissing`, a missing bucket `BucketMissing`, and a service that can't be
    reached `Unreachable`. All of them are `StorageError`.
    Each method has an async version: ``aread_path``, ``alist_objects``.

    A package subclasses it with fields and `make_provider`, and nothing else.
    """

    _replaceable: ClassVar[tuple[str, ...]] = TRANSFERS

    @abstractmethod
    def make_provider(self) -> ObjectStoreProvider:
        """Return the provider for the bucket or directory that this block's fields describe.

        It is called for each operation, so it must not open connections. The provider gets its
        clients from the credentials block, which shares them.
        """

    # -- objects ---------------------------------------------------------------------------------

    def read_path(self, path: ObjectPath, *, version: str | None = None) -> bytes:
        """Return an object's content.

        Args:
            path: the object.
            version: the `version` of one of its `versions`; None for the current one.

        Raises:
            ObjectMissing: there is no such object, or no such version of it.
        """
        provider = self.make_provider()
        key = provider.make_key(path)
        if version is None:
            return provider.read(key)
        with provider.get_version(key, version) as reader:
            return reader.read()

    def read_range(self, path: ObjectPath, offset: int, length: int) -> bytes:
        """Return up to `length` bytes of an object, from an offset; fewer at the object's end.

        Args:
            path: the object.
            offset: the position of the first byte.
            length: the maximum number of bytes.

        Raises:
            ObjectMissing: there is no such object.
        """
        provider = self.make_provider()
        key = provider.make_key(path)
        if offset < 0 or length < 0:
            problem = f"offset is {offset} and length is {length}"
            raise StorageError(f"{provider.where}/{key}", problem, "Pass 0 or more for both.")
        for _ in range(1, provider.attempts):
            with suppress(Unreachable):
                return provider.read_range(key, offset, length)
        return provider.read_range(key, offset, length)

    def write_path(
        self,
        path: ObjectPath,
        content: bytes,
        *,
        if_none_match: Literal["*"] | None = None,
        if_match: str | None = None,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        """Write an object, replacing an existing one; return its path.

        Args:
            path: the object.
            content: its content.
            if_none_match: "*" to write only if the object does not exist yet.
            if_match: an etag, to overwrite the object only if it has this etag.
            content_type: the media type; by default, it is guessed from the path's suffix.
            metadata: names and values to store with the object. Names consist of lower-case
                letters, digits and underscores, values of printable ASCII characters, with a
                limit of 2 kB in total.

        Raises:
            ObjectExists: with `if_none_match`, the object already exists.
            ObjectChanged: with `if_match`, the object has another etag, or does not exist.
            StorageError: the store does not support metadata, or conditional writes.
        """
        try:
            memoryview(content).release()  # or `BytesIO(None)` would write an empty object
        except TypeError:
            name = type(content).__name__
            text = (
                f"write_path({str(path)!r}) takes bytes, not {name}. Encode a text: text.encode()"
            )
            raise TypeError(text) from None
        return self.upload_from_file_object(
            BytesIO(content),
            path,
            if_none_match=if_none_match,
            if_match=if_match,
            content_type=content_type,
            metadata=metadata,
        )

    def open_read(self, path: ObjectPath) -> BufferedReader:
        """Open an object for reading, as a seekable binary file; close it, or use a `with`."""
        provider = self.make_provider()
        return provider.open_reader(provider.make_key(path))

    def stream(self, path: ObjectPath, chunk_bytes: int = CHUNK_BYTES) -> Iterator[bytes]:
        """Yield an object's content in chunks of `chunk_bytes`; the last one may be smaller."""
        if chunk_bytes < 1:
            provider = self.make_provider()
            where = f"{provider.where}/{provider.make_key(path)}"
            problem = f"chunk_bytes is {chunk_bytes!r}"
            raise StorageError(where, problem, "Pass 1 or more.")
        with self.open_read(path) as reader:
            while chunk := reader.read(chunk_bytes):
                yield chunk

    def object_info(self, path: ObjectPath) -> ObjectInfo:
        """Return the size, time, etag, content type and metadata of an object.

        Raises:
            ObjectMissing: there is no such object.
        """
        provider = self.make_provider()
        found = provider.head(provider.make_key(path))
        return strip_folder(found, provider.make_prefix())

    def exists(self, path: ObjectPath) -> bool:
        """Return whether an object exists; False for a folder."""
        provider = self.make_provider()
        try:
            provider.head(provider.make_key(path))
        except ObjectMissing:
            return False
        return True

    def delete_object(self, path: ObjectPath) -> None:
        """Delete an object, if it exists."""
        provider = self.make_provider()
        provider.delete([provider.make_key(path)])

    def delete_objects(self, paths: Iterable[ObjectPath]) -> None:
        """Delete those of the objects that exist, with few requests if the service can."""
        provider = self.make_provider()
        for batch in batches((provider.make_key(path) for path in paths), 1000):
            provider.delete(batch)

    def versions(self, path: ObjectPath) -> Iterator[ObjectVersion]:
        """Yield the versions of an object, newest first.

        Raises:
            StorageError: the store does not retain old versions.
        """
        provider = self.make_provider()
        above = provider.make_prefix()
        found = provider.list_versions(provider.make_key(path))
        return (strip_folder(version, above) for version in found)

    def restore_version(self, path: ObjectPath, version: str) -> None:
        """Make an old version the current one; this also brings back a deleted object.

        Nothing is lost: the version that was current until then becomes an old version.

        Raises:
            ObjectMissing: there is no such version.
            StorageError: the store does not retain old versions.
        """
        provider = self.make_provider()
        provider.restore(provider.make_key(path), version)

    def presigned_url(
        self,
        path: ObjectPath,
        expires_seconds: int = 3600,
        method: Literal["GET", "PUT"] = "GET",
    ) -> str:
        """Return a URL that gives access to the object without credentials until it expires.

        Args:
            path: the object, which need not exist.
            expires_seconds: the number of seconds for which the URL is valid.
            method: ``GET`` to read the object, ``PUT`` to write it.

        Raises:
            StorageError: the store has no presigned URLs, or none that last that long.
        """
        provider = self.make_provider()
        return provider.presign(provider.make_key(path), method, expires_seconds)

    # -- objects and local files -----------------------------------------------------------------

    def upload_from_path(
        self,
        from_path: Path | str,
        to_path: ObjectPath | None = None,
        *,
        if_none_match: Literal["*"] | None = None,
        if_match: str | None = None,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        """Upload a local file, by default under its own name; return the object's path.

        Args:
            from_path: the file.
            to_path: the path of the object; None for the file's name.
            if_none_match: as for `write_path`.
            if_match: as for `write_path`.
            content_type: as for `write_path`.
            metadata: as for `write_path`.
        """
        source = Path(from_path)
        try:
            file = source.open("rb")
        except OSError as error:
            raise translate_read_error(source, error) from error
        with file:
            return self.upload_from_file_object(
                file,
                ExactKey(source.name) if to_path is None else to_path,
                if_none_match=if_none_match,
                if_match=if_match,
                content_type=content_type,
                metadata=metadata,
            )

    def upload_from_file_object(
        self,
        from_file_object: BinaryIO,
        to_path: ObjectPath,
        *,
        if_none_match: Literal["*"] | None = None,
        if_match: str | None = None,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        """Upload an open binary file from its current position; return the object's path.

        A broken connection is retried if the file is seekable and the write is unconditional: a
        second conditional attempt could find what the first one has written.

        Args:
            from_file_object: the file; it stays open.
            to_path: the path of the object.
            if_none_match: as for `write_path`.
            if_match: as for `write_path`.
            content_type: as for `write_path`.
            metadata: as for `write_path`.
        """
        provider = self.make_provider()
        key = provider.make_key(to_path)
        options = make_write_options(
            f"{provider.where}/{key}",
            if_none_match=if_none_match,
            if_match=if_match,
            content_type=content_type,
            metadata=metadata,
        )
        provider.upload(key, from_file_object, options)
        return strip_prefix(provider, to_path, key)

    def download_object_to_path(
        self, from_path: ObjectPath, to_path: Path | str | None = None
    ) -> Path:
        """Download an object to a local file, completely or not at all; return the file's path.

        Args:
            from_path: the object.
            to_path: a file, or an existing directory; None for the working directory.
        """
        provider = self.make_provider()
        key = provider.make_key(from_path)
        target = Path.cwd() if to_path is None else Path(to_path)
        if target.is_dir():
            target = path_below(target, key.rpartition("/")[2])
        with open_atomically(target) as file:
            provider.download(key, file)
        return target

    def download_object_to_file_object(
        self, from_path: ObjectPath, to_file_object: BinaryIO
    ) -> BinaryIO:
        """Download an object into an open binary file, and return that file."""
        provider = self.make_provider()
        provider.download(provider.make_key(from_path), to_file_object)
        return to_file_object

    # -- async versions --------------------------------------------------------------------------

    # In pairs: pydantic's plugin for mypy takes a name that stands alone for a field.
    aread_path, awrite_path = make_twin(read_path), make_twin(write_path)
    aopen_read, aobject_info = make_twin(open_read), make_twin(object_info)
    aexists, adelete_object = make_twin(exists), make_twin(delete_object)
    aupload_from_path, aupload_from_file_object = (
        make_twin(upload_from_path),
        make_twin(upload_from_file_object),
    )
    adownload_object_to_path, adownload_object_to_file_object = (
        make_twin(download_object_to_path),
        make_twin(download_object_to_file_object),
    )
    apresigned_url, aread_range, adelete_objects, arestore_version = (
        make_twin(presigned_url),
        make_twin(read_range),
        make_twin(delete_objects),
        make_twin(restore_version),
    )

    def astream(self, path: ObjectPath, chunk_bytes: int = CHUNK_BYTES) -> AsyncIterator[bytes]:
        """Async version of `stream`, for an `async for`."""
        return iterate(lambda: self.stream(path, chunk_bytes), batch=1)

    def aversions(self, path: ObjectPath) -> AsyncIterator[ObjectVersion]:
        """Async version of `versions`, for an `async for`."""
        return iterate(lambda: self.versions(path))
