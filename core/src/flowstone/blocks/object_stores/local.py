"""LocalDirectory: an object store in a local directory."""

from __future__ import annotations

import mimetypes
import os
import shutil
import stat
from contextlib import suppress
from datetime import UTC, datetime
from io import BufferedReader, FileIO
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, ClassVar, Self
from urllib.parse import unquote, urlsplit

from pydantic import Field, PrivateAttr

from flowstone.blocks.local_files import (
    is_draft,
    open_atomically,
    translate_read_error,
    translate_write_error,
)
from flowstone.blocks.object_stores.local_writes import (
    NO_FILE,
    check_etag,
    make_etag,
    place_new_file,
    replace_file,
    replace_matching_file,
)
from flowstone.blocks.object_stores.object_store import ObjectStore
from flowstone.blocks.object_stores.paths import (
    ExactKey,
    ObjectInfo,
    folder_key,
    local_path,
    object_key,
)
from flowstone.blocks.object_stores.provider import ObjectStoreProvider
from flowstone.blocks.object_stores.resuming import CHUNK_BYTES
from flowstone.errors import BucketMissing, ObjectMissing, PathEscapes, PathInvalid
from flowstone.records.access import StoreAccess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from io import BufferedIOBase

    from flowstone.blocks.object_stores.paths import ObjectPath
    from flowstone.blocks.object_stores.provider import Tool
    from flowstone.blocks.object_stores.writing import WriteOptions
    from flowstone.errors import StorageError


#: Flags for opening files: don't block on a named pipe, and don't let Windows convert text.
_READ = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)
_READ |= getattr(os, "O_BINARY", 0)
#: Refuses symbolic links; 0 if the system has no such flag.
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)


class LocalDirectory(ObjectStore):
    """Objects as files in a local directory, which is created by the first write."""

    _description: ClassVar[str | None] = "A local directory as an object store."
    _code_example: ClassVar[str | None] = (
        'LocalDirectory(basepath="data").save("data")\n'
        'LocalDirectory.load("data").write_path("a.txt", b"hello")'
    )

    basepath: Path = Field(
        description="The directory; ~ is your home, and a relative path starts here."
    )

    _is_private: bool = PrivateAttr(default=False)

    @classmethod
    def parse_uri(cls, uri: str) -> dict[str, str]:
        parts = urlsplit(uri)
        if parts.netloc not in {"", "localhost"}:
            raise PathInvalid(uri, f"it names the host {parts.netloc!r}", "Use file:///path.")
        return {"basepath": unquote(parts.path)}

    def make_provider(self) -> LocalProvider:
        return LocalProvider(self.basepath, is_private=self._is_private)

    def make_private(self) -> Self:
        """From now on, create files and folders that only their owner can access; return self."""
        self._is_private = True
        return self


