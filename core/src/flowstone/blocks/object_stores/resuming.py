"""A reader that resumes after a broken connection."""

from __future__ import annotations

import errno
import os
from io import BufferedReader, BytesIO, RawIOBase
from typing import TYPE_CHECKING

from flowstone.errors import StorageError, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable
    from io import BufferedIOBase

CHUNK_BYTES = 1024 * 1024


def make_resuming_reader(
    open_at: Callable[[int], BufferedIOBase],
    what: str,
    attempts: int,
    measure: Callable[[], int],
) -> BufferedReader:
    """Return a buffered reader over ``open_at(offset)`` that reopens the object on a break or seek.

    If the readers have an `etag`, content that has changed in between raises `StorageError`.

    Args:
        open_at: opens the object at an offset.
        what: the object, for error messages.
        attempts: the maximum number of attempts of a read whose connection breaks.
        measure: returns the object's size, which is needed to seek from its end.
    """
    return BufferedReader(_Resuming(open_at, what, attempts, measure), CHUNK_BYTES)


class _Resuming(RawIOBase):
    def __init__(
        self,
        open_at: Callable[[int], BufferedIOBase],
        what: str,
        attempts: int,
        measure: Callable[[], int],
    ) -> None:
        super().__init__()
        self._open_at, self._what, self._attempts = open_at, what, attempts
        self._measure = measure
        self._offset, self._is_sought = 0, False
        self._size: int | None = None
        self._source: BufferedIOBase | None = None  # `close` works even if opening fails
        self._source, self._is_whole = open_at(0), True
        self._etag = getattr(self._source, "etag", None)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_CUR:
            offset += self._offset
        elif whence == os.SEEK_END:
            offset += self._find_size()
        if offset < 0:
            raise OSError(errno.EINVAL, f"there is nothing before the start: {offset}")
        if self._source is not None and self._is_whole and self._source.seekable():
            self._source.seek(offset)
        elif offset != self._offset:
            self._drop()
            self._is_sought = True
        self._offset = offset
        return offset

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

    def _find_size(self) -> int:
        if self._size is None:
            self._size = self._measure()
        return self._size

    def _reopen(self) -> BufferedIOBase:
        if self._is_sought and self._offset >= self._find_size():
            return BytesIO()
        source, self._is_whole = self._open_at(self._offset), not self._offset
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
