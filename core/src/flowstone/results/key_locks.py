"""Locks of keys: with SERIALIZABLE, one run computes or commits, and the others wait."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Protocol

from flowstone.concurrency.slots import give_back
from flowstone.engine.async_driver import NAP
from flowstone.engine.blocking_calls import call_blocking
from flowstone.engine.story import run_story
from flowstone.errors import LockNotHeld
from flowstone.records.limits import LOCK, SlotDemand

if TYPE_CHECKING:
    from flowstone.context.current import Services
    from flowstone.locking import LockManager
    from flowstone.ports.slots import TimedSlotRequest


class KeyLock(Protocol):
    """The lock of one key, for one holder."""

    def acquire(self) -> None:
        """Wait until the key is free, and lock it."""

    def try_acquire(self) -> bool:
        """Lock the key if it is free; otherwise keep the place in the queue."""

    async def aacquire(self) -> None:
        """Wait until the key is free without blocking the event loop, and lock it."""

    def release(self) -> None:
        """Unlock the key, or leave the queue."""


def make_key_lock(
    services: Services,
    manager: LockManager | None,
    key: str,
    *,
    holder: str,
    owner: str,
    run_id: str | None,
) -> KeyLock:
    """Return the lock of a key, from a lock manager or the store.

    The store's lock is shared by all processes that use it, on any machine. If its holder dies, it
    is released at once if the store can check that, and otherwise when the lease has expired.

    Args:
        services: for the store.
        manager: the lock manager that was configured; None for the store.
        key: any characters.
        holder: the holder; unique for each call.
        owner: a name of the holder, for users.
        run_id: the run that needs the lock, if there is one.
    """
    if manager is not None:
        return ManagedLock(manager, key, holder)
    name = LOCK + blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    demand = SlotDemand((name,), 1, owner, run_id)
    return StoredLock(services.slot_queue.make_request(demand))


@dataclass(frozen=True, slots=True)
class ManagedLock:
    """A `KeyLock` of a lock manager."""

    manager: LockManager
    key: str
    holder: str

    def acquire(self) -> None:
        self.manager.acquire_lock(self.key, self.holder, None)

    def try_acquire(self) -> bool:
        return self.manager.acquire_lock(self.key, self.holder, 0.0)

    async def aacquire(self) -> None:
        import asyncio  # takes 40 ms to import; in a coroutine it is loaded already

        # The holder may be on the same event loop, so the lock is polled.
        while not await call_blocking(self.try_acquire):  # noqa: ASYNC110 - a file's
            await asyncio.sleep(NAP)

    def release(self) -> None:
        with suppress(LockNotHeld):  # it was never locked
            self.manager.release_lock(self.key, self.holder)


@dataclass(frozen=True, slots=True)
class StoredLock:
    """A `KeyLock` that is a lease in the store, renewed by this process's heartbeat."""

    request: TimedSlotRequest

    def acquire(self) -> None:
        try:
            self.request.wait()
        except BaseException:
            self.request.give_back()
            raise

    def try_acquire(self) -> bool:
        return self.request.retry()

    async def aacquire(self) -> None:
        await self.request.await_slots()

    def release(self) -> None:
        run_story(give_back(self.request))
