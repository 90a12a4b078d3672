"""ObjectBody: the content of a service's response as a file, with errors translated."""

from __future__ import annotations

from io import BufferedIOBase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager


class ObjectBody(BufferedIOBase):
    """The content of a response as a file, for `ObjectStoreProvider.get`.

    Args:
        read: returns up to that many bytes of the content, all of the rest for -1, and b"" at its
            end; None if there is no content, as for an offset behind the end of an object.
        translate_errors: returns a context manager for each call of `read`, which translates
            errors of the SDK.
        close: closes the response, if necessary.
        length: the size of the response in bytes.
        etag: the object's etag, which shows a resuming reader that the object has changed.
        most_bytes: the largest size that `read` is called with, except for -1. A call that fails
            because a connection breaks loses what it has received, so calls should be small if the
            SDK does not resume by itself.
    """

    def __init__(
        self,
        read: Callable[[int], bytes] | None,
        translate_errors: Callable[[], AbstractContextManager[None]],
        *,
        close: Callable[[], object] | None = None,
        length: int = 0,
        etag: str | None = None,
        most_bytes: int | None = None,
    ) -> None:
        super().__init__()
        self._read, self._close, self._translate_errors = read, close, translate_errors
        self.length, self.etag, self._most_bytes = length, etag, most_bytes

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        if self.closed:
            raise ValueError("the content of the object was closed")
        if self._read is None:
            return b""
        wanted = -1 if size is None or size < 0 else size
        if self._most_bytes is not None and wanted > self._most_bytes:
            wanted = self._most_bytes
        with self._translate_errors():
            return self._read(wanted)

    def close(self) -> None:
        close, self._read, self._close = self._close, None, None
        if close is not None:
            close()
        super().close()
