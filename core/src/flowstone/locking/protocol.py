"""What a lock manager is, and what it is for."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol


class IsolationLevel(StrEnum):
    """What calls with the same key do at the same time.

    READ_COMMITTED: each computes, and the last result is kept. SERIALIZABLE: one computes, and
    the others wait for its result.
    """

    READ_COMMITTED = "READ_COMMITTED"
    SERIALIZABLE = "SERIALIZABLE"


class LockManager(Protocol):
    """Gives a key to one holder at a time."""

    def acquire_lock(self, key: str, holder: str, acquire_timeout: float | None = None) -> bool:
        """Wait until the key is free, and take it; False where that took too long, in seconds."""

    def release_lock(self, key: str, holder: str) -> None:
        """Let the key go.

        Raises:
            LockNotHeld: the holder has not got it.
        """

    def is_locked(self, key: str) -> bool:
        """Tell whether somebody has it."""
