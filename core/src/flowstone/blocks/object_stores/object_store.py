"""ObjectStore: the interface of every place that keeps objects by path."""

# ruff: noqa: SLF001 - the names of this file's own classes

from __future__ import annotations

import os
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, ClassVar, Literal

from flowstone.blocks.async_twins import iterate, twin
from flowstone.blocks.base import Block
from flowstone.blocks.local_files import unreadable, walk, whole_file
from flowstone.blocks.object_stores.parallel import batches, each
from flowstone.blocks.object_stores.paths import local_path as inside
from flowstone.blocks.object_stores.paths import parts
from flowstone.blocks.object_stores.provider import CHUNK_BYTES, ObjectInfo, Primitives
from flowstone.errors import ObjectMissing, StorageError, Unreachable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from io import BufferedReader

    from flowstone.blocks.object_stores.paths import ObjectPath

__all__ = ["CHUNK_BYTES", "ObjectInfo", "ObjectStore"]


class Operations(Primitives):
    """What everybody can do with objects, made of what a provider wrote."""

    def read_path(self, path: ObjectPath) -> bytes:
        """Return an object's content.

        Raises:
            ObjectMissing: there is no such object.
        """
        return self._read_whole(self._key(path))

    def write_path(self, path: ObjectPath, content: bytes) -> str:
        """Write an object, over what is there; return its path."""
        memoryview(content).release()  # or `BytesIO(None)` would write an empty object
        return self.upload_from_file_object(BytesIO(content), path)

    def open_read(self, path: ObjectPath) -> BufferedReader:
        """Open an object to read as a binary file; close it, or use it in a `with`."""
        return self._reader(self._key(path))

    def stream(self, path: ObjectPath, chunk_bytes: int = CHUNK_BYTES) -> Iterator[bytes]:
        """Yield an object's content in chunks of so many bytes."""
        if chunk_bytes < 1:
            problem, remedy = f"chunks of {chunk_bytes} bytes were asked for", "Ask for more."
            raise StorageError(f"{self._where()}/{self._key(path)}", problem, remedy)
        with self.open_read(path) as reader:
            while chunk := reader.read(chunk_bytes):
                yield chunk

    def object_info(self, path: ObjectPath) -> ObjectInfo:
        """Return size, time and etag of an object.

        Raises:
            ObjectMissing: there is no such object.
        """
        return self._relative(self._head(self._key(path)))

    def exists(self, path: ObjectPath) -> bool:
        """Return whether there is such an object; a folder is none."""
        try:
            self._head(self._key(path))
        except ObjectMissing:
            return False
        return True

    def delete_object(self, path: ObjectPath) -> None:
        """Delete an object; one that is not there is no error."""
        self._delete([self._key(path)])

    def presigned_url(
        self,
        path: ObjectPath,
        expires_seconds: int = 3600,
        method: Literal["GET", "PUT"] = "GET",
    ) -> str:
        """Return a URL that reads or writes the object without a login, for a while."""
        return self._presign(self._key(path), method, expires_seconds)

    def copy_object(
        self, from_path: ObjectPath, to_path: ObjectPath, to_bucket: Operations | None = None
    ) -> str:
        """Copy an object within the store, or to another; return its new path."""
        target = self if to_bucket is None else to_bucket
        return target.stream_from(self, from_path, to_path)

    def move_object(
        self, from_path: ObjectPath, to_path: ObjectPath, to_bucket: Operations | None = None
    ) -> str:
        """Copy an object, then delete the first; return its new path."""
        target = self if to_bucket is None else to_bucket
        key, new_key = self._key(from_path), target._key(to_path)
        is_same = self._identity(key) == target._identity(new_key)
        moved = self.copy_object(from_path, to_path, to_bucket)
        if not is_same:
            self._delete([key])
        return moved

    def stream_from(
        self, bucket: Operations, from_path: ObjectPath, to_path: ObjectPath | None = None
    ) -> str:
        """Copy an object from another store to this one; return its path here."""
        source = bucket._key(from_path)
        key = self._key(parts(source)[-1] if to_path is None else to_path)
        if bucket._identity(source) == self._identity(key):
            bucket._head(source)  # a copy onto itself changes nothing, but must find something
        else:
            self._copy_from(bucket, source, key)
        return self._path(key)

    # -- objects and local files -----------------------------------------------------------------

    def upload_from_path(self, from_path: Path | str, to_path: ObjectPath | None = None) -> str:
        """Upload a local file, under its own name where none is given; return its path here."""
        source = Path(from_path)
        try:
            file = source.open("rb")
        except OSError as error:
            raise unreadable(source, error) from error
        with file:
            return self.upload_from_file_object(file, source.name if to_path is None else to_path)

    def upload_from_file_object(self, from_file_object: BinaryIO, to_path: ObjectPath) -> str:
        """Upload from an open binary file, from where it stands; return the object's path.

        A broken connection is tried again where the file can seek.
        """
        key = self._key(to_path)
        start = from_file_object.tell() if from_file_object.seekable() else None
        size = None
        if start is not None:
            size = from_file_object.seek(0, os.SEEK_END) - start
        for attempt in range(1, self._attempts + 1):
            if start is not None:
                from_file_object.seek(start)
            try:
                self._put(key, from_file_object, size)
                break
            except Unreachable:
                if start is None or attempt == self._attempts:
                    raise
        return self._path(key)

    def download_object_to_path(
        self, from_path: ObjectPath, to_path: Path | str | None = None
    ) -> Path:
        """Download an object to a local file, whole or not at all; return where it is.

        Args:
            from_path: the object.
            to_path: a file, or a directory that exists; None for the object's name, here.
        """
        key = self._key(from_path)
        target = Path.cwd() if to_path is None else Path(to_path)
        if target.is_dir():
            target = inside(target, key.rpartition("/")[2])
        with whole_file(target) as file:
            self._download(key, file)
        return target

    def download_object_to_file_object(
        self, from_path: ObjectPath, to_file_object: BinaryIO
    ) -> BinaryIO:
        """Download an object into an open binary file, and return that file."""
        self._download(self._key(from_path), to_file_object)
        return to_file_object

    # -- async twins -----------------------------------------------------------------------------

    aread_path = twin(read_path)
    awrite_path = twin(write_path)
    aopen_read = twin(open_read)
    aobject_info = twin(object_info)
    aexists = twin(exists)
    adelete_object = twin(delete_object)
    apresigned_url = twin(presigned_url)
    acopy_object = twin(copy_object)
    amove_object = twin(move_object)
    astream_from = twin(stream_from)
    aupload_from_path = twin(upload_from_path)
    aupload_from_file_object = twin(upload_from_file_object)
    adownload_object_to_path = twin(download_object_to_path)
    adownload_object_to_file_object = twin(download_object_to_file_object)

    def astream(self, path: ObjectPath, chunk_bytes: int = CHUNK_BYTES) -> AsyncIterator[bytes]:
        """Do as `stream`, in an `async for`."""
        return iterate(lambda: self.stream(path, chunk_bytes), batch=1)


