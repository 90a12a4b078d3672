"""An object store in memory: a fake for tests and a complete example of a provider."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import file_digest, sha256
from io import BytesIO
from itertools import count
from threading import Lock
from typing import TYPE_CHECKING, BinaryIO, ClassVar, TypeAlias

from pydantic import Field

from flowstone.blocks.object_stores import (
    ObjectInfo,
    ObjectStore,
    ObjectStoreProvider,
    ObjectVersion,
    WriteOptions,
)
from flowstone.errors import ObjectChanged, ObjectExists, ObjectMissing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from io import BufferedIOBase
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class _Version:
    content: bytes
    modified: datetime
    number: int
    options: WriteOptions = field(default_factory=WriteOptions)
    is_deleted: bool = False

    def etag(self) -> str:
        return sha256(self.content).hexdigest()


_Objects: TypeAlias = "dict[str, list[_Version]]"

#: The versions of each key in each place, the newest last.
_places: dict[str, _Objects] = {}
_lock = Lock()
_numbers = count(1)


class MemoryObjects(ObjectStore):
    """Objects in this process's memory; blocks with the same place share them."""

    _description: ClassVar[str | None] = "An object store in memory, for tests."
    _code_example: ClassVar[str | None] = 'MemoryObjects(place="test").write_path("a", b"1")'

    place: str = Field(description="Blocks that name the same place share their objects.")
    folder: str = Field(default="", description="The folder that all paths are in.")

    @classmethod
    def parse_uri(cls, uri: str) -> dict[str, str]:
        place, _, folder = uri.removeprefix("memory://").partition("/")
        return {"place": place, "folder": folder}

    def make_provider(self) -> MemoryProvider:
        return MemoryProvider(self.place, self.folder)


class MemoryProvider(ObjectStoreProvider):
    """The objects of one place, by their full keys."""

    keeps_metadata = True

    def __init__(self, place: str, folder: str) -> None:
        self._place, self.folder = place, folder
        self.urls = [self.where]

    @property
    def where(self) -> str:
        return f"memory://{self._place}"

    def get(self, key: str, offset: int = 0) -> BufferedIOBase:
        return BytesIO(self._find(key).content[offset:])

    def put(self, key: str, source: BinaryIO, size: int | None) -> None:
        self.write(key, source, size, WriteOptions())

    def write(self, key: str, source: BinaryIO, size: int | None, options: WriteOptions) -> None:
        content = source.read()
        del size  # not needed in memory
        with _lock:
            old = self._objects().get(key, [])
            current = old[-1] if old and not old[-1].is_deleted else None
            if options.is_new and current is not None:
                raise ObjectExists(f"{self.where}/{key}")
            wanted = options.if_match
            if wanted is not None and (current is None or current.etag() != wanted):
                raise ObjectChanged(f"{self.where}/{key}")
            new = _Version(content, datetime.now(UTC), next(_numbers), options)
            self._objects()[key] = [*old, new]

    def head(self, key: str) -> ObjectInfo:
        return _describe(key, self._find(key))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        with _lock:
            found = [
                _describe(key, versions[-1])
                for key, versions in self._objects().items()
                if key.startswith(prefix) and not versions[-1].is_deleted
            ]
        return iter(sorted(found, key=lambda info: info.path))

    def delete(self, keys: Sequence[str]) -> None:
        with _lock:
            for key in keys:
                versions = self._objects().get(key)
                if versions and not versions[-1].is_deleted:
                    gone = _Version(b"", datetime.now(UTC), next(_numbers), is_deleted=True)
                    versions.append(gone)

    def matches(self, info: ObjectInfo, file: Path) -> bool | None:
        with file.open("rb") as content:
            return file_digest(content, sha256).hexdigest() == info.etag

    def list_versions(self, key: str) -> Iterator[ObjectVersion]:
        versions = self._objects().get(key, [])
        for version in reversed(versions):
            yield ObjectVersion(
                key,
                str(version.number),
                version.modified,
                len(version.content),
                None if version.is_deleted else version.etag(),
                is_current=version is versions[-1] and not version.is_deleted,
                is_deleted=version.is_deleted,
            )

    def get_version(self, key: str, version: str) -> BufferedIOBase:
        return BytesIO(self._find_version(key, version).content)

    def restore(self, key: str, version: str) -> None:
        old = self._find_version(key, version)
        self.write(
            key, BytesIO(old.content), None, replace(old.options, if_match=None, is_new=False)
        )

    def _objects(self) -> _Objects:
        return _places.setdefault(self._place, {})

    def _find(self, key: str) -> _Version:
        versions = self._objects().get(key, ())
        if not versions or versions[-1].is_deleted:
            problem, remedy = "there is no such object", "List the folder to see what is there."
            raise ObjectMissing(f"{self.where}/{key}", problem, remedy)
        return versions[-1]

    def _find_version(self, key: str, number: str) -> _Version:
        for version in self._objects().get(key, ()):
            if str(version.number) == number and not version.is_deleted:
                return version
        problem, remedy = f"there is no version {number!r} of it", "`versions` shows what is there."
        raise ObjectMissing(f"{self.where}/{key}", problem, remedy)


def _describe(key: str, version: _Version) -> ObjectInfo:
    return ObjectInfo(
        key,
        len(version.content),
        version.modified,
        version.etag(),
        content_type=version.options.content_type,
        metadata=version.options.metadata,
        version=str(version.number),
    )
