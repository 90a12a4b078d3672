"""Liveness marks: a locked file for each process, whose lock the kernel drops when it dies."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from threading import Lock
from typing import TYPE_CHECKING

from flowstone.records.ids import new_id
from flowstone.records.record import record
from flowstone.settings import make_private_directory
from flowstone.stores.sqlite.errors import translate_os_error

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform == "win32":
    import msvcrt
    import platform

    _HOST = platform.node()

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

    _try = _lock
    _TO_LOOK = os.O_RDWR
else:
    import fcntl

    _HOST = os.uname().nodename

    def _lock(descriptor: int) -> None:
        # Not `flock`, whose locks are inherited by forked children.
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    #: A mark can be checked even if it is not writable.
    _TO_LOOK = os.O_RDONLY

    def _try(descriptor: int) -> None:
        # Shared: two processes that check a mark at once must not take each other for its owner.
        fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)


@record
class _Mark:
    path: Path
    descriptor: int


_guard = Lock()
#: This process's marks by directory. Such a file must never be opened again here: closing it would
#: drop the lock.
_marks: dict[Path, _Mark] = {}


class LivenessFiles:
    """The marks of the processes that use a store, in a directory beside it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def holder(self) -> str:
        """Return the name of this process, ``host/pid/mark``, after creating its mark.

        Raises:
            StoreUnusable: the directory can't be written.
        """
        directory = self._directory
        with _guard:
            mark = _marks.get(directory)
            if mark is None:
                try:
                    mark = _marks[directory] = _leave_mark(directory)
                except OSError as error:
                    raise translate_os_error(directory, error) from error
            return f"{_HOST}/{os.getpid()}/{mark.path.name}"

    def is_alive(self, holder: str) -> bool | None:
        """Return whether a holder is alive; None if that can't be checked from here.

        A live holder on this host has a mark: one without a mark has exited, or was swept.
        """
        host, _, rest = holder.partition("/")
        name = rest.partition("/")[2]
        if host != _HOST or not name:
            return None
        with _guard:
            return True if _is_own(name) else _is_locked(self._directory / name)

    def sweep(self) -> None:
        """Remove the marks of this host's dead processes."""
        with _guard:
            for path in self._directory.glob(f"{_HOST}.*"):
                if not _is_own(path.name):
                    _is_locked(path, remove=True)


def _leave_mark(directory: Path) -> _Mark:
    make_private_directory(directory)
    while True:
        path = directory / f"{_HOST}.{new_id()}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            _lock(descriptor)
            # Another sweep may have come between the opening and the lock.
            if path.exists():
                return _Mark(path, descriptor)
        except (BlockingIOError, PermissionError):
            pass
        os.close(descriptor)


def _is_own(name: str) -> bool:
    return any(mark.path.name == name for mark in _marks.values())


def _is_locked(path: Path, *, remove: bool = False) -> bool | None:
    try:
        descriptor = os.open(path, os.O_RDWR if remove else _TO_LOOK)
    except FileNotFoundError:
        return False
    except OSError:
        return None
    try:
        _try(descriptor)
        if remove:  # under the lock, so that its creator sees that it was deleted
            path.unlink(missing_ok=True)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


@atexit.register
def _leave() -> None:
    for mark in _marks.values():
        with contextlib.suppress(OSError):
            if sys.platform == "win32":
                os.close(mark.descriptor)
            mark.path.unlink()


def _forget_marks() -> None:
    """Reset in a forked child: the marks belong to the parent."""
    global _guard
    _guard = Lock()
    for mark in _marks.values():
        os.close(mark.descriptor)
    _marks.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_marks)
