"""Sources that the SDK can rewind, and responses as files."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, BinaryIO, cast

from flowstone.blocks.object_stores import ObjectBody

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from requests import Response

MB = 1024 * 1024
#: Objects up to this size go in one request; larger ones in a session, part by part.
PART_BYTES = 8 * MB
READ_BYTES = 128 * 1024


def wrap_source(source: BinaryIO) -> BinaryIO:
    """Return a wrapper of a source for the SDK's upload sessions.

    Its position begins at 0 wherever the source stands, a read returns the full size even if a pipe
    returns less, and the last read can be repeated, so that a part is sent again after a break.
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


def make_body(
    response: Response,
    generation: str | None,
    translate_errors: Callable[[], AbstractContextManager[None]],
) -> ObjectBody:
    """Return the content of a response as a file, as it is stored, without decompression.

    Args:
        response: a response to a request for content.
        generation: the object's generation, by which a reader that resumes detects a change.
        translate_errors: translates errors of the SDK.
    """

    def read(size: int) -> bytes:
        wanted = None if size < 0 else size
        found: bytes = response.raw.read(wanted, decode_content=False)
        return found

    return ObjectBody(
        read, translate_errors, close=response.close, etag=generation, most_bytes=READ_BYTES
    )
