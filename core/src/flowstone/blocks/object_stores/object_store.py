"""ObjectStore: the interface of every place that keeps objects by path."""

from __future__ import annotations

import os
from abc import abstractmethod
from dataclasses import replace
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

from flowstone.blocks.async_twins import iterate, make_twin
from flowstone.blocks.base import Block
from flowstone.blocks.local_files import open_atomically, translate_read_error, walk
from flowstone.blocks.object_stores.addresses import Addresses
from flowstone.blocks.object_stores.local_places import LocalPlaces
from flowstone.blocks.object_stores.parallel import batches, map_in_threads
from flowstone.blocks.object_stores.paths import ExactKey, is_exact
from flowstone.blocks.object_stores.paths import local_path as path_below
from flowstone.blocks.object_stores.resuming import CHUNK_BYTES
from flowstone.errors import (
    FilesLeftOut,
    ObjectMissing,
    PathInvalid,
    StorageError,
    Unreachable,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from io import BufferedReader

    from flowstone.blocks.object_stores.paths import ObjectInfo, ObjectPath
    from flowstone.blocks.object_stores.provider import ObjectStoreProvider


class ObjectStore(Addresses, Block):
    """Objects by path, in one folder of one place.

    A path is relative to the block's folder: leading and trailing slashes and ``./`` change
    nothing; ``//`` inside, ``..`` and another place's URL are refused. What `list_objects` gives
    is exact: it is taken as it is, whatever other programs call their objects.

    What can be no path raises `PathInvalid`, what leads elsewhere `PathEscapes`, missing objects
    raise `ObjectMissing`, a missing place `BucketMissing`, a service that can't be reached
    `Unreachable`; all are `StorageError`.
    Each method has an async twin: ``aread_path``, ``alist_objects``.

    A package subclasses it with fields and `make_provider`, and nothing else.
    """

    @abstractmethod
    def make_provider(self) -> ObjectStoreProvider:
        """Return what reaches the place that this block's fields name.

        It is called for each operation, and so opens nothing by itself: clients come from the
        credentials, which hold them.
        """

    # -- objects ---------------------------------------------------------------------------------

    def read_path(self, path: ObjectPath) -> bytes:
        """Return an object's content.

        Raises:
            ObjectMissing: there is no such object.
        """
        provider = self.make_provider()
        return provider.read(provider.make_key(path))

    def write_path(self, path: ObjectPath, content: bytes) -> str:
        """Write an object, over what is there; return its path."""
        memoryview(content).release()  # or `BytesIO(None)` would write an empty object
        return self.upload_from_file_object(BytesIO(content), path)

    def open_read(self, path: ObjectPath) -> BufferedReader:
        """Open an object to read as a binary file that can seek; close it, or use a `with`."""
        provider = self.make_provider()
        return provider.open_reader(provider.make_key(path))

    def stream(self, path: ObjectPath, chunk_bytes: int = CHUNK_BYTES) -> Iterator[bytes]:
        """Yield an object's content in chunks of so many bytes."""
        if chunk_bytes < 1:
            provider = self.make_provider()
            where = f"{provider.where}/{provider.make_key(path)}"
            problem, remedy = f"chunks of {chunk_bytes} bytes were asked for", "Ask for more."
            raise StorageError(where, problem, remedy)
        with self.open_read(path) as reader:
            while chunk := reader.read(chunk_bytes):
                yield chunk

    def object_info(self, path: ObjectPath) -> ObjectInfo:
        """Return size, time and etag of an object.

        Raises:
            ObjectMissing: there is no such object.
        """
        provider = self.make_provider()
        found = provider.head(provider.make_key(path))
        return _strip_folder(found, provider.make_prefix())

    def exists(self, path: ObjectPath) -> bool:
        """Return whether there is such an object; a folder is none."""
        provider = self.make_provider()
        try:
            provider.head(provider.make_key(path))
        except ObjectMissing:
            return False
        return True

    def delete_object(self, path: ObjectPath) -> None:
        """Delete an object; one that is not there is no error."""
        provider = self.make_provider()
        provider.delete([provider.make_key(path)])

    def presigned_url(
        self,
        path: ObjectPath,
        expires_seconds: int = 3600,
        method: Literal["GET", "PUT"] = "GET",
    ) -> str:
        """Return a URL that reads or writes the object without a login, for a while."""
        provider = self.make_provider()
        return provider.presign(provider.make_key(path), method, expires_seconds)

    def copy_object(
        self, from_path: ObjectPath, to_path: ObjectPath, to_bucket: ObjectStore | None = None
    ) -> str:
        """Copy an object within the store, or to another; return its new path."""
        target = self if to_bucket is None else to_bucket
        return target.stream_from(self, from_path, to_path)

    def move_object(
        self, from_path: ObjectPath, to_path: ObjectPath, to_bucket: ObjectStore | None = None
    ) -> str:
        """Copy an object, then delete the first; return its new path."""
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
            source.head(key)  # a copy onto itself changes nothing, but must find something
        else:
            target.copy(source, key, new_key)
        return _strip_prefix(target, to_path, new_key)

    # -- objects and local files -----------------------------------------------------------------

    def upload_from_path(self, from_path: Path | str, to_path: ObjectPath | None = None) -> str:
        """Upload a local file, under its own name where none is given; return its path here."""
        source = Path(from_path)
        try:
            file = source.open("rb")
        except OSError as error:
            raise translate_read_error(source, error) from error
        with file:
            return self.upload_from_file_object(
                file, ExactKey(source.name) if to_path is None else to_path
            )

    def upload_from_file_object(self, from_file_object: BinaryIO, to_path: ObjectPath) -> str:
        """Upload from an open binary file, from where it stands; return the object's path.

        A broken connection is tried again where the file can seek.
        """
        provider = self.make_provider()
        key = provider.make_key(to_path)
        start = from_file_object.tell() if from_file_object.seekable() else None
        size = None
        if start is not None:
            size = from_file_object.seek(0, os.SEEK_END) - start
        for attempt in range(1, provider.attempts + 1):
            if start is not None:
                from_file_object.seek(start)
            try:
                provider.put(key, from_file_object, size)
                break
            except Unreachable:
                if start is None or attempt == provider.attempts:
                    raise
        return _strip_prefix(provider, to_path, key)

    def download_object_to_path(
        self, from_path: ObjectPath, to_path: Path | str | None = None
    ) -> Path:
        """Download an object to a local file, whole or not at all; return where it is.

        Args:
            from_path: the object.
            to_path: a file, or a directory that exists; None for the object's name, here.
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

    # -- folders ---------------------------------------------------------------------------------

    def list_objects(
        self, folder: ObjectPath = "", max_items: int | None = None
    ) -> Iterator[ObjectInfo]:
        """Yield the objects in a folder and below, ordered by path, fetched as you go."""
        provider = self.make_provider()
        above = provider.make_prefix()
        found = provider.list(provider.make_prefix(folder))
        objects = (info for info in found if not info.is_folder())
        return (_strip_folder(info, above) for info in islice(objects, max_items))

    def delete_folder(self, folder: ObjectPath) -> int:
        """Delete every object in a folder and below; return how many there were."""
        provider = self.make_provider()
        count = 0
        for batch in batches(provider.list(provider.make_prefix(folder)), 1000):
            provider.delete([info.path for info in batch])
            count += sum(not info.is_folder() for info in batch)
        return count

    def get_directory(
        self, from_path: ObjectPath | None = None, local_path: Path | str | None = None
    ) -> list[Path]:
        """Download a folder and what is below it, in parallel; return the files' places.

        Args:
            from_path: the folder; None for the block's own.
            local_path: where to; None for the working directory.

        Raises:
            FilesLeftOut: a disk can't have some of them, such as `a` beside `a/b`; all others
                are there.
        """
        provider = self.make_provider()
        prefix = provider.make_prefix(from_path or "")
        root = Path.cwd() if local_path is None else Path(local_path)
        places = LocalPlaces(root, prefix)

        def fetch(item: tuple[str, Path]) -> Path | None:
            key, target = item
            try:
                with open_atomically(target) as file:
                    provider.download(key, file)
            except PathInvalid as error:
                places.left_out[key] = error.problem
                return None
            return target

        infos = provider.list(prefix)
        wanted = ((info.path, place) for info in infos if (place := places.find(info)) is not None)
        done = list(map_in_threads(fetch, wanted, provider.parallel))
        if places.left_out:
            remedy = "`download_object_to_path` can give them other names."
            raise FilesLeftOut(f"{provider.where}/{prefix} to {root}", places.left_out, remedy)
        return [path for path in done if path is not None]

    def download_folder_to_path(
        self, from_folder: ObjectPath, to_folder: Path | str | None = None
    ) -> Path:
        """Download a folder and what is below it, in parallel; return the local directory."""
        root = Path.cwd() if to_folder is None else Path(to_folder)
        self.get_directory(from_folder, root)
        return root

    def put_directory(
        self,
        local_path: Path | str | None = None,
        to_path: ObjectPath | None = None,
        ignore_file: Path | str | None = None,
    ) -> int:
        """Upload a local directory and what is below it, in parallel; return how many files.

        Args:
            local_path: the directory; None for the working directory.
            to_path: the folder to put it in; None for the block's own.
            ignore_file: patterns of what to leave out, as in a .gitignore.

        Raises:
            FilesLeftOut: some are no files, as a named pipe, or have no possible names; all others
                are there.
        """
        provider = self.make_provider()
        root = Path.cwd() if local_path is None else Path(local_path)
        folder = self._find_folder(to_path)
        left_out: dict[str, str] = {}

        def send(relative: str) -> bool:
            try:
                self.upload_from_path(root / relative, ExactKey(folder + relative))
            except PathInvalid as error:
                left_out[relative] = error.problem
                return False
            return True

        files = walk(root, ignore_file, left_out)
        count = sum(map_in_threads(send, files, provider.parallel))
        if left_out:
            remedy = "Name them in an ignore_file, or move them away."
            raise FilesLeftOut(f"{root} to {provider.where}", left_out, remedy)
        return count

    def upload_from_folder(
        self, from_folder: Path | str, to_folder: ObjectPath | None = None
    ) -> str:
        """Upload a local directory and what is below it, in parallel; return the folder here."""
        self.put_directory(from_folder, to_folder)
        return self._find_folder(to_folder).removesuffix("/")

    def _find_folder(self, path: ObjectPath | None) -> str:
        provider = self.make_provider()
        return provider.make_prefix(path or "").removeprefix(provider.make_prefix())

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
    aget_directory, aput_directory = make_twin(get_directory), make_twin(put_directory)
    adelete_folder, adownload_folder_to_path, aupload_from_folder = (
        make_twin(delete_folder),
        make_twin(download_folder_to_path),
        make_twin(upload_from_folder),
    )

    def astream(self, path: ObjectPath, chunk_bytes: int = CHUNK_BYTES) -> AsyncIterator[bytes]:
        """Do as `stream`, in an `async for`."""
        return iterate(lambda: self.stream(path, chunk_bytes), batch=1)

    def alist_objects(
        self, folder: ObjectPath = "", max_items: int | None = None
    ) -> AsyncIterator[ObjectInfo]:
        """Do as `list_objects`, in an `async for`."""
        return iterate(lambda: self.list_objects(folder, max_items))


def _strip_folder(info: ObjectInfo, prefix: str) -> ObjectInfo:
    """Return what a provider says of a key as what the block says of a path."""
    return replace(info, path=ExactKey(info.path.removeprefix(prefix)))


def _strip_prefix(provider: ObjectStoreProvider, path: ObjectPath, key: str) -> str:
    """Return the path of a key that was made of a path."""
    found = key.removeprefix(provider.make_prefix())
    return ExactKey(found) if is_exact(path) else found
