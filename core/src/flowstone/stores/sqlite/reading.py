"""Reads a file that is not writable: its file system is read-only or full, or others own it."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from flowstone.errors import StoreTooNew, StoreUnusable
from flowstone.stores.sql.schema import CURRENT

if TYPE_CHECKING:
    from pathlib import Path

#: Other processes may use the file; its write-ahead log is read, too.
_SHARED = "mode=ro"
#: No process changes the file: SQLite then needs no other files beside it.
_ALONE = "immutable=1"


def connect_to_read(path: Path) -> tuple[sqlite3.Connection, bool] | None:
    """Open a file of ours read-only; return None if that fails.

    Returns:
        The connection, and whether it assumes that no process changes the file. Such a connection
        has to be closed after each use, as a process may change the file after all.

    Raises:
        StoreTooNew: a newer version of Flowstone has written it.
        StoreUnusable: it would have to be migrated first.
    """
    for mode in (_SHARED, _ALONE):
        if mode == _ALONE and _has_log(path):
            return None  # the latest writes are in the log, and must not be missed
        connection = _connect(path, mode)
        if connection is not None:
            return connection, mode == _ALONE
    return None


def _connect(path: Path, mode: str) -> sqlite3.Connection | None:
    connection = None
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?{mode}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
        )
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        _check_schema(path, found)
    except sqlite3.Error:
        if connection is not None:
            connection.close()
        return None
    except BaseException:
        if connection is not None:
            connection.close()
        raise
    return connection


def _check_schema(path: Path, found: int) -> None:
    if found > CURRENT:
        raise StoreTooNew(str(path), found, CURRENT)
    if found < CURRENT:
        problem = (
            f"it has schema {found}, and is not writable, so it can't be migrated to {CURRENT}"
        )
        raise StoreUnusable(
            str(path), problem, "Make it writable, or read it with the version that wrote it."
        )


def _has_log(path: Path) -> bool:
    log = path.with_name(f"{path.name}-wal")
    try:
        return log.stat().st_size > 0
    except FileNotFoundError:
        return False
