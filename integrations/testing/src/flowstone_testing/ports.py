"""A closed port, for tests of unreachable services."""

from __future__ import annotations

import atexit
import socket

#: Bound but not listening: the system refuses connections and assigns the port to no one else.
_held: list[socket.socket] = []


def reserve_closed_port() -> int:
    """Return a port of 127.0.0.1 that refuses connections until this process ends.

    A port that is only looked up and released may be another test's server a moment later.
    """
    held = socket.socket()
    held.bind(("127.0.0.1", 0))
    _held.append(held)
    port: int = held.getsockname()[1]
    return port


@atexit.register
def _release() -> None:
    for held in _held:
        held.close()
