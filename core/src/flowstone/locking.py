"""Locks by name, for computations that only one of many may do at a time."""

from __future__ import annotations

import os
import threading
from enum import StrEnum
from hashlib import blake2b
from pathlib import Path
from time import monotonic, sleep
from typing import Protocol

__all__ = ["FileSystemLockManager", "IsolationLevel", "LockManager", "MemoryLockManager"]


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
        """Let the key go; nothing happens where the holder has not got it."""

    def is_locked(self, key: str) -> bool:
        """Tell whether somebody has it."""


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
            if self._holders.get(key) == holder:
                del self._holders[key]
                self._changed.notify_all()

    def is_locked(self, key: str) -> bool:
        return key in self._holders


#: Between two tries for a file that somebody else has locked, in seconds.
_NAP = 0.01


class FileSystemLockManager:
    """Locks among the processes of one machine: a locked file for each key.

    The operating system lets the lock go when its process dies, however it dies.
    """

    def __init__(self, lock_files_directory: Path | str) -> None:
        self.lock_files_directory = Path(lock_files_directory)
        self._held: dict[tuple[str, str], int] = {}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FileSystemLockManager):
            return NotImplemented
        return self.lock_files_directory == other.lock_files_directory

    def __hash__(self) -> int:
        return hash(self.lock_files_directory)

    def acquire_lock(self, key: str, holder: str, acquire_timeout: float | None = None) -> bool:
        if (key, holder) in self._held:
            return True
        deadline = None if acquire_timeout is None else monotonic() + acquire_timeout
        descriptor = self._open(key)
        while not _lock(descriptor):
            if deadline is not None and monotonic() >= deadline:
                os.close(descriptor)
                return False
            sleep(_NAP)
        self._held[key, holder] = descriptor
        return True

    def release_lock(self, key: str, holder: str) -> None:
        descriptor = self._held.pop((key, holder), None)
        if descriptor is not None:
            os.close(descriptor)

    def is_locked(self, key: str) -> bool:
        descriptor = self._open(key)
        try:
            return not _lock(descriptor)
        finally:
            os.close(descriptor)

    def _open(self, key: str) -> int:
        self.lock_files_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = blake2b(key.encode(), digest_size=16).hexdigest()
        return os.open(self.lock_files_directory / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)


def _lock(descriptor: int) -> bool:
    try:
        import fcntl  # noqa: PLC0415 - not on Windows
    except ImportError:
        import msvcrt  # noqa: PLC0415 - only on Windows

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
