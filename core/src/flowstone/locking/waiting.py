"""What lock managers have in common: waiting, locks that end by themselves, and async twins."""

from __future__ import annotations

from abc import ABC, abstractmethod
from threading import Timer
from time import monotonic, sleep
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

#: Between two looks at a lock that somebody else has, in seconds.
NAP = 0.01


class WaitingLocks(ABC):
    """Locks by name that can be waited for, by threads and by coroutines."""

    @abstractmethod
    def acquire_lock(
        self,
        key: str,
        holder: str,
        acquire_timeout: float | None = None,
        hold_timeout: float | None = None,
    ) -> bool:
        """Wait until the key is free, and take it; False where that took too long.

        Args:
            key: what is locked.
            holder: who takes it; True at once where that one has it already.
            acquire_timeout: seconds to wait; None for as long as it takes.
            hold_timeout: seconds after which the key is let go, whatever the holder does; None
                for never.
        """

    @abstractmethod
    def release_lock(self, key: str, holder: str) -> None:
        """Let the key go.

        Raises:
            LockNotHeld: the holder has not got it, or not any longer.
        """

    @abstractmethod
    def is_locked(self, key: str) -> bool:
        """Tell whether somebody has it."""

    @abstractmethod
    def is_lock_holder(self, key: str, holder: str) -> bool:
        """Tell whether this one has it, of this manager."""

    def wait_for_lock(self, key: str, timeout: float | None = None) -> bool:
        """Wait until the key is free, without taking it; False after `timeout` seconds."""
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
        """Do as `acquire_lock`, and let other coroutines run meanwhile."""
        import asyncio  # a start-up cost that sync programs save

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
        """Do as `wait_for_lock`, and let other coroutines run meanwhile; it is awaited."""
        return self._wait(key, timeout)

    async def _wait(self, key: str, seconds: float | None) -> bool:
        import asyncio  # a start-up cost that sync programs save

        deadline = None if seconds is None else monotonic() + seconds
        while await asyncio.to_thread(self.is_locked, key):
            if deadline is not None and monotonic() >= deadline:
                return False
            await asyncio.sleep(NAP)
        return True


def make_timer(seconds: float, call: Callable[[], object]) -> Timer:
    """Return what calls something in so many seconds, and keeps no process from its end."""
    timer = Timer(seconds, call)
    timer.daemon = True
    return timer
