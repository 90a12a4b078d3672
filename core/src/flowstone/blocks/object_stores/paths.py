"""Object paths: how paths become keys, exact keys, and the properties of objects."""

from __future__ import annotations

import os.path
import re
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, TypeAlias, TypeVar, cast

from flowstone.errors import PathEscapes, PathInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


class ExactKey(str):
    """A path in the block's folder that is used exactly as it is.

    `ObjectInfo.path` is one. It can name objects of other programs such as ``logs//a.txt``, which
    is refused as a plain string.
    """

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """The properties of an object.

    `object_info` sets all of them; `list_objects` sets those after `etag` only if the service
    includes them in listings.

    Attributes:
        path: the exact path relative to the block's folder, so that ``read_path(info.path)``
            reads it, and so does ``read_path(info)``. In a provider, the full key.
        size: the size in bytes.
        modified: when it was last written, as an aware datetime in UTC.
        etag: a string that changes when the content does; None if the store has none.
        content_type: its media type, such as ``text/csv``.
        metadata: the metadata it was written with; names are in lower case.
        storage_class: the service's name of its storage class; None for the default one.
        version: the id of its version, if the store keeps old versions; None otherwise.
        md5: the MD5 of its content, 16 bytes; None if the service does not provide it.
    """

    path: str
    size: int
    modified: datetime
    etag: str | None = None
    content_type: str | None = field(default=None, compare=False)
    metadata: Mapping[str, str] = field(default_factory=dict, compare=False)
    storage_class: str | None = field(default=None, compare=False)
    version: str | None = field(default=None, compare=False)
    md5: bytes | None = field(default=None, compare=False)

    def is_folder(self) -> bool:
        """Return whether it is the marker of an empty folder, as some programs write them."""
        return self.path.endswith("/") and not self.size


@dataclass(frozen=True, slots=True)
class FolderInfo:
    """A folder, as yielded by `list_objects` with a delimiter.

    Attributes:
        path: the exact path relative to the block's folder, ending in a slash.
    """

    path: str

    def is_folder(self) -> bool:
        """Return True."""
        return True


@dataclass(frozen=True, slots=True)
class ObjectVersion:
    """One version of an object, in a store that keeps old versions.

    Attributes:
        path: the exact path, as in `ObjectInfo`.
        version: the service's id of the version; GCS calls it generation.
        modified: when it was written, or deleted, as an aware datetime in UTC.
        size: the size in bytes; 0 for a deletion.
        etag: the etag of the content; None for a deletion.
        is_current: whether it is the one that is read if no version is given.
        is_deleted: whether it marks a deletion of the object.
    """

    path: str
    version: str
    modified: datetime
    size: int = 0
    etag: str | None = None
    is_current: bool = False
    is_deleted: bool = False


ObjectPath: TypeAlias = str | PurePath | ObjectInfo


Info = TypeVar("Info", bound=ObjectInfo | FolderInfo | ObjectVersion)


def strip_folder(info: Info, prefix: str) -> Info:
    """Return the info with its key replaced by the path relative to the block's folder."""
    return replace(info, path=ExactKey(info.path.removeprefix(prefix)))


def is_exact(path: ObjectPath) -> bool:
    """Return whether a path is to be used unchanged."""
    return isinstance(path, (ExactKey, ObjectInfo))


def folder_key(folder: ObjectPath, path: ObjectPath = "", urls: Sequence[str] = ()) -> str:
    """Return the prefix of a folder's keys: empty, or ending in a slash.

    Args:
        folder: the block's folder.
        path: a folder in it.
        urls: addresses of the bucket that a path may start with, such as ``s3://bucket``.

    Raises:
        PathInvalid: the path has an inner ``//``, a NUL character, or can't be encoded as UTF-8.
        PathEscapes: the path has a ``..``, or is a URL outside of the bucket or the folder.
    """
    key = "/".join(_find_parts(folder, path, urls))
    return key if not key or key.endswith("/") else f"{key}/"


