"""Locks by name among the processes of one machine."""

from __future__ import annotations

import os
from functools import partial
from hashlib import blake2b
from pathlib import Path
from threading import Lock, Timer, current_thread
from time import monotonic, sleep

from flowstone.errors import LockNotHeld
from flowstone.locking.waiting import NAP, WaitingLocks, make_timer


class FileSystemLockManager(WaitingLocks):
    """Locks among the processes of one machine: a locked file for each key.

    The operating system releases a lock when its process dies, in whatever way.
    """

    def __init__(self, lock_files_directory: Path | str) -> None:
        self.lock_files_directory = Path(lock_files_directory)
        self._held: dict[tuple[str, str], tuple[int, Timer | None]] = {}
        self._changing = Lock()

    def __reduce__(self) -> tuple[type[FileSystemLockManager], tuple[Path]]:
        return FileSystemLockManager, (self.lock_files_directory,)  # held locks are not copied

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FileSystemLockManager):
            return NotImplemented
        return self.lock_files_directory == other.lock_files_directory

    def __hash__(self) -> int:
        return hash(self.lock_files_directory)

    def acquire_lock(
        self,
        key: str,
        holder: str,
        acquire_timeout: float | None = None,
        hold_timeout: float | None = None,
    ) -> bool:
        if (key, holder) in self._held:
            return True
        deadline = None if acquire_timeout is None else monotonic() + acquire_timeout
        descriptor = self._open(key)
        while not lock_descriptor(descriptor):
            if deadline is not None and monotonic() >= deadline:
                os.close(descriptor)
                return False
            sleep(NAP)
        timer = None
        if hold_timeout is not None:
            timer = make_timer(hold_timeout, partial(self._expire, key, holder))
        with self._changing:
            self._held[key, holder] = descriptor, timer
        if timer is not None:
            timer.start()
        return True

    def release_lock(self, key: str, holder: str) -> None:
        with self._changing:
            held = self._held.pop((key, holder), None)
        if held is None:
            raise LockNotHeld(key, holder)
        descriptor, timer = held
        if timer is not None:
            timer.cancel()
        os.close(descriptor)

    def _expire(self, key: str, holder: str) -> None:
        with self._changing:
            held = self._held.get((key, holder))
            if held is None or held[1] is not current_thread():  # it was released and taken again
                return
            del self._held[key, holder]
        os.close(held[0])

    def is_lock_holder(self, key: str, holder: str) -> bool:
        return (key, holder) in self._held

    def is_locked(self, key: str) -> bool:
        descriptor = self._open(key)
        try:
            return not lock_descriptor(descriptor)
        finally:
            os.close(descriptor)

    def _open(self, key: str) -> int:
        self.lock_files_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = blake2b(key.encode(), digest_size=16).hexdigest()
        return os.open(self.lock_files_directory / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)


def lock_descriptor(descriptor: int) -> bool:
    """Lock an open file until it is closed; return False if it is locked already."""
    try:
        import fcntl  # not on Windows
    except ImportError:
        import msvcrt  # only on Windows

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError:
            return False
        return True
    try:
        # flock belongs to the open file, not to the process, so that threads exclude each other.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
