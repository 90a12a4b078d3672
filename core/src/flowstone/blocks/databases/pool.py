"""Connections of a driver: opened as they are needed, a few kept, all closed."""

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
    """One connection. One call at a time goes through it.

    Attributes:
        raw: what the driver has opened.
        broken: whether it can't be used any more; it is closed, and not kept.
    """

    raw: Any
    lock: threading.Lock = field(default_factory=threading.Lock)
    broken: bool = False


class ConnectionPool:
    """The connections of one driver, which calls borrow; for those, threads may share it."""

    def __init__(self, driver: DatabaseDriver[Any]) -> None:
        # It does not know the block: so both go, and connections are closed, without a collector.
        self.driver = driver
        self._is_open = False
        self._opening = threading.Lock()
        self._lock = threading.Lock()
        self._idle: list[PooledConnection] = []
        self._all: set[PooledConnection] = set()
        self._calls: set[Call] = set()
        self._process = os.getpid()

    def is_here(self) -> bool:
        """Tell whether it is this process's, and not that of the one it was forked from."""
        return self._process == os.getpid()

    def connect(self) -> Any:
        """Open a connection; before the first, open the driver."""
        with self._opening:
            if not self._is_open:
                self.driver.open()
                self._is_open = True
        return self.driver.connect()

    def take(self, connect: Callable[[], Any]) -> PooledConnection:
        """Borrow a connection that nobody uses, an open one where there is one."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
        connection = PooledConnection(connect())
        with self._lock:
            self._all.add(connection)
        return connection

    def give_back(self, connection: PooledConnection) -> None:
        """Return what was taken; it is closed where it is broken, or enough are kept."""
        most = self.driver.max_idle_connections
        with self._lock:
            if not connection.broken and connection in self._all and len(self._idle) < most:
                self._idle.append(connection)
                return
            self._all.discard(connection)
        self._disconnect(connection)

    def begin_call(self, connection: PooledConnection) -> Call:
        """Return a call on a connection, which `stop` stops till `end_call`."""
        call = Call(lambda: self.driver.interrupt(connection.raw))
        with self._lock:
            self._calls.add(call)
        return call

    def end_call(self, call: Call) -> None:
        """Forget a call that has ended."""
        with self._lock:
            self._calls.discard(call)

    def count_calls(self) -> int:
        """Return how many calls are under way."""
        with self._lock:
            return len(self._calls)

    def stop(self) -> int:
        """Stop every call that is under way; return how many there were."""
        with self._lock:
            calls = list(self._calls)
        for call in calls:
            call.stop()
        return len(calls)

    def close(self) -> None:
        """Close what is idle now, and what is in use when it is given back.

        In a process that was forked from the pool's, do nothing.
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
            with suppress(Exception):  # a broken one may not even close
                self.driver.close()

    def _disconnect(self, connection: PooledConnection) -> None:
        with suppress(Exception):
            self.driver.disconnect(connection.raw)
