"""Detect coroutines that block the event loop, by their calls and by a ticking coroutine."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
import time
from collections.abc import Awaitable
from typing import TYPE_CHECKING

import pytest

from flowstone.engine.thread_errors import clear_pending_error_flag

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

#: Seconds between two beats of the thread that watches the loop's ticks.
BEAT = 0.002
#: Consecutive beats without a tick after which the loop counts as blocked.
STILL = 25
#: Tries in which a block must be found each time, or the machine was slow.
TRIES = 3

_SOCKET = {"accept", "connect", "recv", "recv_into", "recvfrom", "send", "sendall", "sendto"}
_TLS = {"do_handshake", "read", "write"}
_WAITS = {"epoll.poll", "poll.poll", "kqueue.control", "select", "getaddrinfo", "sleep"}


def assert_lets_others_run(name: str, make: Callable[[], object]) -> None:
    """Fail if a coroutine blocks its event loop.

    Args:
        name: the name of the function under test.
        make: creates a new coroutine for each try.
    """
    places = []
    for _ in range(TRIES):
        place = asyncio.run(_find_block(make))
        if not place:
            return
        places.append(place)
    pytest.fail(f"{name} blocks the event loop: {places[0]}. Await it, or use asyncio.to_thread")


async def _find_block(make: Callable[[], object]) -> str:
    """Run a coroutine beside one that ticks; return where it blocks, or an empty string."""
    watch, ticker = _Watch(), _Ticker()
    beats = threading.Thread(target=ticker.beat, daemon=True)
    ticking = asyncio.create_task(ticker.tick())
    await asyncio.sleep(0)
    coroutine = make()
    assert isinstance(coroutine, Awaitable)
    work = asyncio.ensure_future(coroutine)
    before = sys.getprofile()
    beats.start()
    clear_pending_error_flag()
    sys.setprofile(watch)
    try:
        await asyncio.wait({work})
    finally:
        sys.setprofile(before)
        ticker.over.set()
        await ticking
        await asyncio.to_thread(beats.join)
    work.exception()  # other tests check it
    if watch.place:
        return watch.place
    return "no other coroutine ran most of the time" if ticker.most >= STILL else ""


class _Ticker:
    """Ticks in the loop and beats in a thread; beats without a tick are counted."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.ticks = self.most = 0

    async def tick(self) -> None:
        while not self.over.is_set():
            self.ticks += 1
            # Not `sleep(0)`: a loop that never waits can starve the threads that the coroutine
            # waits for of the interpreter lock.
            await asyncio.sleep(BEAT / 2)

    def beat(self) -> None:
        seen, still = self.ticks, 0
        while not self.over.wait(BEAT):
            still = 0 if self.ticks != seen else still + 1
            seen, self.most = self.ticks, max(self.most, still)


class _Watch:
    """A profile function that records the first blocking call of a coroutine."""

    def __init__(self) -> None:
        self.place = ""

    def __call__(self, frame: FrameType, event: str, called: object) -> None:
        if event != "c_call" or self.place or not _waits(called):
            return
        if asyncio.current_task() is None:  # the loop itself may wait
            return
        caller: FrameType | None = frame
        while caller is not None and _is_library(caller):
            caller = caller.f_back
        at = caller or frame
        name = getattr(called, "__qualname__", "a call")
        self.place = f"{name} in {at.f_code.co_name}, {at.f_code.co_filename}:{at.f_lineno}"


def _waits(called: object) -> bool:
    """Return whether this call of a C function blocks."""
    name, of = getattr(called, "__name__", ""), getattr(called, "__self__", None)
    if isinstance(of, socket.SocketType):
        return name in _SOCKET and of.gettimeout() != 0.0
    if type(of).__name__ == "_SSLSocket":
        owner = getattr(of, "owner", None)
        return name in _TLS and owner is not None and owner.gettimeout() != 0.0
    return called is time.sleep or getattr(called, "__qualname__", name) in _WAITS


def _is_library(frame: FrameType) -> bool:
    file = frame.f_code.co_filename
    return "site-packages" in file or f"{sys.base_prefix}/lib" in file or file.startswith("<frozen")
