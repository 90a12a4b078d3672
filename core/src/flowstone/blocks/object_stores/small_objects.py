"""Transfers of small objects with a library that is faster than the service's SDK."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")

#: Number of objects transferred at a time: each needs little CPU time, and waits for the service.
FAST_PARALLEL = 24
#: For larger objects, SDKs are as fast, and the library needs more memory.
SMALL_BYTES = 512 * 1024
#: After this many failures or large objects in a row, only the SDK is used for this many seconds.
MOST_FAILURES, SECONDS = 3, 30.0
_MD5 = re.compile(r'"?([0-9a-f]{32})"?')
#: The modules that were loaded when this process was forked: the threads of their libraries exist
#: only in the parent, and a call would wait for them forever.
_loaded_before_fork: frozenset[str] = frozenset()


def _note_fork() -> None:
    global _loaded_before_fork
    _loaded_before_fork = frozenset(sys.modules)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


def was_loaded_before_fork(module: str) -> bool:
    """Return whether a library is unusable: it has threads, and was loaded before a fork."""
    return module in _loaded_before_fork


class FastObject(Protocol):
    """A response with an object, whose content has not been read yet."""

    @property
    def size(self) -> int:
        """The size in bytes."""

    @property
    def etag(self) -> str | None:
        """The object's etag; None if it is unknown."""

    def read(self) -> bytes:
        """Return the whole content."""


class FastClient(Protocol):
    """What a package implements with the faster library; safe to use from several threads.

    Attributes:
        module: the library's module, such as ``obstore``.
    """

    module: str

    def put(self, key: str, content: bytes, attributes: Mapping[str, str]) -> None:
        """Write an object completely or not at all, replacing an existing one.

        Args:
            key: the object.
            content: all of its content.
            attributes: content type, metadata and others, under the library's names.
        """

    def get(self, key: str) -> FastObject:
        """Open an object.

        Raises:
            FileNotFoundError: there is no such object; the SDK then reports what is missing.
        """


class FastTransfers:
    """Reads and writes whole small objects; what fails is left to the SDK.

    Args:
        client: the library.
    """

    def __init__(self, client: FastClient) -> None:
        self.client = client
        self._puts, self._gets = _Pause(), _Pause()

    def put(self, key: str, content: bytes, attributes: Mapping[str, str]) -> bool:
        """Write an object; return whether it was written.

        Args:
            key: the object.
            content: all of its content.
            attributes: content type, metadata and others, under the library's names.
        """
        if len(content) > SMALL_BYTES:
            return False

        def send() -> bool:
            self.client.put(key, content, attributes)
            return True

        return self._attempt(key, send, self._puts) or False

    def get(self, key: str) -> bytes | None:
        """Return the content of an object, or None to leave it to the SDK.

        The content is compared with the object's etag if that is an MD5.
        """

        def receive() -> bytes | None:
            found = self.client.get(key)
            if found.size > SMALL_BYTES:
                return None
            content = found.read()
            return content if _is_whole(content, found.size, found.etag) else None

        return self._attempt(key, receive, self._gets)

    def _attempt(self, key: str, work: Callable[[], T | None], pause: _Pause) -> T | None:
        if was_loaded_before_fork(self.client.module) or not _is_exact(key) or not pause.is_over():
            return None
        done = None
        with suppress(Exception):  # on any error, the SDK retries, or raises a Flowstone error
            try:
                done = work()
            except FileNotFoundError:
                return None  # the SDK reports what is missing, the object or the bucket
        pause.note(is_good=done is not None)
        return done


class SmallObjects:
    """A provider's transfers of small objects, with a faster library if there is one.

    Args:
        open_fast: returns the transfers for the current credentials, the same ones each time; None
            if the library does not support the block's options.
        is_fast: whether the library is installed and may be used.
    """

    def __init__(self, open_fast: Callable[[], FastTransfers | None], *, is_fast: bool) -> None:
        self._open_fast, self.is_fast = open_fast, is_fast

    def get(self, key: str) -> bytes | None:
        """Return the content of an object, or None to leave it to the SDK."""
        fast = self._open_fast() if self.is_fast else None
        return None if fast is None else fast.get(key)

    def put(self, key: str, content: bytes, attributes: Mapping[str, str] | None) -> bool:
        """Write an object; return whether it was written.

        Args:
            key: the object.
            content: all of its content.
            attributes: as for `FastTransfers.put`; None if the library does not support them.
        """
        fast = self._open_fast() if self.is_fast and attributes is not None else None
        return fast is not None and fast.put(key, content, attributes or {})


class _Pause:
    """Pauses the use of the library after several failures or large objects in a row."""

    def __init__(self) -> None:
        self._failures, self._until = 0, 0.0

    def is_over(self) -> bool:
        return monotonic() >= self._until

    def note(self, *, is_good: bool) -> None:
        self._failures = 0 if is_good else self._failures + 1
        if self._failures >= MOST_FAILURES:
            self._failures, self._until = 0, monotonic() + SECONDS


def _is_exact(key: str) -> bool:
    """Return whether a library uses a key unchanged: some keys are normalized or refused."""
    return key.isprintable() and not {"", ".", ".."}.intersection(key.split("/"))


def _is_whole(content: bytes, size: int, etag: str | None) -> bool:
    """Return whether content has that size and etag; an etag that is not an MD5 is ignored."""
    if len(content) != size:
        return False
    found = _MD5.fullmatch(etag or "")
    return found is None or hashlib.md5(content, usedforsecurity=False).hexdigest() == found[1]
