"""Whether calls leave connections or threads behind: they are counted before and after."""

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

#: Calls before the first count: what is opened once, and kept, is no leak.
WARM = 2
#: Calls between the counts; what each of them leaves behind is one.
CALLS = 4
#: Seconds in which the other end may close what was closed here.
PATIENCE = 5.0


def assert_nothing_is_left(name: str, call: Callable[[], object]) -> None:
    """Fail where each of several calls leaves a socket or a thread behind.

    Args:
        name: of what is called.
        call: calls it once.
    """
    with _without_collector():
        for _ in range(WARM):
            call()
        sockets, threads = count_sockets(), threading.active_count()
        for _ in range(CALLS):
            call()
        end, pause = monotonic() + PATIENCE, threading.Event()
        while _grew(sockets, threads) and monotonic() < end:
            pause.wait(0.02)
        left = _grew(sockets, threads)
    if left:
        pytest.fail(f"{CALLS} calls of {name} left {left} behind: close what it opens, by `with`")


def count_sockets() -> int:
    """Return how many sockets this process has open; 0 where the system does not tell."""
    found = 0
    with suppress(FileNotFoundError):
        for path in Path("/dev/fd").iterdir():
            with suppress(OSError):
                found += stat.S_ISSOCK(os.fstat(int(path.name)).st_mode)
    return found


def _grew(sockets: int, threads: int) -> str:
    more = {
        "sockets": count_sockets() - sockets,
        "threads": threading.active_count() - threads,
    }
    return " and ".join(f"{count} {what}" for what, count in more.items() if count >= CALLS)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Leave garbage where it is: when it goes is no time to close a connection."""
    gc.collect()
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
