"""An object store in memory: a fake for tests, and the smallest example of a provider."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from io import BytesIO
from threading import Lock
from typing import TYPE_CHECKING, BinaryIO, ClassVar

from pydantic import Field

from flowstone.blocks.object_stores import ObjectInfo, ObjectStore, ObjectStoreProvider
from flowstone.errors import ObjectMissing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from io import BufferedIOBase

_places: dict[str, dict[str, tuple[bytes, datetime]]] = {}
_lock = Lock()


class MemoryObjects(ObjectStore):
    """Objects in this process's memory; blocks of one place see the same objects."""

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
    """The objects of one place by their whole keys."""

    def __init__(self, place: str, folder: str) -> None:
        self._place, self.folder = place, folder
        self.urls = [self.where]

    @property
    def where(self) -> str:
        return f"memory://{self._place}"

    def get(self, key: str, offset: int = 0) -> BufferedIOBase:
        return BytesIO(self._find(key)[0][offset:])

    def put(self, key: str, source: BinaryIO, size: int | None) -> None:
        content = source.read()
        del size  # what is in memory has no need of it
        with _lock:
            self._objects()[key] = content, datetime.now(UTC)

    def head(self, key: str) -> ObjectInfo:
        content, modified = self._find(key)
        return ObjectInfo(key, len(content), modified, sha256(content).hexdigest())

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        with _lock:
            keys = sorted(key for key in self._objects() if key.startswith(prefix))
        return map(self.head, keys)

    def delete(self, keys: Sequence[str]) -> None:
        with _lock:
            for key in keys:
                self._objects().pop(key, None)

    def _objects(self) -> dict[str, tuple[bytes, datetime]]:
        return _places.setdefault(self._place, {})

    def _find(self, key: str) -> tuple[bytes, datetime]:
        try:
            return self._objects()[key]
        except KeyError:
            problem, remedy = "there is no such object", "List the folder to see what is there."
            raise ObjectMissing(f"{self.where}/{key}", problem, remedy) from None
