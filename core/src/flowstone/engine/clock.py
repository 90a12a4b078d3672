"""The system's clock."""

from __future__ import annotations

import sys
import threading
import time
from functools import partial
from time import sleep
from typing import TYPE_CHECKING

from flowstone.ports.interrupts import interruptible

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowstone.ports import Clock

_read_monotonic: Callable[[], float]
if sys.platform == "linux":
    # It advances while the machine is suspended; `time.monotonic` does not.
    _read_monotonic = partial(time.clock_gettime, time.CLOCK_BOOTTIME)
else:
    _read_monotonic = time.monotonic


class SystemClock:
    """Wall-clock time, and real waiting."""

    time = staticmethod(time.time)
    monotonic = staticmethod(_read_monotonic)

    def sleep(self, seconds: float) -> None:
        """Block this thread; an error raised in it, such as by a cancel, ends the wait."""
        if threading.current_thread() is threading.main_thread():
            sleep(seconds)  # a signal interrupts it
            return
        woken = threading.Event()
        with interruptible(woken.set):
            woken.wait(seconds)

    async def asleep(self, seconds: float) -> None:
        import asyncio  # 40 ms to import; a loop is running, so it is imported already

        await asyncio.sleep(seconds)


def start_steady_time(clock: Clock) -> Callable[[], float]:
    """Return a clock that starts at the current time, and then advances monotonically.

    Differences of its values are durations, even if the system clock is adjusted.
    """
    monotonic = clock.monotonic
    offset = clock.time() - monotonic()
    return lambda: offset + monotonic()
