"""Merge two sorted listings: of a local directory, and of a folder of a store."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING

from flowstone.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from flowstone.blocks.object_stores.paths import ObjectInfo

#: Up to this many bytes, names are kept in memory.
SPOOL_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Pair:
    """A name that at least one of the two sides has.

    Attributes:
        name: the path relative to the directory and to the folder.
        has_file: whether the directory has such a file.
        info: the object in the folder; None if there is none.
    """

    name: str
    has_file: bool
    info: ObjectInfo | None


def merge(files: Iterable[str], objects: Iterable[ObjectInfo], prefix: str) -> Iterator[Pair]:
    """Yield the names of both sides in order; both are sorted by name and read lazily.

    Args:
        files: the names of the directory's files.
        objects: the objects of the folder, as a provider lists them.
        prefix: the prefix of their keys, which is not part of the names.
    """
    left, right = iter(files), iter(objects)
    file, info = next(left, None), next(right, None)
    while file is not None or info is not None:
        key = "" if info is None else info.path.removeprefix(prefix)
        if info is None or (file is not None and file < key):
            assert file is not None
            yield Pair(file, has_file=True, info=None)
            file = next(left, None)
            continue
        yield Pair(key, has_file=file == key, info=info)
        if file == key:
            file = next(left, None)
        info = next(right, None)


def check_order(objects: Iterable[ObjectInfo], where: str) -> Iterator[ObjectInfo]:
    """Yield objects as they are, after checking that they are sorted by key, as `merge` needs.

    Raises:
        StorageError: a key comes after a larger one.
    """
    last = None
    for info in objects:
        if last is not None and info.path <= last:
            problem = f"it lists {info.path!r} after {last!r}, and a sync needs keys in order"
            remedy = "Use `put_directory` or `get_directory` instead of a sync."
            raise StorageError(where, problem, remedy)
        yield info
        last = info.path


class NameSpool:
    """Names, kept in a file until they are needed."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def add(self, name: str) -> None:
        """Append a name, which may contain any character."""
        self._file.write(json.dumps(name).encode("ascii") + b"\n")

    def __iter__(self) -> Iterator[str]:
        self._file.seek(0)
        for line in self._file:
            yield json.loads(line)


@contextmanager
def open_spool() -> Iterator[NameSpool]:
    """Yield a spool that moves from memory to a temporary file when it grows."""
    with SpooledTemporaryFile(SPOOL_BYTES) as file:
        yield NameSpool(file)
