"""The ports of results: storage, serializers, and the cache of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


class BlobStore(Protocol):
    """Stores bytes by path. Every `ObjectStore` block is one."""

    def read_path(self, path: str) -> bytes:
        """Return the content. Raises `ObjectMissing` if there is none."""

    def write_path(self, path: str, content: bytes) -> str:
        """Write bytes atomically, replacing existing content; return the path."""


class Serializer(Protocol):
    """Converts values to bytes and back."""

    @property
    def type(self) -> str:
        """The name that is stored with a result."""

    def dumps(self, value: object) -> bytes:
        """Return the value as bytes. Raises `NotSerializable`."""

    def loads(self, content: bytes) -> Any:
        """Return the value."""


class CacheLookup(Protocol):
    """The outcome of a lookup.

    Attributes:
        key: the key of the result; None if it will not be persisted.
        told: how the key was computed, and why it is a hit or miss, for the run's state.
        is_trouble: whether there is no key because of an error.
        found: whether there is a result.
        value: the result.
    """

    @property
    def key(self) -> str | None: ...
    @property
    def told(self) -> str: ...
    @property
    def is_trouble(self) -> bool: ...
    @property
    def found(self) -> bool: ...
    @property
    def value(self) -> Any: ...


class ResultCache(Protocol):
    """Looks up and stores the result of one run.

    Attributes:
        is_locked: whether it holds a lock, until `end`.
    """

    @property
    def is_locked(self) -> bool: ...

    def look(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], patience: float | None = None, /
    ) -> CacheLookup | None:
        """Look up a result of the same call; with isolation, no other run computes it until `end`.

        Args:
            args: the positional arguments of the call.
            kwargs: its keyword arguments.
            patience: None to wait for the key's lock; a number to try it only once.
        """

    def keep(self, look: CacheLookup, value: Any) -> None:
        """Persist the result. Raises `NotSerializable` or `StorageError`."""

    def read(self, key: str) -> Any:
        """Return a persisted result. Raises `MissingResult`."""

    def end(self, look: CacheLookup | None, /) -> None:
        """Let other runs compute it again; None stands for a lookup that was not finished."""
