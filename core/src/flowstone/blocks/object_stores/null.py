"""NullFileSystem: an object store that discards what is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, ClassVar

from flowstone.blocks.object_stores.object_store import ObjectStore
from flowstone.blocks.object_stores.provider import ObjectStoreProvider
from flowstone.blocks.object_stores.resuming import CHUNK_BYTES
from flowstone.errors import ObjectMissing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from io import BufferedIOBase

    from flowstone.blocks.object_stores.paths import ObjectInfo


class NullFileSystem(ObjectStore):
    """An object store that discards what is written, and has no objects."""

    _description: ClassVar[str | None] = "An object store that discards what is written."
    _code_example: ClassVar[str | None] = 'NullFileSystem().write_path("a.txt", b"discarded")'

    def make_provider(self) -> NullProvider:
        return NullProvider()


class NullProvider(ObjectStoreProvider):
    """A provider without objects."""

    @property
    def where(self) -> str:
        return "NullFileSystem"

    def get(self, key: str, offset: int = 0) -> BufferedIOBase:
        del offset
        raise self._make_missing_error(key)

    def put(self, key: str, source: BinaryIO, size: int | None) -> None:
        del key, size
        while source.read(CHUNK_BYTES):
            pass

    def head(self, key: str) -> ObjectInfo:
        raise self._make_missing_error(key)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        del prefix
        return iter(())

    def delete(self, keys: Sequence[str]) -> None:
        pass

    def _make_missing_error(self, key: str) -> ObjectMissing:
        remedy = "Use another object store."
        return ObjectMissing(f"{self.where}/{key}", "a NullFileSystem has no objects", remedy)
