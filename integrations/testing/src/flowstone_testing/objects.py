"""An object store in memory: a fake for tests, and the smallest example of a provider."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from io import BytesIO
from threading import Lock
from typing import TYPE_CHECKING, BinaryIO, ClassVar

from pydantic import Field

from flowstone.blocks import ObjectInfo, ObjectStore
from flowstone.errors import ObjectMissing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedIOBase

_places: dict[str, dict[str, tuple[bytes, datetime]]] = {}
_lock = Lock()


class MemoryObjects(ObjectStore):
    """Objects in this process's memory; blocks of one place see the same objects."""

    _description: ClassVar[str | None] = "An object store in memory, for tests."
    _code_example: ClassVar[str | None] = 'MemoryObjects(place="test").write_path("a", b"1")'

    place: str = Field(description="Blocks that name the same place share their objects.")
    folder: str = Field(default="", description="The folder that all paths are in.")

    def _folder(self) -> str:
        return self.folder

    def _where(self) -> str:
        return f"memory://{self.place}"

    def _objects(self) -> dict[str, tuple[bytes, datetime]]:
        return _places.setdefault(self.place, {})

    def _get(self, key: str, offset: int = 0) -> BufferedIOBase:
        return BytesIO(self._found(key)[0][offset:])

    def _put(self, key: str, source: BinaryIO, size: int | None) -> None:  # noqa: ARG002
        content = source.read()
        with _lock:
            self._objects()[key] = content, datetime.now(UTC)

    def _head(self, key: str) -> ObjectInfo:
        content, modified = self._found(key)
        return ObjectInfo(key, len(content), modified, sha256(content).hexdigest())

    def _list(self, prefix: str) -> Iterator[ObjectInfo]:
        with _lock:
            keys = sorted(key for key in self._objects() if key.startswith(prefix))
        return map(self._head, keys)

    def _delete(self, keys: list[str]) -> None:
        with _lock:
            for key in keys:
                self._objects().pop(key, None)

    def _found(self, key: str) -> tuple[bytes, datetime]:
        try:
            return self._objects()[key]
        except KeyError:
            problem, remedy = "there is no such object", "List the folder to see what is there."
            raise ObjectMissing(f"{self._where()}/{key}", problem, remedy) from None
