"""Time, and what must not be read without a key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


class Clock(Protocol):
    """Time, and waiting for it."""

    def time(self) -> float:
        """Return the seconds since the epoch; the system clock may be adjusted."""

    def monotonic(self) -> float:
        """Return the seconds of a monotonic clock."""

    def sleep(self, seconds: float) -> None:
        """Block this thread."""

    async def asleep(self, seconds: float) -> None:
        """Let other coroutines run meanwhile."""


class BackgroundWork(Protocol):
    """What a process does beside runs."""

    def close(self) -> None:
        """Stop it, and wait until it has stopped; closing twice is fine."""


class Sealer(Protocol):
    """Seals what must not be read without the key."""

    def seal(self, value: bytes, purpose: str) -> str:
        """Return a token that only `open`, with the same purpose and key, can read.

        Raises:
            SecretKeyInvalid: the key can't be used.
        """

    def open(self, token: str, purpose: str) -> bytes:
        """Return what was sealed.

        Raises:
            SecretKeyInvalid: the key can't be used.
            SecretUnreadable: the token was sealed with another key or purpose, or was changed.
        """


class SecretReferences(Protocol):
    """Resolves references to secrets, and remembers what they lead to for a while."""

    def resolve(self, reference: str, place: str = "") -> bytes:
        """Return the secret; `place` is the field that refers to it, for errors.

        Raises:
            ReferenceUnresolved: it leads nowhere.
        """

    def renew(self, references: Sequence[str], since: float) -> bool:
        """Forget the old ones of these; tell whether a call begun `since` may fare better now."""
