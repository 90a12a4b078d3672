"""Open connections of a database block: opened as they are needed, a few kept, all closed."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flowstone.blocks.databases.cancellation import Call

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(slots=True, eq=False)
class Session:
    """One connection. One call at a time goes through it.

    Attributes:
        depth: how many transactions are open in it, one in another.
        broken: whether it can't be used any more; it is closed, and not kept.
    """

    connection: Any
    lock: threading.Lock = field(default_factory=threading.Lock)
    depth: int = 0
    broken: bool = False


class Sessions:
    """The connections of one block, which calls borrow; for those, it may be shared by threads."""

    def __init__(self, close: Callable[[Any], None], keep: int) -> None:
        # It does not know the block: so both go, and connections are closed, without a collector.
        self._closed, self._keep = close, keep
        self._anchor: list[Any] = []
        self._anchoring = threading.Lock()
        self._lock = threading.Lock()
        self._idle: list[Session] = []
        self._all: set[Session] = set()
        self._calls: set[Call] = set()
        self._process = os.getpid()

    def is_here(self) -> bool:
        """Tell whether these are this process's, and not those of the one it was forked from."""
        return self._process == os.getpid()

    def anchor(self, connect: Callable[[], Any]) -> Any:
        """Return what stays open as long as any connection is; None for nothing."""
        with self._anchoring:
            if not self._anchor:
                self._anchor.append(connect())
            return self._anchor[0]

    def take(self, connect: Callable[[], Any]) -> Session:
        """Borrow a connection that nobody uses, an open one where there is one."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
        session = Session(connect())
        with self._lock:
            self._all.add(session)
        return session

    def give_back(self, session: Session) -> None:
        """Return what was taken; it is closed where it is broken, or enough are kept."""
        with self._lock:
            if not session.broken and session in self._all and len(self._idle) < self._keep:
                self._idle.append(session)
                return
            self._all.discard(session)
        self._close(session)

    def call(self, interrupt: Callable[[], None]) -> Call:
        """Make a call that `stop` stops."""
        call = Call(interrupt)
        with self._lock:
            self._calls.add(call)
        return call

    def ended(self, call: Call) -> None:
        """Forget a call that has ended."""
        with self._lock:
            self._calls.discard(call)

    def stop(self) -> int:
        """Stop every call that is under way; return how many there were."""
        with self._lock:
            calls = list(self._calls)
        for call in calls:
            call.stop()
        return len(calls)

    def close(self) -> None:
        """Close what is idle now, and what is in use when it is given back."""
        with self._lock:
            idle, self._idle = self._idle, []
            self._all.clear()
        for session in idle:
            self._close(session)
        with self._anchoring:
            anchors, self._anchor = self._anchor, []
        for anchor in anchors:
            if anchor is not None:
                self._close(Session(anchor))

    def _close(self, session: Session) -> None:
        with suppress(Exception):  # a broken connection may not even close
            self._closed(session.connection)

    def __deepcopy__(self, memo: object) -> None:
        """A copy of a block opens connections of its own."""

    def __del__(self) -> None:
        if self.is_here():
            self.close()
