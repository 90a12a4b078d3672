"""An object store as an fsspec file system."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from fsspec import AbstractFileSystem

from flowstone.blocks.object_stores.paths import ExactKey
from flowstone.errors import BucketMissing, ObjectMissing

if TYPE_CHECKING:
    from io import BufferedReader
    from types import TracebackType
    from typing import BinaryIO, Protocol

    from typing_extensions import Buffer

    from flowstone.blocks.object_stores.paths import ObjectInfo

    class Objects(Protocol):
        """The methods of an object store that are used here."""

        def list_objects(
            self, folder: str = "", max_items: int | None = None
        ) -> Iterator[ObjectInfo]: ...
        def object_info(self, path: str) -> ObjectInfo: ...
        def exists(self, path: str) -> bool: ...
        def open_read(self, path: str) -> BufferedReader: ...
        def upload_from_file_object(self, from_file_object: BinaryIO, to_path: str) -> str: ...
        def copy_object(self, from_path: str, to_path: str) -> str: ...
        def delete_object(self, path: str) -> None: ...
        def delete_folder(self, folder: str) -> int: ...


def make_filesystem(store: Objects, protocol: str) -> StoreFileSystem:
    """Return a file system for a store, of a class that has the protocol as its own."""
    kind = type("StoreFileSystem", (StoreFileSystem,), {"protocol": protocol})
    made: StoreFileSystem = kind(store)
    return made


class StoreFileSystem(AbstractFileSystem):  # type: ignore[misc]  # it brings no types
    """The objects of one store as files; a folder exists while it contains an object."""

    protocol = "flowstone"
    cachable = False

    def __init__(self, store: Objects) -> None:
        super().__init__()
        self.store = store

    def ls(self, path: str, detail: bool = True, **_: object) -> list[object]:
        """Return the entries directly in a folder; for an object, the object itself."""
        folder = self._strip_protocol(path).strip("/")
        prefix = f"{folder}/" if folder else ""
        found: dict[str, dict[str, object]] = {}
        for info in self._list(folder):
            name, slash, _deeper = info.path.removeprefix(prefix).partition("/")
            full = f"{prefix}{name}"
            found[full] = _describe_folder(full) if slash else _describe_object(info)
        if not found and folder:
            found = {folder: self.info(folder)}
        return list(found.values()) if detail else list(found)

    def info(self, path: str, **_: object) -> dict[str, object]:
        """Return the properties of an object or a folder.

        Raises:
            FileNotFoundError: there is neither.
        """
        name = self._strip_protocol(path).strip("/")
        if not name:
            return _describe_folder("")
        with _as_missing_file():
            try:
                return _describe_object(self.store.object_info(ExactKey(name)))
            except ObjectMissing:
                if next(iter(self.store.list_objects(name, max_items=1)), None) is None:
                    raise
        return _describe_folder(name)

    def find(
        self,
        path: str,
        maxdepth: int | None = None,
        withdirs: bool = False,
        detail: bool = False,
        **options: object,
    ) -> object:
        """Return all objects below a folder, with a single listing."""
        if maxdepth is not None or withdirs:
            return super().find(path, maxdepth, withdirs, detail=detail, **options)
        folder = self._strip_protocol(path).strip("/")
        found = {info.path: _describe_object(info) for info in self._list(folder)}
        if not found and folder and self.isfile(folder):
            found = {folder: self.info(folder)}
        return found if detail else sorted(found)

    def _open(self, path: str, mode: str = "rb", **_: object) -> object:
        name = ExactKey(self._strip_protocol(path).strip("/"))
        if mode == "rb":
            with _as_missing_file():
                return self.store.open_read(name)
        if mode in {"wb", "xb"}:
            if mode == "xb" and self.store.exists(name):
                raise FileExistsError(name)
            return _Draft(self.store, name)
        raise ValueError(f"mode {mode!r}: an object is read (rb) or written whole (wb, xb)")

    def _list(self, folder: str) -> list[ObjectInfo]:
        with _as_missing_file():
            return list(self.store.list_objects(folder))

    def _rm(self, path: str) -> None:
        self.store.delete_object(ExactKey(self._strip_protocol(path).strip("/")))

    def rm(
        self, path: str | list[str], recursive: bool = False, maxdepth: int | None = None
    ) -> None:
        """Delete objects; with `recursive`, also everything below folders."""
        for each in [path] if isinstance(path, str) else path:
            name = self._strip_protocol(each).strip("/")
            if recursive and maxdepth is None and not self.isfile(name):
                self.store.delete_folder(name)
            else:
                super().rm(name, recursive=recursive, maxdepth=maxdepth)

    def cp_file(self, path1: str, path2: str, **_: object) -> None:
        """Copy an object within the store."""
        one, other = (self._strip_protocol(path).strip("/") for path in (path1, path2))
        with _as_missing_file():
            self.store.copy_object(ExactKey(one), ExactKey(other))

    def mkdir(self, path: str, create_parents: bool = True, **options: object) -> None:
        """Do nothing: a folder exists while it contains an object."""

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Do nothing, like `mkdir`."""

    def rmdir(self, path: str) -> None:
        """Do nothing, like `mkdir`."""

    def modified(self, path: str) -> object:
        """Return when an object was last written."""
        return self.info(path)["LastModified"]


@contextmanager
def _as_missing_file() -> Iterator[None]:
    """Translate errors for a missing object or location to what callers of a file system expect."""
    try:
        yield
    except (ObjectMissing, BucketMissing) as error:
        raise FileNotFoundError(str(error)) from error


class _Draft(BufferedIOBase):
    """An object that is being written; it is created, as a whole, when this file is closed."""

    def __init__(self, store: Objects, path: ExactKey) -> None:
        self._store, self._path = store, path
        self._file = TemporaryFile()  # noqa: SIM115 - closed by `close`

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def write(self, content: Buffer) -> int:
        return self._file.write(content)

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def close(self) -> None:
        if self.closed:
            return
        try:
            self._file.seek(0)
            self._store.upload_from_file_object(self._file, self._path)
        finally:
            self.discard()

    def discard(self) -> None:
        """Close it without writing anything."""
        self._file.close()
        super().close()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:
            self.discard()

    def __del__(self) -> None:
        self.discard()  # it was not closed, so the content may be incomplete

    def __iter__(self) -> Iterator[bytes]:
        raise OSError("it is open to write")


def _describe_object(info: ObjectInfo) -> dict[str, object]:
    return {
        "name": str(info.path),
        "size": info.size,
        "type": "file",
        "LastModified": info.modified,
        "ETag": info.etag,
    }


def _describe_folder(name: str) -> dict[str, object]:
    return {"name": name, "size": 0, "type": "directory"}