def object_key(folder: ObjectPath, path: ObjectPath, urls: Sequence[str] = ()) -> str:
    """Return the key of an object in a folder; errors as for `folder_key`.

    Args:
        folder: the block's folder.
        path: the object's path in it.
        urls: addresses of the bucket that a path may start with, such as ``s3://bucket``.

    Raises:
        PathInvalid: as for `folder_key`, or the path names the folder itself.
    """
    key = "/".join(_find_parts(folder, path, urls, at_least=1))
    if not key:
        raise PathInvalid(key, "the path is empty", "Add a file name.")
    return key


def check_text(key: str) -> None:
    """Refuse a key that UTF-8 can't encode, which file names may contain."""
    try:
        key.encode()
    except UnicodeEncodeError as error:
        raise PathInvalid(key, "it can't be encoded as UTF-8") from error


def local_path(root: Path, relative: str) -> Path:
    """Return the path of an object's file in a local directory.

    Raises:
        PathEscapes: its name leads out of the directory.
        PathInvalid: no file can have that name.
    """
    named = relative.split("/")
    if ".." in named or os.path.isabs(relative):  # noqa: PTH117 - said of text
        problem = f"it would be written outside {root}"
        raise PathEscapes(repr(relative), problem, "Rename the object.")
    if not all(part not in {"", "."} and "\0" not in part for part in named):
        problem = "no file can have that name: a part of it is empty, '.' or has a NUL character"
        raise PathInvalid(relative, problem)
    return root.joinpath(*named)


def _find_parts(
    folder: ObjectPath, path: ObjectPath, urls: Sequence[str], at_least: int = 0
) -> list[str]:
    """Return the parts of the folder and the path; an exact path is a single part."""
    above = _split(_strip_url(folder, urls)[0]) if folder else []
    if is_exact(path):
        return [*above, path.path if isinstance(path, ObjectInfo) else str(path)]
    text, is_whole = _strip_url(path, urls)
    named = _split(text)
    if not is_whole:
        named = [*above, *named]
    elif named[: len(above)] != above:
        problem = f"it is not in the block's folder {'/'.join(above)!r}"
        remedy = "Use a block with that folder, or without a folder."
        raise PathEscapes(repr(path), problem, remedy)
    if len(named) < len(above) + at_least:
        raise PathInvalid(text, "it names the folder itself", "Add a file name.")
    return named


def _strip_url(path: ObjectPath, urls: Sequence[str]) -> tuple[str, bool]:
    """Return a path without the URL of its bucket, and whether it had one."""
    text = path.as_posix() if isinstance(path, PurePath) else cast("str", path)
    found = _URL.match(text)
    for url in urls:
        if f"{text}/".startswith(f"{url}/"):
            return text[len(url) :], True
        # `pathlib` turns a URL into ``s3:/bucket/key``.
        scheme = url.partition("/")[0]
        found = found or re.match(re.escape(f"{scheme}/"), text)
    if found:
        # The rest may contain credentials.
        problem = f"this URL is not in {', '.join(urls) or 'this store'}"
        remedy = "Use a block for that location, or pass a path relative to this one."
        raise PathEscapes(f"{found[0]}…", problem, remedy)
    return text, False


def _split(text: str) -> list[str]:
    """Return the parts of a path, without leading and trailing slashes and ``.``."""
    if "\0" in text:
        raise PathInvalid(text, "it has a NUL character")
    check_text(text)
    named = text.strip("/").split("/") if text.strip("/") else []
    if ".." in named:
        raise PathEscapes(repr(text), "it has a '..', which may lead elsewhere", "Drop the '..'.")
    if "" in named:
        remedy = "Drop one, or pass an ExactKey if the key really contains '//'."
        raise PathInvalid(text, "it has two slashes in a row", remedy)
    return [part for part in named if part != "."]
