"""Maintenance of the file: measure, shrink, copy and check it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from time import sleep
from typing import TYPE_CHECKING

from flowstone.errors import StoreUnusable
from flowstone.ports.stores import StoreInfo
from flowstone.stores.sql.statements import PLACEHOLDER
from flowstone.stores.sqlite.connection import SqliteFile
from flowstone.stores.sqlite.errors import translate

if TYPE_CHECKING:
    from pathlib import Path

#: Maximum number of pages that are freed in one step, here 2 MB.
_PAGES = 500
_INCREMENTAL = 2
#: Maximum number of attempts to checkpoint the log while no process reads it.
_CHECKPOINTS, _NAP = 20, 0.05
_MOST_PROBLEMS = 20

_COUNTS = {
    "runs": "SELECT count(*) FROM runs WHERE kind = 'flow' OR parent_id IS NULL",
    "task runs": "SELECT count(*) FROM runs WHERE kind = 'task' AND parent_id IS NOT NULL",
    "facts": f"SELECT count(*) FROM events WHERE form <> {PLACEHOLDER}",  # noqa: S608 - a constant
    "documents": "SELECT count(*) FROM documents",
}
_LAWS = {
    "runs of a tree whose root is missing": (
        "SELECT count(*) FROM runs r WHERE NOT EXISTS (SELECT 1 FROM runs WHERE id = r.root_id) "
        "AND root_id NOT IN (SELECT root_id FROM deletions)"
    ),
    "trees of facts whose root is missing": (
        "SELECT count(*) FROM (SELECT DISTINCT root_id FROM events WHERE root_id <> '') e "
        "WHERE NOT EXISTS (SELECT 1 FROM runs WHERE id = e.root_id) "
        "AND root_id NOT IN (SELECT root_id FROM deletions)"
    ),
}


class SqliteUpkeep:
    """Implements the `StoreUpkeep` port for one file."""

    def __init__(self, path: Path) -> None:
        self._file = SqliteFile(path)

    def measure(self) -> StoreInfo:
        def work(connection: sqlite3.Connection) -> tuple[int, int, dict[str, int]]:
            counts = {what: _read_number(connection, query) for what, query in _COUNTS.items()}
            pages = _read_number(connection, "PRAGMA freelist_count")
            size = _read_number(connection, "PRAGMA page_size")
            return _read_number(connection, "PRAGMA user_version"), pages * size, counts

        path = self._file.path
        schema, free, counts = self._file.read(work)
        log = path.with_name(f"{path.name}-wal")
        return StoreInfo(path, schema, _measure_file(path), _measure_file(log), free, counts)

    def vacuum(self, *, whole: bool = False) -> None:
        kind = self._file.read(lambda connection: _read_number(connection, "PRAGMA auto_vacuum"))
        if whole or kind != _INCREMENTAL:
            self._file.read(_write_anew)
        else:
            self._file.write_in_steps(_give_back)
        for _ in range(_CHECKPOINTS):
            if self._file.read(_move_log):
                return
            sleep(_NAP)

    def back_up(self, target: Path) -> None:
        try:
            os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            raise
        except OSError as error:
            problem = error.strerror or str(error)
            remedy = "Name a file in a directory that exists and can be written."
            raise StoreUnusable(str(target), problem, remedy) from error
        try:
            self._file.read(lambda connection: _copy(connection, target))
            with closing(sqlite3.connect(target)) as copy:
                problems = _find_damage(copy)
        except sqlite3.Error as error:
            target.unlink(missing_ok=True)
            raise translate(target, error) from error
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        if problems:
            target.unlink()
            raise StoreUnusable(str(target), problems[0], "Run `flowstone store check`.")

    def check(self) -> list[str]:
        return self._file.read(_find_problems)

    def close(self) -> None:
        self._file.close()


def _read_number(connection: sqlite3.Connection, query: str) -> int:
    return int(connection.execute(query).fetchone()[0])


def _measure_file(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _write_anew(connection: sqlite3.Connection) -> None:
    # Takes effect with the vacuum. It is not set from the beginning, as it makes each write 10 %
    # slower, which only a store that is vacuumed should pay for.
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("VACUUM")


def _give_back(connection: sqlite3.Connection) -> bool:
    """Return some free pages to the file system; return whether there are more."""
    connection.execute(f"PRAGMA incremental_vacuum({_PAGES})").fetchall()
    return _read_number(connection, "PRAGMA freelist_count") > 0


def _move_log(connection: sqlite3.Connection) -> bool:
    """Checkpoint and truncate the log; return whether no process prevented it."""
    return not _read_number(connection, "PRAGMA wal_checkpoint(TRUNCATE)")


def _copy(connection: sqlite3.Connection, target: Path) -> None:
    # In one step: it reads a snapshot of the store, and writers of the log don't block it.
    with closing(sqlite3.connect(target)) as copy:
        connection.backup(copy, pages=-1)
        # A self-contained file, without a log beside it.
        copy.execute("PRAGMA journal_mode = DELETE")


def _find_damage(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute(f"PRAGMA integrity_check({_MOST_PROBLEMS})").fetchall()
    return [] if rows == [("ok",)] else [str(row[0]) for row in rows]


def _find_problems(connection: sqlite3.Connection) -> list[str]:
    problems = _find_damage(connection)
    if not problems:
        counts = {what: _read_number(connection, query) for what, query in _LAWS.items()}
        problems = [f"{count:,} {what}" for what, count in counts.items() if count]
    return problems
