"""One SQLite file, shared by threads, forked children and other processes."""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from threading import RLock
from time import monotonic, sleep
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakSet

from flowstone.errors import StoreBusy, StoreForeign, StoreTooNew, StoreUnusable
from flowstone.settings import make_private_directory
from flowstone.stores.sql.schema import CURRENT, migrate
from flowstone.stores.sqlite.dialect import SQLITE
from flowstone.stores.sqlite.errors import (
    BUSY,
    is_unwritable,
    read_code,
    translate,
    translate_os_error,
)
from flowstone.stores.sqlite.reading import connect_to_read

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")

#: How long, in seconds, other processes may keep us from the file.
PATIENCE = 60.0
#: SQLite itself waits so long, deaf to signals; after that we do.
_DEAF_WAIT = 0.2
_LONGEST_NAP = 0.05
#: Between two steps of a long write, others get the file for at most this many seconds.
_LONGEST_PAUSE = 0.1

_MAGIC = b"SQLite format 3\0"
#: "Flow" in ASCII; the file's header carries it, so that a foreign file is known unopened.
_APPLICATION_ID = 0x466C6F77
#: The log is moved into the file when it has so many pages, here 16 MB: four times as seldom as by
#: default, which makes a flush a tenth cheaper.
_PAGES_OF_LOG = 4000
_HEADER_SIZE = 100
_WAL = b"\2\2"


class SqliteFile:
    """A connection that is opened when needed, and again after a fork.

    Work is given as functions of the connection. They may be called more than once, so they
    change nothing but the database. A file that can't be written is still read.
    """

    dialect = SQLITE

    def __init__(self, path: Path, *, patience: float = PATIENCE) -> None:
        self.path = path
        self._patience = patience
        self._lock = RLock()
        self._connection: sqlite3.Connection | None = None
        self._identity = (0, 0)
        self._closed = False
        self._is_read_only = self._is_unshared = False
        _databases.add(self)
        with self._lock:
            self._persist(self._open)

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Call `work`; each of its statements sees the database as it is then."""
        with self._lock:
            try:
                return self._persist(lambda: work(self._open()))
            finally:
                if self._is_unshared:
                    self._let_go()

    def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Call `work` in a transaction of its own: all of it happens, or nothing."""
        with self._lock:
            if self._is_read_only:  # it may have become writable
                self._let_go()
            return self._persist(lambda: _transact(self._open(to_write=True), work))

    def write_in_steps(self, work: Callable[[sqlite3.Connection], bool]) -> None:
        """Call `work`, each time in a transaction of its own, until it returns False.

        After each step the file is left to others for as long as the step took.
        """
        is_more = True
        while is_more:
            begun = monotonic()
            is_more = self.write(work)
            if is_more:
                sleep(min(monotonic() - begun, _LONGEST_PAUSE))

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._let_go()

    def pause(self) -> None:
        """Before a fork: keep other threads out, and have no connection that a child inherits.

        SQLite's view of who holds which lock is the process's own. A child that inherits it holds
        no lock but thinks so, and a later closing elsewhere would pull the log from under it.
        """
        self._lock.acquire()
        self._let_go()

    def resume(self) -> None:
        self._lock.release()

    def _let_go(self) -> None:
        self._is_read_only = self._is_unshared = False
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with _opening:
                _open_files[self._identity] -= 1
                self._persist(connection.close)

    def _persist(self, attempt: Callable[[], T]) -> T:
        """Try until it succeeds, fails for another reason than others being busy, or time is up."""
        deadline = monotonic() + self._patience
        nap = 0.001
        while True:
            try:
                return attempt()
            except sqlite3.Error as error:
                if read_code(error) not in BUSY:
                    # The frames of SQLite add nothing to the message.
                    raise translate(self.path, error) from error.with_traceback(None)
                if monotonic() > deadline:
                    raise StoreBusy(str(self.path), self._patience) from error
            sleep(nap * (1 + os.urandom(1)[0] / 255) / 2)  # to fall out of step with others
            nap = min(2 * nap, _LONGEST_NAP)

    def _open(self, *, to_write: bool = False) -> sqlite3.Connection:
        if self._connection is None:
            if self._closed:
                raise StoreUnusable(str(self.path), "it has been closed", "Open it again.")
            with _opening:
                self._connection = self._connect(to_write=to_write)
                self._identity = _identify(self.path)
                _open_files[self._identity] += 1
        return self._connection

    def _connect(self, *, to_write: bool) -> sqlite3.Connection:
        try:
            return _connect(self.path)
        except (StoreUnusable, sqlite3.Error) as error:
            if to_write or (isinstance(error, sqlite3.Error) and not is_unwritable(error)):
                raise
            found = _connect_to_read(self.path)
            if found is None:
                raise
        connection, self._is_unshared = found
        self._is_read_only = True
        return connection


