"""Lock managers, used by hand: who holds a lock, who waits for it, and locks that end."""

from __future__ import annotations

import asyncio
import pickle
from pathlib import Path
from threading import Event, Thread

import pytest

from flowstone.errors import LockNotHeld
from flowstone.locking import FileSystemLockManager, MemoryLockManager, WaitingLocks

#: Seconds that a test waits for what comes much sooner.
LONG = 20.0


@pytest.fixture(params=["memory", "files"])
def locks(request: pytest.FixtureRequest, tmp_path: Path) -> WaitingLocks:
    if request.param == "memory":
        return MemoryLockManager()
    return FileSystemLockManager(tmp_path / "locks")


def test_who_holds_a_lock(locks: WaitingLocks) -> None:
    assert not locks.is_lock_holder("key", "me")
    assert locks.acquire_lock("key", "me")
    assert locks.is_lock_holder("key", "me")
    assert not locks.is_lock_holder("key", "you")
    assert not locks.is_lock_holder("other", "me")
    assert not locks.acquire_lock("key", "you", acquire_timeout=0)
    locks.release_lock("key", "me")
    assert not locks.is_lock_holder("key", "me")


def test_who_waits_does_not_take_it(locks: WaitingLocks) -> None:
    assert locks.wait_for_lock("key")
    locks.acquire_lock("key", "me")
    assert not locks.wait_for_lock("key", timeout=0)
    waiting, found = Event(), list[bool]()

    def wait() -> None:
        waiting.set()
        found.append(locks.wait_for_lock("key", LONG))

    thread = Thread(target=wait)
    thread.start()
    assert waiting.wait(LONG)
    locks.release_lock("key", "me")
    thread.join(LONG)
    assert found == [True]
    assert not locks.is_locked("key")


def test_a_lock_may_end_by_itself(locks: WaitingLocks) -> None:
    assert locks.acquire_lock("key", "me", hold_timeout=0.05)
    assert locks.acquire_lock("key", "you", acquire_timeout=LONG)
    assert locks.is_lock_holder("key", "you")
    with pytest.raises(LockNotHeld):
        locks.release_lock("key", "me")


def test_the_end_of_an_old_hold_is_not_that_of_a_new_one(locks: WaitingLocks) -> None:
    locks.acquire_lock("key", "me", hold_timeout=0.05)
    locks.release_lock("key", "me")
    locks.acquire_lock("key", "me")
    locks.acquire_lock("other", "me", hold_timeout=0.1)  # which ends later than the first would
    assert locks.wait_for_lock("other", LONG)
    assert locks.is_lock_holder("key", "me")


def test_the_async_twins_let_others_run(locks: WaitingLocks) -> None:
    async def use() -> list[bool]:
        assert await locks.aacquire_lock("key", "me")
        assert not await locks.aacquire_lock("key", "you", acquire_timeout=0)
        assert not await locks.await_for_lock("key", timeout=0)
        taking = asyncio.create_task(locks.aacquire_lock("key", "you", LONG))
        waiting = asyncio.create_task(locks.await_for_lock("other", LONG))
        await asyncio.sleep(0)
        locks.release_lock("key", "me")
        return [await taking, await waiting]

    assert asyncio.run(use()) == [True, True]
    assert locks.is_lock_holder("key", "you")


def test_a_cancelled_wait_holds_nothing(locks: WaitingLocks) -> None:
    async def use() -> None:
        await locks.aacquire_lock("key", "me")
        taking = asyncio.create_task(locks.aacquire_lock("key", "you"))
        await asyncio.sleep(0)
        taking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await taking
        locks.release_lock("key", "me")

    asyncio.run(use())
    assert not locks.is_locked("key")


def test_what_is_held_does_not_travel(tmp_path: Path) -> None:
    locks = FileSystemLockManager(tmp_path)
    locks.acquire_lock("key", "me")
    copied = pickle.loads(pickle.dumps(locks))
    assert copied == locks
    assert not copied.is_lock_holder("key", "me")
    assert copied.is_locked("key")
