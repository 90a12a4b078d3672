"""Translates SQLite's error codes into Flowstone's errors."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from flowstone.errors import StoreError, StoreForeign, StoreUnusable

if TYPE_CHECKING:
    from pathlib import Path

#: Another process has locked it; a retry helps.
BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL})

_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_ELSEWHERE = "or point FLOWSTONE_HOME at another directory."
_UNUSABLE = {
    sqlite3.SQLITE_FULL: ("the disk is full", f"Free some space, {_ELSEWHERE}"),
    sqlite3.SQLITE_READONLY: ("it can't be written", f"Make it writable, {_ELSEWHERE}"),
    sqlite3.SQLITE_CANTOPEN: ("it can't be opened", f"Check its permissions, {_ELSEWHERE}"),
    sqlite3.SQLITE_PERM: ("permission is denied", f"Check its permissions, {_ELSEWHERE}"),
    sqlite3.SQLITE_IOERR: (
        "the disk or file system failed",
        f"Check whether it is full, failing or over quota, {_ELSEWHERE}",
    ),
}


def read_code(error: sqlite3.Error) -> int:
    """Return the primary result code; 0 if one of Python's own checks raised the error."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def is_unwritable(error: sqlite3.Error) -> bool:
    """Return whether the file may be readable although it can't be opened for writing."""
    return read_code(error) in _UNUSABLE


def translate(path: Path, error: sqlite3.Error) -> StoreError:
    """Return Flowstone's error for an error of SQLite."""
    if read_code(error) in _DAMAGED:
        return StoreForeign(str(path), f"SQLite says {str(error)!r}")
    problem, remedy = _UNUSABLE.get(
        read_code(error),
        (f"SQLite says {str(error)!r}", "Run again; if the error remains, move the file away."),
    )
    return StoreUnusable(str(path), problem, remedy)


def translate_os_error(path: Path, error: OSError) -> StoreUnusable:
    """Return Flowstone's error for an error of the file system."""
    problem = error.strerror or str(error)
    where = f" ({error.filename})" if error.filename and str(error.filename) != str(path) else ""
    return StoreUnusable(
        str(path), f"{problem}{where}", f"Make its directory one that you can write, {_ELSEWHERE}"
    )
