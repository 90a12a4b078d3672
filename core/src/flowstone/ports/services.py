"""The ports of time, background work and secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


class Clock(Protocol):
    """Time, and waiting."""

    def time(self) -> float:
        """Return the seconds since the epoch; the system clock may be adjusted."""

    def monotonic(self) -> float:
        """Return the seconds of a monotonic clock."""

    def sleep(self, seconds: float) -> None:
        """Block this thread."""

    async def asleep(self, seconds: float) -> None:
        """Wait without blocking the event loop."""


class BackgroundWork(Protocol):
    """The background work of a process."""

    def close(self) -> None:
        """Stop it, and wait until it has stopped. It may be called twice."""


class Sealer(Protocol):
    """Seals secrets, so that they can't be read without the key."""

    def seal(self, value: bytes, purpose: str) -> str:
        """Return a token that only `open`, with the same purpose and key, can read.

        Raises:
            SecretKeyInvalid: the key can't be used.
        """

    def open(self, token: str, purpose: str) -> bytes:
        """Return the value that was sealed.

        Raises:
            SecretKeyInvalid: the key can't be used.
            SecretUnreadable: the token was sealed with another key or purpose, or was modified.
        """


class SecretReferences(Protocol):
    """Resolves references to secrets, and caches the secrets for a while."""

    def resolve(self, reference: str, place: str = "") -> bytes:
        """Return the secret; `place` is the field that refers to it, for error messages.

        Raises:
            ReferenceUnresolved: it can't be resolved.
        """

    def renew(self, references: Sequence[str], since: float) -> bool:
        """Drop old secrets from the cache; return whether a call begun `since` may now succeed."""
