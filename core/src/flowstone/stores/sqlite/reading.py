"""Reading a file that can't be written: the file system is read-only or full, or not ours."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from flowstone.errors import StoreTooNew, StoreUnusable
from flowstone.stores.sql.schema import CURRENT

if TYPE_CHECKING:
    from pathlib import Path

#: With others at work on the file, and by what they have left in the log beside it.
_SHARED = "mode=ro"
#: As a file that nobody changes: SQLite then needs no files of its own beside it.
_ALONE = "immutable=1"


def connect_to_read(path: Path) -> tuple[sqlite3.Connection, bool] | None:
    """Open a file of ours for reading only; None where even that can't be done.

    Returns:
        The connection, and whether it takes the file for one that nobody changes. Such a one is to
        be closed after each use, for somebody may change it after all.

    Raises:
        StoreTooNew: a newer Flowstone has written it.
        StoreUnusable: it would have to be migrated first.
    """
    for mode in (_SHARED, _ALONE):
        if mode == _ALONE and _has_log(path):
            return None  # what was written last stands there, and must not be missed
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
        problem = f"it has schema {found}, and can't be written to be migrated to {CURRENT}"
        raise StoreUnusable(str(path), problem, "Read it with the version that wrote it.")


def _has_log(path: Path) -> bool:
    log = path.with_name(f"{path.name}-wal")
    try:
        return log.stat().st_size > 0
    except FileNotFoundError:
        return False
