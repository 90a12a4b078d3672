"""Locks by name, for computations that must not run concurrently."""

from flowstone.locking.filesystem import FileSystemLockManager, lock_descriptor
from flowstone.locking.memory import MemoryLockManager
from flowstone.locking.protocol import IsolationLevel, LockManager
from flowstone.locking.waiting import WaitingLocks

__all__ = [
    "FileSystemLockManager",
    "IsolationLevel",
    "LockManager",
    "MemoryLockManager",
    "WaitingLocks",
    "lock_descriptor",
]
