"""Object paths: the one rule for what is typed, exact keys, and what is known of objects."""

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
    """A path that is taken as it is, character by character, below the block's folder.

    `ObjectInfo.path` is one. What other programs wrote may be called ``logs//a.txt``, which as a
    plain text is refused.
    """

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What a store says of one object.

    Attributes:
        path: relative to the block's folder and exact, so that ``read_path(info.path)`` reads it,
            as ``read_path(info)`` does. From a provider: the whole key.
        size: bytes.
        modified: when it was last written; aware, UTC.
        etag: changes when the content does; None where the store has no such thing.
        content_type: its media type, ``text/csv``; as all below, `object_info` has it, and a
            listing only where the service lists it.
        metadata: texts by name that it was written with, names in lower case.
        storage_class: in the service's words; None for the usual one.
        version: of a store that keeps old versions; None elsewhere.
        md5: the MD5 of its content, 16 bytes; None where the service does not say it as such.
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
        """Return whether it only stands for an empty folder, as some programs write them."""
        return self.path.endswith("/") and not self.size


@dataclass(frozen=True, slots=True)
class FolderInfo:
    """A folder, as `list_objects` with a delimiter yields it beside the objects.

    Attributes:
        path: relative to the block's folder, exact, with a slash at its end.
    """

    path: str

    def is_folder(self) -> bool:
        """Return True."""
        return True


@dataclass(frozen=True, slots=True)
class ObjectVersion:
    """One version of an object, in a store that keeps old ones.

    Attributes:
        path: as that of an `ObjectInfo`.
        version: the service's own name of it; GCS calls it generation.
        modified: when it was written, or deleted; aware, UTC.
        size: bytes; 0 where the object was deleted.
        etag: of the content; None where the object was deleted.
        is_current: whether it is what is read without a version.
        is_deleted: whether it says that the object was deleted then.
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
    """Return what a provider says of a key as what the block says of a path."""
    return replace(info, path=ExactKey(info.path.removeprefix(prefix)))


def is_exact(path: ObjectPath) -> bool:
    """Return whether a path is a key to be taken as it is."""
    return isinstance(path, (ExactKey, ObjectInfo))


def folder_key(folder: ObjectPath, path: ObjectPath = "", urls: Sequence[str] = ()) -> str:
    """Return the prefix of a folder's keys: empty, or ending in a slash.

    Args:
        folder: the block's.
        path: a folder in it.
        urls: addresses of the place itself, which a path may begin with: ``s3://bucket``.

    Raises:
        PathInvalid: an inner ``//``, a NUL character, what UTF-8 can't encode.
        PathEscapes: a ``..``, another place's URL, or one outside of the block's folder.
    """
    key = "/".join(_find_parts(folder, path, urls))
    return key if not key or key.endswith("/") else f"{key}/"


def object_key(folder: ObjectPath, path: ObjectPath, urls: Sequence[str] = ()) -> str:
    """Return the key of an object in a folder; arguments and errors as in `folder_key`.

    Raises:
        PathInvalid: the path names the folder itself, too.
    """
    key = "/".join(_find_parts(folder, path, urls, at_least=1))
    if not key:
        raise PathInvalid(key, "the path is empty", "Add a file name.")
    return key


def check_text(key: str) -> None:
    """Refuse what UTF-8 can't encode: names of files may be that, keys may not."""
    try:
        key.encode()
    except UnicodeEncodeError as error:
        raise PathInvalid(key, "it can't be encoded as UTF-8") from error


def local_path(root: Path, relative: str) -> Path:
    """Return where an object belongs in a local folder.

    Raises:
        PathEscapes: its name would lead out of the folder.
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
    """Return the folder's parts and the path's; one part where the path is exact."""
    above = _split(_strip_url(folder, urls)[0]) if folder else []
    if is_exact(path):
        return [*above, path.path if isinstance(path, ObjectInfo) else str(path)]
    text, is_whole = _strip_url(path, urls)
    named = _split(text)
    if not is_whole:
        named = [*above, *named]
    elif named[: len(above)] != above:
        problem = f"it is not in the block's folder {'/'.join(above)!r}"
        raise PathEscapes(repr(path), problem, "Use a block of that folder, or of none.")
    if len(named) < len(above) + at_least:
        raise PathInvalid(text, "it names the folder itself", "Add a file name.")
    return named


def _strip_url(path: ObjectPath, urls: Sequence[str]) -> tuple[str, bool]:
    """Return a path in a place without the place's URL, and whether it had one."""
    text = path.as_posix() if isinstance(path, PurePath) else cast("str", path)
    found = _URL.match(text)
    for url in urls:
        if f"{text}/".startswith(f"{url}/"):
            return text[len(url) :], True
        # `pathlib` makes ``s3:/bucket/key`` of a URL.
        scheme = url.partition("/")[0]
        found = found or re.match(re.escape(f"{scheme}/"), text)
    if found:
        # The rest may hold a login.
        problem = f"this URL is not in {', '.join(urls) or 'this store'}"
        remedy = "Use a block for that location, or pass a path relative to this one."
        raise PathEscapes(f"{found[0]}…", problem, remedy)
    return text, False


def _split(text: str) -> list[str]:
    """Return the parts of a typed path: outer slashes and ``.`` dropped."""
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
