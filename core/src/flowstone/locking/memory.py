"""Locks by name among the threads of one process."""

from __future__ import annotations

import threading

from flowstone.errors import LockNotHeld


class MemoryLockManager:
    """Locks among the threads of this process."""

    def __init__(self) -> None:
        self._holders: dict[str, str] = {}
        self._changed = threading.Condition()

    def acquire_lock(self, key: str, holder: str, acquire_timeout: float | None = None) -> bool:
        with self._changed:
            if not self._changed.wait_for(
                lambda: self._holders.get(key, holder) == holder, acquire_timeout
            ):
                return False
            self._holders[key] = holder
            return True

    def release_lock(self, key: str, holder: str) -> None:
        with self._changed:
            if self._holders.get(key) != holder:
                raise LockNotHeld(key, holder)
            del self._holders[key]
            self._changed.notify_all()

    def is_locked(self, key: str) -> bool:
        return key in self._holders
