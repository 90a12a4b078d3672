"""Detect leaks of connections and threads by counting them before and after calls."""

from __future__ import annotations

import gc
import os
import stat
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Calls before the first count: what is opened once and reused is not a leak.
WARM = 2
#: Calls between the counts; what each of them leaves open is a leak.
CALLS = 4
#: Seconds that the other end has to close its side of a connection.
PATIENCE = 5.0


def assert_nothing_is_left(name: str, call: Callable[[], object]) -> None:
    """Fail if each of several calls leaves a socket or a thread open.

    Args:
        name: the name of the function under test.
        call: calls it once.
    """
    with _without_collector():
        for _ in range(WARM):
            call()
        before = _find_open()  # by identity: one may end in the meantime
        for _ in range(CALLS):
            call()
        end, pause = monotonic() + PATIENCE, threading.Event()
        while _describe_new(before) and monotonic() < end:
            pause.wait(0.02)
        left = _describe_new(before)
    if left:
        pytest.fail(f"{CALLS} calls of {name} left {left} open: close them with `with`")


def _find_open() -> dict[str, set[object]]:
    """Return what this process has open; sockets only if the system lists them."""
    sockets: set[object] = set()
    with suppress(FileNotFoundError):
        for path in Path("/dev/fd").iterdir():
            with suppress(OSError):
                found = os.fstat(int(path.name))
                if stat.S_ISSOCK(found.st_mode):
                    sockets.add(found.st_ino or path.name)
    return {"sockets": sockets, "threads": set(threading.enumerate())}


def _describe_new(before: dict[str, set[object]]) -> str:
    more = {what: len(found - before[what]) for what, found in _find_open().items()}
    return " and ".join(f"{count} {what}" for what, count in more.items() if count >= CALLS)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Disable garbage collection, which must not be what closes a connection."""
    gc.collect()
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
