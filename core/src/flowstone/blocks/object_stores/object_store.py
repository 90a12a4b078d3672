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
from flowstone.blocks.object_stores.folders import Folders
from flowstone.blocks.object_stores.parallel import batches
from flowstone.blocks.object_stores.paths import ExactKey, is_exact, strip_folder
from flowstone.blocks.object_stores.paths import local_path as path_below
from flowstone.blocks.object_stores.resuming import CHUNK_BYTES
from flowstone.blocks.object_stores.syncing import Syncing
from flowstone.blocks.object_stores.writing import make_write_options
from flowstone.errors import ConfigurationError, ObjectMissing, StorageError, Unreachable

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


class ObjectStore(Addresses, Arrivals, Folders, Syncing, Block):
    """A store of objects by path, such as a bucket or a directory, or a folder in one.

    Paths are relative to the block's folder. Leading and trailing slashes and ``./`` are ignored;
    an inner ``//``, ``..`` and the URL of another store are refused. The paths that `list_objects`
    yields are exact keys and are used unchanged, whatever other programs name their objects.

    An invalid path raises `PathInvalid`, a path that leads out of the folder `PathEscapes`, a
    missing object `ObjectMissing`, a missing bucket `BucketMissing`, and a service that can't be
    reached `Unreachable`. All of them are `StorageError`.
    Each method has an async twin: ``aread_path``, ``alist_objects``.

    A package subclasses it with fields and `make_provider`, and nothing else.
    """

    _replaceable: ClassVar[tuple[str, ...]] = TRANSFERS

    @abstractmethod
    def make_provider(self) -> ObjectStoreProvider:
        """Return the provider for the bucket or directory that this block's fields describe.

        It is called for each operation, so it must not open connections. The provider gets its
        clients from the credentials, which share them.
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
            StorageError: the store does not keep old versions.
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
            StorageError: the store does not keep old versions.
        """
        provider = self.make_provider()
        provider.restore(provider.make_key(path), version)

    def presigned_url(
        self,
        path: ObjectPath,
        expires_seconds: int = 3600,
        method: Literal["GET", "PUT"] = "GET",
    ) -> str:
        """Return a URL that reads or writes the object without a login until it expires."""
        provider = self.make_provider()
        return provider.presign(provider.make_key(path), method, expires_seconds)

    def find_bucket(self, name: str) -> ObjectStore:
        """Return another bucket of the same login, by its name, with no folder set.

        Raises:
            ConfigurationError: a store of this kind has no buckets.
        """
        what = f"to_bucket={name!r}"
        problem = f"a {type(self).__name__} has no buckets by name"
        raise ConfigurationError(what, problem, "Give the object store block itself.")

    def copy_object(
        self, from_path: ObjectPath, to_path: ObjectPath, to_bucket: ObjectStore | str | None = None
    ) -> str:
        """Copy an object within this store, or to another one; return its new path.

        Args:
            from_path: in this store.
            to_path: in the other.
            to_bucket: the other, or the name of a bucket of the same login; None for this one.
        """
        found = self.find_bucket(to_bucket) if isinstance(to_bucket, str) else to_bucket
        target = self if found is None else found
        return target.stream_from(self, from_path, to_path)

    def move_object(
        self, from_path: ObjectPath, to_path: ObjectPath, to_bucket: ObjectStore | str | None = None
    ) -> str:
        """Move an object within this store, or to another one; return its new path.

        Args:
            from_path: in this store.
            to_path: in the other.
            to_bucket: the other, or the name of a bucket of the same login; None for this one.
        """
        if isinstance(to_bucket, str):
            to_bucket = self.find_bucket(to_bucket)
        source = self.make_provider()
        target = source if to_bucket is None else to_bucket.make_provider()
        key, new_key = source.make_key(from_path), target.make_key(to_path)
        is_same = source.identify(key) == target.identify(new_key)
        moved = self.copy_object(from_path, to_path, to_bucket)
        if not is_same:
            source.delete([key])
        return moved

    def stream_from(
        self, bucket: ObjectStore, from_path: ObjectPath, to_path: ObjectPath | None = None
    ) -> str:
        """Copy an object from another store to this one; return its path here."""
        source, target = bucket.make_provider(), self.make_provider()
        key = source.make_key(from_path)
        if to_path is None:
            to_path = ExactKey(key.rstrip("/").rpartition("/")[2])
        new_key = target.make_key(to_path)
        if source.identify(key) == target.identify(new_key):
            source.head(key)  # a copy onto itself changes nothing, but the object must exist
        else:
            target.copy(source, key, new_key)
        return _strip_prefix(target, to_path, new_key)

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

        For the other arguments, see `write_path`.
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
        second conditional attempt could find what the first one has written. For the other
        arguments, see `write_path`.
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
        return _strip_prefix(provider, to_path, key)

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

    # -- async twins -----------------------------------------------------------------------------

    # In pairs: pydantic's plugin for mypy takes a name that stands alone for a field.
    aread_path, awrite_path = make_twin(read_path), make_twin(write_path)
    aopen_read, aobject_info = make_twin(open_read), make_twin(object_info)
    aexists, adelete_object = make_twin(exists), make_twin(delete_object)
    apresigned_url, astream_from = make_twin(presigned_url), make_twin(stream_from)
    acopy_object, amove_object = make_twin(copy_object), make_twin(move_object)
    aupload_from_path, aupload_from_file_object = (
        make_twin(upload_from_path),
        make_twin(upload_from_file_object),
    )
    adownload_object_to_path, adownload_object_to_file_object = (
        make_twin(download_object_to_path),
        make_twin(download_object_to_file_object),
    )
    aread_range, adelete_objects, arestore_version = (
        make_twin(read_range),
        make_twin(delete_objects),
        make_twin(restore_version),
    )

    def astream(self, path: ObjectPath, chunk_bytes: int = CHUNK_BYTES) -> AsyncIterator[bytes]:
        """Do the same as `stream`, for an `async for`."""
        return iterate(lambda: self.stream(path, chunk_bytes), batch=1)

    def aversions(self, path: ObjectPath) -> AsyncIterator[ObjectVersion]:
        """Do the same as `versions`, for an `async for`."""
        return iterate(lambda: self.versions(path))


def _strip_prefix(provider: ObjectStoreProvider, path: ObjectPath, key: str) -> str:
    """Return the path of a key, as an `ExactKey` if the original path was exact."""
    found = key.removeprefix(provider.make_prefix())
    return ExactKey(found) if is_exact(path) else found