class LocalProvider(ObjectStoreProvider):
    """The files of one directory as objects; a key is a path below it."""

    def __init__(self, basepath: Path, *, is_private: bool = False) -> None:
        self._basepath, self._is_private = basepath, is_private

    @property
    def where(self) -> str:
        return str(self._root())

    def make_key(self, path: ObjectPath) -> str:
        # A file name that is not valid text is still listed and read.
        return object_key("", self._strip_root(path))

    def make_prefix(self, folder: ObjectPath = "") -> str:
        return folder_key("", self._strip_root(folder))

    def make_access(self) -> StoreAccess:
        return StoreAccess("file", str(self._root()))

    def make_storage_options(self, tool: Tool) -> None:
        """Return None: tools need nothing but a path."""

    def make_uri(self, key: str) -> str:
        return (self._root() / key).as_uri()

    def identify(self, key: str) -> tuple[str, str]:
        # The same file may be in several directories, such as `data` and `data/raw`.
        return "", str(self._file(key).resolve())

    def get(self, key: str, offset: int = 0) -> BufferedIOBase:
        file = BufferedReader(self._open(key))
        file.seek(offset)
        return file

    def read(self, key: str) -> bytes:
        opened, size = self._open_descriptor(key)
        try:
            content = os.read(opened, size + 1)  # one byte more, to detect the end
            if len(content) == size:
                return content
            # It is being changed, or is too large for one read.
            with FileIO(opened, closefd=False) as file:
                return content + file.readall()
        except OSError as error:
            raise translate_read_error(self._file(key), error) from error
        finally:
            os.close(opened)

    def matches(self, info: ObjectInfo, file: Path) -> bool:
        with self._open(info.path) as one, file.open("rb") as other:
            while chunk := one.read(CHUNK_BYTES):
                if chunk != other.read(len(chunk)):
                    return False
            return not other.read(1)

    def put(self, key: str, source: BinaryIO, size: int | None) -> None:  # noqa: ARG002
        self._put(key, source, replace_file)

    def write(self, key: str, source: BinaryIO, size: int | None, options: WriteOptions) -> None:
        """Write like `put`, with a condition; a file's content type follows from its name."""
        if options.metadata:
            super().write(key, source, size, options)
        elif options.is_new:
            self._put(key, source, place_new_file)
        elif (etag := options.if_match) is not None:
            check_etag(self._file(key), etag)  # before reading all of the content

            def place(draft: Path, path: Path) -> None:
                replace_matching_file(draft, path, etag)

            self._put(key, source, place)
        else:
            self._put(key, source, replace_file)

    def _put(self, key: str, source: BinaryIO, place: Callable[[Path, Path], None]) -> None:
        path = self._file(key)
        if is_draft(path.name):
            raise PathInvalid(key, "the name is reserved for temporary files")
        with open_atomically(path, is_private=self._is_private, put_in_place=place) as file:
            shutil.copyfileobj(source, file, CHUNK_BYTES)

    def head(self, key: str) -> ObjectInfo:
        path = self._file(key)
        try:
            found = path.stat()
        except OSError as error:
            raise _translate(path, error) from error
        if not stat.S_ISREG(found.st_mode):
            raise _make_missing_error(path, "it is not a regular file")
        return _describe(key, found)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        root = self._root()
        if not root.is_dir():
            remedy = "Create the directory, or write an object first."
            raise BucketMissing(str(root), "there is no such directory", remedy)
        return self._walk(self._file(prefix[:-1]) if prefix else root, prefix)

    def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            path = self._file(key)
            try:
                if not stat.S_ISDIR(path.stat().st_mode):  # a folder is not an object
                    path.unlink(missing_ok=True)
            except OSError as error:
                if error.errno not in NO_FILE:
                    raise translate_write_error(path, error) from error

    def remove_empty_folders(self, prefix: str, keys: Iterable[str]) -> None:
        top = self._file(prefix.rstrip("/")) if prefix else self._basepath.expanduser().absolute()
        for folder in {self._file(key).parent for key in keys}:
            with suppress(OSError):  # stop at the first directory that is not empty
                for place in takewhile(lambda above: above != top, (folder, *folder.parents)):
                    place.rmdir()

    def _open(self, key: str) -> FileIO:
        opened, _ = self._open_descriptor(key)
        return FileIO(opened)

    def _open_descriptor(self, key: str) -> tuple[int, int]:
        """Open an object's file; return its descriptor, which the caller closes, and its size.

        The system refuses to open a symbolic link itself, so only the folders above are checked. If
        the file is a link, its target is checked before the link is followed.
        """
        *folders, name = key.split("/")
        path = self._find_file(key, folders if _NO_LINK else [*folders, name])
        try:
            opened = os.open(path, _READ | _NO_LINK)
        except OSError as error:
            if not _has_link(path.parent, [path.name]):
                raise _translate(path, error) from error
            opened = self._open_link(key)
        found = os.fstat(opened)
        if stat.S_ISREG(found.st_mode):
            return opened, found.st_size
        os.close(opened)
        raise _make_missing_error(path, "it is not a regular file")

    def _open_link(self, key: str) -> int:
        path = self._file(key)
        try:
            return os.open(path, _READ)
        except OSError as error:
            raise _translate(path, error) from error

    def _strip_root(self, path: ObjectPath) -> ObjectPath:
        """Return a local path as one relative to the directory; any other path unchanged.

        Leading and trailing slashes of an object's path are ignored. So a path with a leading slash
        is only a local path if it leads to the directory, or if the start of it exists.

        Raises:
            PathEscapes: it is a local path that leads elsewhere.
        """
        if isinstance(path, (ExactKey, ObjectInfo)):
            return path
        place = Path(path)
        if not place.is_absolute():
            return path
        for root in (self._basepath.expanduser().absolute(), self._root()):
            if place.is_relative_to(root):
                return place.relative_to(root)
        if len(place.parts) == 1 or not Path(*place.parts[:2]).exists():
            return path
        problem = f"it is an absolute path outside {self._root()}"
        remedy = (
            "Remove the first slash if it is part of a key, or use a LocalDirectory of that folder."
        )
        raise PathEscapes(repr(os.fspath(path)), problem, remedy)

    def _root(self) -> Path:
        return self._basepath.expanduser().resolve()

    def _is_inside(self, path: Path) -> bool:
        return Path(os.path.realpath(path)).is_relative_to(self._root())

    def _file(self, key: str) -> Path:
        return self._find_file(key, key.split("/"))

    def _find_file(self, key: str, parts: Sequence[str]) -> Path:
        """Return the path of an object's file.

        Args:
            key: the object.
            parts: those parts of the key, from the first one on, that may be links.

        Raises:
            PathEscapes: a link leads out of the directory.
        """
        root = self._basepath.expanduser().absolute()
        path = local_path(root, key)
        if _has_link(root, parts) and not self._is_inside(path):
            problem = f"a link points outside of {self._root()}"
            raise PathEscapes(repr(key), problem, "Remove the link, or use its target's directory.")
        return path

    def _walk(self, folder: Path, prefix: str) -> Iterator[ObjectInfo]:
        try:
            with os.scandir(folder) as entries:
                # A folder sorts like its keys, with the slash.
                found = sorted(
                    (entry.name + "/" * entry.is_dir(follow_symlinks=False), entry)
                    for entry in entries
                    if not is_draft(entry.name)
                )
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise translate_read_error(folder, error) from error
        for name, entry in found:
            if name.endswith("/"):
                yield from self._walk(folder / name, prefix + name)
            elif not entry.is_symlink() or self._is_inside(folder / name):
                try:
                    info = entry.stat()
                except OSError as error:  # deleted in the meantime, or a broken link
                    if error.errno not in NO_FILE:
                        raise translate_read_error(folder / name, error) from error
                else:
                    if stat.S_ISREG(info.st_mode):
                        yield _describe(prefix + name, info)


def _translate(path: Path, error: OSError) -> StorageError:
    if error.errno in NO_FILE:
        return _make_missing_error(path, error.strerror)
    return translate_read_error(path, error)


def _has_link(root: Path, parts: Sequence[str]) -> bool:
    """Return whether these parts of a key may lead out of the root, which takes a link.

    Checking the few parts of the key is far cheaper than resolving the whole path.
    """
    if os.name == "nt":
        return True  # on Windows, not only links can do that
    place = os.fspath(root)
    for part in parts:
        place = f"{place}/{part}"
        if os.path.islink(place):  # noqa: PTH114 - a Path for each part takes as long as the look
            return True
    return False


def _make_missing_error(path: Path, problem: str | None) -> ObjectMissing:
    remedy = "`list_objects` shows what is there."
    return ObjectMissing(str(path), f"there is no such object ({problem})", remedy)


def _describe(key: str, found: os.stat_result) -> ObjectInfo:
    modified = datetime.fromtimestamp(found.st_mtime, UTC)
    kind, encoding = mimetypes.guess_type(key)
    return ObjectInfo(
        key, found.st_size, modified, make_etag(found), content_type=None if encoding else kind
    )
