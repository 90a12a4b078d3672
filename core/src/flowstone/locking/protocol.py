"""The protocol of lock managers, and isolation levels."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol


class IsolationLevel(StrEnum):
    """What happens to concurrent calls with the same key.

    READ_COMMITTED: each one computes, and the last result is stored. SERIALIZABLE: one computes,
    and the others wait for its result.
    """

    READ_COMMITTED = "READ_COMMITTED"
    SERIALIZABLE = "SERIALIZABLE"


class LockManager(Protocol):
    """Lets one holder at a time lock a key."""

    def acquire_lock(self, key: str, holder: str, acquire_timeout: float | None = None) -> bool:
        """Wait until the key is free, and lock it.

        Args:
            key: the key.
            holder: the name of the holder.
            acquire_timeout: seconds to wait; None to wait forever.

        Returns:
            False if the timeout has expired.
        """

    def release_lock(self, key: str, holder: str) -> None:
        """Release the key.

        Raises:
            LockNotHeld: the holder has not locked it.
        """

    def is_locked(self, key: str) -> bool:
        """Return whether a holder has locked it."""
