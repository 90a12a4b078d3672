"""The common parts of lock managers: waiting, locks that expire, and async versions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from threading import Timer
from time import monotonic, sleep
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

#: Seconds between two polls of a locked key.
NAP = 0.01


class WaitingLocks(ABC):
    """Locks by name, for which threads and coroutines can wait."""

    @abstractmethod
    def acquire_lock(
        self,
        key: str,
        holder: str,
        acquire_timeout: float | None = None,
        hold_timeout: float | None = None,
    ) -> bool:
        """Wait until the key is free, and lock it; return False if the timeout has expired.

        Args:
            key: the key.
            holder: the name of the holder; if it has locked the key already, return True.
            acquire_timeout: seconds to wait; None to wait forever.
            hold_timeout: seconds after which the lock expires; None for never.
        """

    @abstractmethod
    def release_lock(self, key: str, holder: str) -> None:
        """Release the key.

        Raises:
            LockNotHeld: the holder has not locked it, or its lock has expired.
        """

    @abstractmethod
    def is_locked(self, key: str) -> bool:
        """Return whether a holder has locked it."""

    @abstractmethod
    def is_lock_holder(self, key: str, holder: str) -> bool:
        """Return whether this holder has locked it, with this manager."""

    def wait_for_lock(self, key: str, timeout: float | None = None) -> bool:
        """Wait until the key is free, without locking it; return False after `timeout` seconds."""
        deadline = None if timeout is None else monotonic() + timeout
        while self.is_locked(key):
            if deadline is not None and monotonic() >= deadline:
                return False
            sleep(NAP)
        return True

    async def aacquire_lock(
        self,
        key: str,
        holder: str,
        acquire_timeout: float | None = None,
        hold_timeout: float | None = None,
    ) -> bool:
        """Async version of `acquire_lock`."""
        import asyncio  # saves sync programs start-up time

        deadline = None if acquire_timeout is None else monotonic() + acquire_timeout
        had_it = self.is_lock_holder(key, holder)
        while True:
            trying = asyncio.ensure_future(
                asyncio.to_thread(self.acquire_lock, key, holder, 0, hold_timeout)
            )
            try:
                if await asyncio.shield(trying):
                    return True
            except asyncio.CancelledError:
                if await trying and not had_it:
                    self.release_lock(key, holder)
                raise
            if deadline is not None and monotonic() >= deadline:
                return False
            await asyncio.sleep(NAP)

    def await_for_lock(self, key: str, timeout: float | None = None) -> Coroutine[None, None, bool]:
        """Async version of `wait_for_lock`."""
        return self._wait(key, timeout)

    async def _wait(self, key: str, seconds: float | None) -> bool:
        import asyncio  # saves sync programs start-up time

        deadline = None if seconds is None else monotonic() + seconds
        while await asyncio.to_thread(self.is_locked, key):
            if deadline is not None and monotonic() >= deadline:
                return False
            await asyncio.sleep(NAP)
        return True


def make_timer(seconds: float, call: Callable[[], object]) -> Timer:
    """Return a timer that makes a call after some seconds, and does not keep the process alive."""
    timer = Timer(seconds, call)
    timer.daemon = True
    return timer
