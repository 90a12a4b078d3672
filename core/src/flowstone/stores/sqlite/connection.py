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

#: Maximum number of seconds to wait for other processes.
PATIENCE = 60.0
#: Seconds that SQLite itself waits, without handling signals; after that, we wait.
_DEAF_WAIT = 0.2
_LONGEST_NAP = 0.05
#: Maximum number of seconds between two steps of a long write, for other processes to write.
_LONGEST_PAUSE = 0.1

_MAGIC = b"SQLite format 3\0"
#: "Flow" in ASCII; in the file's header, so that a foreign file is recognized without opening it.
_APPLICATION_ID = 0x466C6F77
#: The log is checkpointed when it has this many pages, here 16 MB: a quarter as often as by
#: default, which makes a flush 10 % cheaper.
_PAGES_OF_LOG = 4000
_HEADER_SIZE = 100
_WAL = b"\2\2"


class SqliteFile:
    """A connection that is opened when needed, and again after a fork.

    Work is passed as functions of the connection. They may be called more than once, so they must
    have no other side effects. A file that can't be written can still be read.
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
        """Call `work`; each of its statements sees the current state of the database."""
        with self._lock:
            try:
                return self._persist(lambda: work(self._open()))
            finally:
                if self._is_unshared:
                    self._let_go()

    def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Call `work` in a transaction."""
        with self._lock:
            if self._is_read_only:  # it may have become writable
                self._let_go()
            return self._persist(lambda: _transact(self._open(to_write=True), work))

    def write_in_steps(self, work: Callable[[sqlite3.Connection], bool]) -> None:
        """Call `work`, each time in a new transaction, until it returns False.

        After each step, other processes can write for as long as the step took.
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
        """Before a fork: block other threads, and close the connection, so no child inherits it.

        SQLite tracks locks per process. A child that inherits the connection would hold no locks,
        but act as if it did, and another process that closes the file could remove the log.
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
        """Retry until it succeeds, fails for another reason than a lock, or times out."""
        deadline = monotonic() + self._patience
        nap = 0.001
        while True:
            try:
                return attempt()
            except sqlite3.Error as error:
                if read_code(error) not in BUSY:
                    # SQLite's frames add nothing to the message.
                    raise translate(self.path, error) from error.with_traceback(None)
                if monotonic() > deadline:
                    raise StoreBusy(str(self.path), self._patience) from error
            sleep(nap * (1 + os.urandom(1)[0] / 255) / 2)  # with jitter
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
#: The number of this process's connections to each file. Closing any descriptor of a file drops all
#: POSIX locks of the process on it, also SQLite's: the header of an open file must not be read.
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
    """Create the file if it doesn't exist; refuse a foreign one; return whether it is in WAL mode.

    The header is read as bytes, because opening a foreign database could already change it. It has
    our id from the first page on: the tables are created before the file is switched to WAL mode.
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
        # A file system without support keeps the rollback journal: slower, but as correct.
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
