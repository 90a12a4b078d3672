"""Two listings side by side: what a local directory has, and what a folder of a store has."""

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

#: Names are kept in memory up to so many bytes.
SPOOL_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Pair:
    """A name that at least one of the two sides has.

    Attributes:
        name: relative to the directory, and to the folder.
        has_file: whether the directory has it.
        info: what the folder has by that name.
    """

    name: str
    has_file: bool
    info: ObjectInfo | None


def merge(files: Iterable[str], objects: Iterable[ObjectInfo], prefix: str) -> Iterator[Pair]:
    """Yield the names of both sides in order; each side is ordered by name, and read as needed.

    Args:
        files: the names of the directory's files.
        objects: as a provider lists them.
        prefix: what their keys begin with, and their names don't.
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


def must_be_ordered(objects: Iterable[ObjectInfo], where: str) -> Iterator[ObjectInfo]:
    """Yield objects as a provider lists them: without order, objects on both sides may be missed.

    Raises:
        StorageError: a key comes after a larger one.
    """
    last = None
    for info in objects:
        if last is not None and info.path <= last:
            problem = f"it lists {info.path!r} after {last!r}, and not by key"
            remedy = "Use `put_directory` or `get_directory`."
            raise StorageError(where, problem, remedy)
        yield info
        last = info.path


class NameSpool:
    """Names that are to be looked at later, in a file."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def add(self, name: str) -> None:
        """Add a name, which may be any text."""
        self._file.write(json.dumps(name).encode("ascii") + b"\n")

    def __iter__(self) -> Iterator[str]:
        self._file.seek(0)
        for line in self._file:
            yield json.loads(line)


@contextmanager
def open_spool() -> Iterator[NameSpool]:
    """Yield a spool that keeps many names in a temporary file, and few in memory."""
    with SpooledTemporaryFile(SPOOL_BYTES) as file:
        yield NameSpool(file)
