"""Content on its way: sources that the SDK can go back in, and answers as files."""

from __future__ import annotations

import io
import os
from io import BufferedIOBase
from typing import TYPE_CHECKING, BinaryIO, cast

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from requests import Response

MB = 1024 * 1024
#: Objects up to this size go in one request; larger ones in a session, part by part.
PART_BYTES = 8 * MB
READ_BYTES = 128 * 1024


def wrap_source(source: BinaryIO) -> BinaryIO:
    """Return a source as the SDK's upload sessions need it.

    It begins at 0 wherever the source stands, reads as much as is asked for though a pipe gives
    less, and what was read last can be read again, so that a part is sent again after a break.
    """
    return cast("BinaryIO", _Source(source))


class _Source:
    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._start = source.tell() if source.seekable() else None
        self._at = self._part_at = 0
        self._part = b""

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence != os.SEEK_SET:
            raise io.UnsupportedOperation("only from the start")
        if self._start is not None:
            self._source.seek(self._start + offset)
        elif not self._part_at <= offset <= self._part_at + len(self._part):
            raise io.UnsupportedOperation("the source can't go back that far")
        self._at = offset
        return offset

    def read(self, size: int = -1) -> bytes:
        again = b"" if self._start is not None else self._part[self._at - self._part_at :]
        chunks = [again[:size] if size >= 0 else again]
        wanted = size - len(chunks[0])
        while wanted and (chunk := self._source.read(wanted if size >= 0 else MB)):
            chunks.append(chunk)
            wanted -= len(chunk) if size >= 0 else 0
        found = b"".join(chunks)
        if self._start is None and found:
            self._part_at, self._part = self._at, found
        self._at += len(found)
        return found


class Body(BufferedIOBase):
    """An answer's content as a file, as it is stored; what breaks in it is told as ours.

    Attributes:
        etag: the object's generation, for who takes the reading up again.
    """

    def __init__(
        self,
        response: Response | None,
        etag: str | None,
        translate_errors: Callable[[], AbstractContextManager[None]],
    ) -> None:
        super().__init__()
        self._response, self.etag = response, etag
        self._translate_errors = translate_errors

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        if self._response is None:
            return b""
        wanted = None if size is None or size < 0 else min(size, READ_BYTES)
        with self._translate_errors():
            # What has come before a break is lost with the call, so calls are small.
            found: bytes = self._response.raw.read(wanted, decode_content=False)
            return found

    def close(self) -> None:
        if self._response is not None:
            self._response.close()
        super().close()
