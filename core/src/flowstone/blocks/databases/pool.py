"""A connection pool for a driver: opens connections when needed, retains some, closes all."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flowstone.blocks.databases.cancellation import Call

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowstone.blocks.databases.driver import DatabaseDriver


@dataclass(slots=True, eq=False)
class PooledConnection:
    """One connection, used by one call at a time.

    Attributes:
        raw: the driver's connection.
        broken: whether it is unusable; it is then closed instead of returned to the pool.
    """

    raw: Any
    lock: threading.Lock = field(default_factory=threading.Lock)
    broken: bool = False


class ConnectionPool:
    """The connections of one driver, which calls borrow; thread-safe for them."""

    def __init__(self, driver: DatabaseDriver[Any]) -> None:
        # It must not refer to the block, so that both are freed, and connections closed, without
        # the garbage collector.
        self.driver = driver
        self._is_open = False
        self._opening = threading.Lock()
        self._lock = threading.Lock()
        self._idle: list[PooledConnection] = []
        self._all: set[PooledConnection] = set()
        self._calls: set[Call] = set()
        self._process = os.getpid()

    def is_here(self) -> bool:
        """Return whether the pool was created by this process, and not before a fork."""
        return self._process == os.getpid()

    def connect(self) -> Any:
        """Open a connection; before the first one, open the driver."""
        with self._opening:
            if not self._is_open:
                self.driver.open()
                self._is_open = True
        return self.driver.connect()

    def take(self, connect: Callable[[], Any]) -> PooledConnection:
        """Borrow an idle connection, or a new one."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
        connection = PooledConnection(connect())
        with self._lock:
            self._all.add(connection)
        return connection

    def give_back(self, connection: PooledConnection) -> None:
        """Return a connection to the pool; close it if it is broken, or if enough are idle."""
        most = self.driver.max_idle_connections
        with self._lock:
            if not connection.broken and connection in self._all and len(self._idle) < most:
                self._idle.append(connection)
                return
            self._all.discard(connection)
        self._disconnect(connection)

    def begin_call(self, connection: PooledConnection) -> Call:
        """Return a call on a connection, which `stop` stops until `end_call`."""
        call = Call(lambda: self.driver.interrupt(connection.raw))
        with self._lock:
            self._calls.add(call)
        return call

    def end_call(self, call: Call) -> None:
        """Remove a call that has ended."""
        with self._lock:
            self._calls.discard(call)

    def count_calls(self) -> int:
        """Return the number of calls in progress."""
        with self._lock:
            return len(self._calls)

    def stop(self) -> int:
        """Stop every call in progress; return their number."""
        with self._lock:
            calls = list(self._calls)
        for call in calls:
            call.stop()
        return len(calls)

    def close(self) -> None:
        """Close idle connections now, and those in use when they are returned.

        In a process that was forked after the pool was created, do nothing.
        """
        if not self.is_here():
            return
        with self._lock:
            idle, self._idle = self._idle, []
            self._all.clear()
        for connection in idle:
            self._disconnect(connection)
        with self._opening:
            was_open, self._is_open = self._is_open, False
        if was_open:
            with suppress(Exception):  # closing a broken one may fail
                self.driver.close()

    def _disconnect(self, connection: PooledConnection) -> None:
        with suppress(Exception):
            self.driver.disconnect(connection.raw)
