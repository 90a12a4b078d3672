"""The files of an fsspec file system as objects."""

from __future__ import annotations

import math
from contextlib import suppress
from datetime import UTC, datetime
from io import BufferedIOBase, BufferedReader, BytesIO
from operator import methodcaller
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast
from urllib.parse import urlsplit

from flowstone.blocks.object_stores.parallel import map_in_threads
from flowstone.blocks.object_stores.paths import ObjectInfo, local_path
from flowstone.blocks.object_stores.provider import ObjectStoreProvider
from flowstone.blocks.object_stores.remote_errors import translate_errors, word_error
from flowstone.blocks.object_stores.resuming import CHUNK_BYTES
from flowstone.errors import BucketMissing, ConfigurationError, MissingExtra, ObjectMissing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from io import RawIOBase

    from fsspec import AbstractFileSystem

    from flowstone.blocks.object_stores.provider import Tool
    from flowstone.secrets.values import SecretDict

#: The size of a file system's buffer; smaller objects are written in one request, if it can.
BLOCK_BYTES = 8 * 1024 * 1024
#: The names that file systems use for the modification time, and for the etag.
_TIMES = ("LastModified", "last_modified", "mtime", "updated", "modified")
_ETAGS = ("ETag", "etag", "e_tag", "md5Hash", "content_md5")


