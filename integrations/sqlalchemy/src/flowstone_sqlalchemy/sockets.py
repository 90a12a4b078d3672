"""Check of a socket for received data."""

from __future__ import annotations

import select
from typing import Protocol


class HasFileno(Protocol):
    """A socket or a file."""

    def fileno(self) -> int:
        """Return its file descriptor."""


def has_input(file: int | HasFileno) -> bool:
    """Return whether there is something to read, or the other end has closed; never wait.

    `select.select` refuses file descriptors above 1,023, which programs with many open files have.
    """
    if not hasattr(select, "poll"):  # Windows, where select has no such limit
        return bool(select.select([file], [], [], 0)[0])
    poll = select.poll()
    poll.register(file, select.POLLIN)
    return bool(poll.poll(0))
