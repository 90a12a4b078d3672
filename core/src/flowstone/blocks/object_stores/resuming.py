"""A reader that goes on where a broken connection left it."""

from __future__ import annotations

from io import BufferedReader, RawIOBase
from typing import TYPE_CHECKING

from flowstone.errors import StorageError, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable
    from io import BufferedIOBase

CHUNK_BYTES = 1024 * 1024


def make_resuming_reader(
    open_at: Callable[[int], BufferedIOBase], what: str, attempts: int
) -> BufferedReader:
    """Return a buffered reader over ``open_at(offset)``, opened again when it breaks.

    Where the readers have an `etag`, content that changed in between raises `StorageError`.
    """
    return BufferedReader(_Resuming(open_at, what, attempts), CHUNK_BYTES)


class _Resuming(RawIOBase):
    def __init__(self, open_at: Callable[[int], BufferedIOBase], what: str, attempts: int) -> None:
        super().__init__()
        self._open_at, self._what, self._attempts = open_at, what, attempts
        self._offset = 0
        self._source: BufferedIOBase | None = None  # closed even where it can't be opened
        self._source = open_at(0)
        self._etag = getattr(self._source, "etag", None)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        chunk = self._next(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def readall(self) -> bytes:
        return b"".join(iter(lambda: self._next(CHUNK_BYTES), b""))

    def _next(self, size: int) -> bytes:
        for attempt in range(1, self._attempts + 1):
            try:
                if self._source is None:
                    self._source = self._reopen()
                chunk: bytes = self._source.read(size)
            except Unreachable:
                self._drop()
                if attempt == self._attempts:
                    raise
            else:
                self._offset += len(chunk)
                return chunk
        raise AssertionError("there is at least one attempt")

    def _reopen(self) -> BufferedIOBase:
        source = self._open_at(self._offset)
        if getattr(source, "etag", None) != self._etag:
            source.close()
            raise StorageError(self._what, "it was changed while it was read", "Read it again.")
        return source

    def _drop(self) -> None:
        if self._source is not None:
            source, self._source = self._source, None
            source.close()

    def close(self) -> None:
        self._drop()
        super().close()
