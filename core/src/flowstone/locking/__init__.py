"""Locks by name, for computations that only one of many may do at a time."""

from flowstone.locking.filesystem import FileSystemLockManager, lock_descriptor
from flowstone.locking.memory import MemoryLockManager
from flowstone.locking.protocol import IsolationLevel, LockManager

__all__ = [
    "FileSystemLockManager",
    "IsolationLevel",
    "LockManager",
    "MemoryLockManager",
    "lock_descriptor",
]
