"""A port on which nobody listens, for tests of what can't be reached."""

from __future__ import annotations

import atexit
import socket

#: Bound and not listening: the system refuses connections, and gives the port to nobody else.
_held: list[socket.socket] = []


def reserve_closed_port() -> int:
    """Return a port of 127.0.0.1 that refuses connections until this process ends.

    A port that is only looked up and let go may be another test's server a moment later.
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
