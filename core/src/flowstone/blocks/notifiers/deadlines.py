"""Deadlines of network connections, and the certificates that they trust."""

from __future__ import annotations

import socket
import ssl
from contextlib import contextmanager, suppress
from threading import Event, Timer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def deadline(seconds: float, drop: Callable[[], None]) -> Iterator[Event]:
    """Call `drop` from another thread after a number of seconds; yield whether it was called.

    A socket's own timeout starts again with each byte, so a slow server could block us forever.
    """
    over = Event()

    def end() -> None:
        over.set()
        drop()

    timer = Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield over
    finally:
        timer.cancel()


def hang_up(sock: socket.socket | None) -> None:
    """Break a connection that another thread waits for."""
    if sock is not None:
        with suppress(OSError, ValueError):
            socket.socket.shutdown(sock, socket.SHUT_RDWR)


def trust(verify: bool) -> ssl.SSLContext:
    """Return how a server's certificate is verified: by the system's authorities, or not at all."""
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