class Folders(Operations):
    """What everybody can do with whole folders of objects."""

    def list_objects(
        self, folder: ObjectPath = "", max_items: int | None = None
    ) -> Iterator[ObjectInfo]:
        """Yield the objects in a folder and below, ordered by path, fetched as you go."""
        found = (i for i in self._list(self._prefix(folder)) if not i.path.endswith("/"))
        return map(self._relative, islice(found, max_items))

    def delete_folder(self, folder: ObjectPath) -> int:
        """Delete every object in a folder and below; return how many there were."""
        count = 0
        for batch in batches(self._list(self._prefix(folder)), 1000):
            self._delete([info.path for info in batch])
            count += sum(not info.path.endswith("/") for info in batch)
        return count

    def get_directory(
        self, from_path: ObjectPath | None = None, local_path: Path | str | None = None
    ) -> list[Path]:
        """Download a folder and what is below it, in parallel; return the files' places.

        Args:
            from_path: the folder; None for the block's own.
            local_path: where to; None for the working directory.
        """
        prefix = self._prefix(from_path or "")
        root = Path.cwd() if local_path is None else Path(local_path)

        def fetch(info: ObjectInfo) -> Path | None:
            target = inside(root, info.path.removeprefix(prefix))
            if info.path.endswith("/"):
                target.mkdir(parents=True, exist_ok=True)
                return None
            with whole_file(target) as file:
                self._download(info.path, file)
            return target

        found = each(fetch, self._list(prefix), self._parallel)
        return [path for path in found if path is not None]

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
        """
        root = Path.cwd() if local_path is None else Path(local_path)
        folder = "/".join(parts(to_path or ""))

        def send(relative: str) -> str:
            return self.upload_from_path(root / relative, f"{folder}/{relative}")

        files = walk(root, ignore_file)
        return sum(1 for _ in each(send, files, self._parallel))

    def upload_from_folder(
        self, from_folder: Path | str, to_folder: ObjectPath | None = None
    ) -> str:
        """Upload a local directory and what is below it, in parallel; return the folder here."""
        self.put_directory(from_folder, to_folder)
        return "/".join(parts(to_folder or ""))

    adelete_folder = twin(delete_folder)
    aget_directory = twin(get_directory)
    adownload_folder_to_path = twin(download_folder_to_path)
    aput_directory = twin(put_directory)
    aupload_from_folder = twin(upload_from_folder)

    def alist_objects(
        self, folder: ObjectPath = "", max_items: int | None = None
    ) -> AsyncIterator[ObjectInfo]:
        """Do as `list_objects`, in an `async for`."""
        return iterate(lambda: self.list_objects(folder, max_items))


class ObjectStore(Folders, Block):
    """Objects by path, in one folder of one place.

    A path is relative to the block's folder: leading, trailing and double slashes and ``.`` change
    nothing, and ``..`` may not lead out. Missing objects raise `ObjectMissing`, a missing place
    `BucketMissing`, a service that can't be reached `Unreachable`; all are `StorageError`.
    Each method has an async twin: ``aread_path``, ``alist_objects``.
    """

    _tried_again: ClassVar[tuple[str, ...]] = (
        "_get",
        "_put",
        "_head",
        "_list",
        "_delete",
        "_copy_from",
        "_download",
        "_presign",
    )