class RemoteProvider(ObjectStoreProvider):
    """The files below one URL as objects; a key is a path below its host or bucket.

    Args:
        basepath: the URL of the block's folder.
        settings: keyword arguments of the file system.
    """

    def __init__(self, basepath: str, settings: SecretDict) -> None:
        parts = urlsplit(basepath)
        self._url, self._settings = f"{parts.scheme}://{parts.netloc}", settings
        self.folder, self.urls = parts.path, [self._url]

    @property
    def where(self) -> str:
        return self._url

    def get(self, key: str, offset: int = 0) -> BufferedIOBase:
        with self._translate(key):
            files, path = self._find(key)
            file = files.open(path, "rb", BLOCK_BYTES)
            if getattr(file, "details", {}).get("type") == "directory":
                raise IsADirectoryError
            if isinstance(file, BytesIO):
                file = BytesIO(file.getvalue())  # all readers of the object share its position
            file.seek(offset)
        return _Reader(file, f"{self._url}/{key}")

    def read(self, key: str) -> bytes:
        return self._read_bytes(key)

    def read_range(self, key: str, offset: int, length: int) -> bytes:
        end = min(offset + length, self.head(key).size)
        return self._read_bytes(key, offset, end) if offset < end else b""

    def _read_bytes(self, key: str, start: int | None = None, end: int | None = None) -> bytes:
        with self._translate(key):
            files, path = self._find(key)
            found: bytes = files.cat_file(path, start=start, end=end)
        return found

    def put(self, key: str, source: BinaryIO, size: int | None) -> None:
        """Write an object; its folder is created only if it is missing.

        On object stores, which have no folders, that could create the bucket.
        """
        del size
        start = source.tell() if source.seekable() else None
        if start is None:
            self._make_folder(key)
        try:
            self._write(key, source)
        except BucketMissing:
            if start is None or not self._make_folder(key):
                raise
            source.seek(start)
            self._write(key, source)

    def _make_folder(self, key: str) -> bool:
        """Create the folder of an object; return False if its root is missing or has none."""
        with self._translate(key, writes=True):
            files, path = self._find(key)
            folder, root = path.rpartition("/")[0], path.removesuffix(f"/{key}")
            if folder == root or not files.exists(root or "/"):
                return False
            files.makedirs(folder, exist_ok=True)
        return True

    def _write(self, key: str, source: BinaryIO) -> None:
        with self._translate(key, writes=True):
            files, path = self._find(key)
            limit = _find_limit(files)
        start = _read_start(source, limit)
        with self._translate(key, writes=True):
            if len(start) < limit:
                files.pipe_file(path, start)
                return
            # With `open`, the file would be part of a transaction that all threads share.
            file = methodcaller("_open", path, "wb", BLOCK_BYTES, autocommit=False)(files)
        try:
            chunk = start or source.read(CHUNK_BYTES)
            while chunk:
                with self._translate(key, writes=True):
                    file.write(chunk)
                chunk = source.read(CHUNK_BYTES)
            with self._translate(key, writes=True):
                file.close()
                if hasattr(file, "commit"):  # else it is written already
                    file.commit()
        except BaseException:
            with suppress(Exception):  # the first error is the one to raise
                file.discard()
                file.closed = True  # or it would be uploaded on garbage collection
            raise

    def head(self, key: str) -> ObjectInfo:
        with self._translate(key):
            files, path = self._find(key)
            found = files.info(path)
            if found["type"] != "file":
                raise IsADirectoryError
            return _describe(files, key, found)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield the objects of a folder; fsspec lists all of them at once."""
        with self._translate(prefix):
            files, root = self._open_files()
            above = f"{root}/{prefix}"
            found: dict[str, dict[str, object]] = {}
            with suppress(FileNotFoundError):
                found = files.find(above.rstrip("/"), detail=True)
            if not found and not files.exists(root or "/"):
                remedy = "Check basepath, or write an object first."
                raise BucketMissing(self._url, "the bucket or directory does not exist", remedy)
        for name in sorted(found):
            if name.startswith(above):  # unless there is a file in place of the folder
                with self._translate(prefix):
                    info = _describe(files, name.removeprefix(f"{root}/"), found[name])
                yield info

    def delete(self, keys: Sequence[str]) -> None:
        for _ in map_in_threads(self._delete, keys, self.parallel):
            pass

    def _delete(self, key: str) -> None:
        with suppress(ObjectMissing), self._translate(key):
            files, path = self._find(key)
            files.rm_file(path)

    def make_storage_options(self, tool: Tool) -> dict[str, object] | None:
        """Return the settings for pandas, which uses fsspec itself."""
        if tool == "pandas":
            return self._reveal_settings() or None
        return super().make_storage_options(tool)

    def _find(self, key: str) -> tuple[AbstractFileSystem, str]:
        """Return the file system, and its path for a key."""
        local_path(Path(), key)  # a key that is not a valid path has no file
        files, root = self._open_files()
        return files, f"{root}/{key}"

    def _open_files(self) -> tuple[AbstractFileSystem, str]:
        """Return the file system, which fsspec caches for each thread, and the path of its root."""
        try:
            # An optional dependency.
            from fsspec.core import url_to_fs
        except ImportError as error:
            raise MissingExtra("RemoteFileSystem", "flowstone[fsspec]") from error
        try:
            files, root = url_to_fs(self._url, **self._reveal_settings())
        except ImportError as error:
            problem = f"the file system of {self._url!r} is not installed ({word_error(error)})"
            remedy = "Install the package that the error names."
            raise ConfigurationError("RemoteFileSystem", problem, remedy) from error
        except (TypeError, ValueError) as error:
            problem = f"fsspec can't open {self._url!r} ({word_error(error)})"
            remedy = "Check the scheme of basepath, and the names and values in settings."
            raise ConfigurationError("RemoteFileSystem", problem, remedy) from error
        files.invalidate_cache()  # other programs may have written to it
        return files, str(root).rstrip("/")

    def _reveal_settings(self) -> dict[str, object]:
        return dict(self._settings.get_secret_value())

    def _translate(self, key: str, *, writes: bool = False) -> AbstractContextManager[None]:
        return translate_errors(f"{self._url}/{key}", writes=writes)


def _read_start(source: BinaryIO, limit: float) -> bytes:
    """Return up to `limit` bytes of a source, fewer only at its end."""
    chunks, size = [], 0
    while size < limit and (chunk := source.read(CHUNK_BYTES)):
        chunks.append(chunk)
        size += len(chunk)
    return b"".join(chunks)


def _find_limit(files: AbstractFileSystem) -> float:
    """Return the size below which a file system writes an object in one request.

    The file system in memory has no other way to write atomically.
    """
    # An optional dependency, which is loaded by now.
    from fsspec import AbstractFileSystem
    from fsspec.implementations.memory import MemoryFileSystem

    own: object = getattr(files.pipe_file, "__func__", files.pipe_file)
    if own is AbstractFileSystem.pipe_file:
        return 0
    return math.inf if isinstance(files, MemoryFileSystem) else BLOCK_BYTES


class _Reader(BufferedReader):
    """A file of the file system, with the errors of Flowstone."""

    def __init__(self, file: BinaryIO, where: str) -> None:
        super().__init__(cast("RawIOBase", file))
        self._where = where

    def read(self, size: int | None = -1) -> bytes:
        with translate_errors(self._where):
            return super().read(size)


def _describe(files: AbstractFileSystem, key: str, found: Mapping[str, object]) -> ObjectInfo:
    modified = _find_time(files, found)
    etag = next((str(found[name]) for name in _ETAGS if found.get(name)), None)
    size = int(str(found["size"] or 0))
    if etag is None and modified is not None:
        etag = f"{modified.timestamp():.6f}-{size}"
    kind = found.get("ContentType") or found.get("contentType") or found.get("mimetype")
    when = modified or datetime.fromtimestamp(0, UTC)
    return ObjectInfo(key, size, when, etag, content_type=str(kind) if kind else None)


def _find_time(files: AbstractFileSystem, found: Mapping[str, object]) -> datetime | None:
    """Return when a file was last modified; None if the file system does not say."""
    told = next((found[name] for name in _TIMES if found.get(name)), None)
    if told is None:
        with suppress(NotImplementedError):
            told = files.modified(found["name"])
    if isinstance(told, (int, float)):
        return datetime.fromtimestamp(told, UTC)
    if isinstance(told, str):
        told = datetime.fromisoformat(told)
    if not isinstance(told, datetime):
        return None
    return told.replace(tzinfo=UTC) if told.tzinfo is None else told.astimezone(UTC)
