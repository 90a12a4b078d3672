"""Where values are kept, in what form, and how one run looks for its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


class BlobStore(Protocol):
    """Keeps bytes by path. Every `ObjectStore` block is one."""

    def read_path(self, path: str) -> bytes:
        """Return what is kept. Raises `ObjectMissing` where there is nothing."""

    def write_path(self, path: str, content: bytes) -> str:
        """Keep bytes, all or none, over what was there; return the path."""


class Serializer(Protocol):
    """Values as bytes and back."""

    @property
    def type(self) -> str:
        """The name that a kept result carries."""

    def dumps(self, value: object) -> bytes:
        """Return the value as bytes. Raises `NotSerializable`."""

    def loads(self, content: bytes) -> Any:
        """Return the value again."""


class CacheLookup(Protocol):
    """What came of looking for a kept result.

    Attributes:
        key: what the result is kept by; None where it will not be kept.
        told: how the key was made and why it hit or missed, for the run's state.
        is_trouble: whether there is no key because what should have made one could not.
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
        """Look for a result of the same call; with isolation, nobody else computes it meanwhile."""

    def keep(self, look: CacheLookup, value: Any) -> None:
        """Keep the result. Raises `NotSerializable` or `StorageError`."""

    def read(self, key: str) -> Any:
        """Return what is kept. Raises `MissingResult`."""

    def end(self, look: CacheLookup | None, /) -> None:
        """Let others compute it again; None stands for a look that was not finished."""