_databases: WeakSet[SqliteFile] = WeakSet()

_opening = RLock()
#: How many connections of this process each file has. Closing any descriptor of a file drops every
#: POSIX lock that the process has on it, SQLite's too: an open file's header must not be read.
_open_files: Counter[tuple[int, int]] = Counter()

_paused: list[SqliteFile] = []


def _pause_all() -> None:
    for database in list(_databases):
        database.pause()
        _paused.append(database)
    _opening.acquire()


def _resume_all() -> None:
    _opening.release()
    while _paused:
        _paused.pop().resume()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_pause_all, after_in_parent=_resume_all, after_in_child=_resume_all)


def _transact(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return result


def _connect(path: Path) -> sqlite3.Connection:
    try:
        is_wal = _open_files[_identify(path)] > 0 or _prepare(path)
    except OSError as error:
        raise translate_os_error(path, error) from error
    connection = sqlite3.connect(
        path, timeout=_DEAF_WAIT, isolation_level=None, check_same_thread=False
    )
    try:
        _set_up(path, connection, is_wal=is_wal)
    except BaseException:
        connection.close()
        raise
    return connection


def _identify(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_dev, found.st_ino


def _prepare(path: Path) -> bool:
    """Make the file where there is none; refuse one that isn't ours; say whether it is in WAL.

    The header is read as bytes, because opening a foreign database could already change it. It is
    ours from the first page on: the tables are made before the file is switched to WAL.
    """
    make_private_directory(path.parent)
    header = _read_header(path, os.O_RDWR | os.O_CREAT)
    _check_header(path, header)
    return header[18:20] == _WAL


def _connect_to_read(path: Path) -> tuple[sqlite3.Connection, bool] | None:
    try:
        if not _open_files[_identify(path)]:
            header = _read_header(path, os.O_RDONLY)
            if not header:
                return None
            _check_header(path, header)
        return connect_to_read(path)
    except OSError:
        return None


def _check_header(path: Path, header: bytes) -> None:
    if header and not header.startswith(_MAGIC):
        raise StoreForeign(str(path), "not an SQLite database")
    if 0 < len(header) < _HEADER_SIZE:
        raise StoreForeign(str(path), "it is cut short")
    if header and int.from_bytes(header[68:72], "big") != _APPLICATION_ID:
        raise StoreForeign(str(path), "another program's SQLite database")


def _read_header(path: Path, flags: int) -> bytes:
    descriptor = os.open(path, flags, 0o600)
    try:
        return os.read(descriptor, _HEADER_SIZE)
    finally:
        os.close(descriptor)


def _set_up(path: Path, connection: sqlite3.Connection, *, is_wal: bool) -> None:
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_PAGES_OF_LOG}")
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found < CURRENT:
        _transact(connection, lambda connection: _upgrade(path, connection))
    elif found > CURRENT:
        raise StoreTooNew(str(path), found, CURRENT)
    if not is_wal:
        # A file system that can't do it stays with the rollback journal: slower, and as right.
        connection.execute("PRAGMA journal_mode = WAL")


def _upgrade(path: Path, connection: sqlite3.Connection) -> None:
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found > CURRENT:
        raise StoreTooNew(str(path), found, CURRENT)
    if found < CURRENT:
        migrate(connection, found, SQLITE)
        # PRAGMA takes no parameters.
        connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {CURRENT}")
