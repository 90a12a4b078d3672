"""A gate that lets many threads use a resource, and closes it when none of them does."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class AccessGate:
    """Keeps a connection open while threads use it.

    Attributes:
        is_closing: whether the connection is being closed.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._accesses = 0
        self.is_closing = False

    @contextmanager
    def access(self) -> Iterator[None]:
        """Use the connection in the block.

        Raises:
            ConnectionError: the connection is being closed.
        """
        with self._condition:
            if self.is_closing:
                raise ConnectionError("the connection is being closed")
            self._accesses += 1
        try:
            yield
        finally:
            with self._condition:
                self._accesses -= 1
                self._condition.notify_all()

    @contextmanager
    def close(self) -> Iterator[None]:
        """Wait until no thread uses the connection; it can be closed in the block."""
        try:
            with self._condition:
                self.is_closing = True
                self._condition.wait_for(lambda: not self._accesses)
            yield
        finally:
            self.is_closing = False
