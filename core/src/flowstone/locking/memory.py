"""Locks by name among the threads of one process."""

from __future__ import annotations

import threading
from functools import partial

from flowstone.errors import LockNotHeld
from flowstone.locking.waiting import WaitingLocks, make_timer


class MemoryLockManager(WaitingLocks):
    """Locks among the threads of this process."""

    def __init__(self) -> None:
        self._holders: dict[str, str] = {}
        self._timers: dict[str, threading.Timer] = {}
        self._changed = threading.Condition()

    def acquire_lock(
        self,
        key: str,
        holder: str,
        acquire_timeout: float | None = None,
        hold_timeout: float | None = None,
    ) -> bool:
        with self._changed:
            if not self._changed.wait_for(
                lambda: self._holders.get(key, holder) == holder, acquire_timeout
            ):
                return False
            if key not in self._holders and hold_timeout is not None:
                expire = partial(self._expire, key, holder)
                self._timers[key] = timer = make_timer(hold_timeout, expire)
                timer.start()
            self._holders[key] = holder
            return True

    def release_lock(self, key: str, holder: str) -> None:
        with self._changed:
            if self._holders.get(key) != holder:
                raise LockNotHeld(key, holder)
            self._let_go(key)

    def is_locked(self, key: str) -> bool:
        return key in self._holders

    def is_lock_holder(self, key: str, holder: str) -> bool:
        return self._holders.get(key) == holder

    def wait_for_lock(self, key: str, timeout: float | None = None) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: key not in self._holders, timeout)

    def _expire(self, key: str, holder: str) -> None:
        with self._changed:
            timer = self._timers.get(key)
            if timer is threading.current_thread() and self._holders.get(key) == holder:
                self._let_go(key)

    def _let_go(self, key: str) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        del self._holders[key]
        self._changed.notify_all()
