"""The system's clock."""

from __future__ import annotations

import sys
import threading
import time
from time import sleep
from typing import TYPE_CHECKING

from flowstone.ports.interrupts import interruptible

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowstone.ports import Clock

if sys.platform == "linux":

    def _read_monotonic() -> float:
        # Goes on while the machine is suspended, which Python's own does not.
        return time.clock_gettime(time.CLOCK_BOOTTIME)
else:
    _read_monotonic = time.monotonic


class SystemClock:
    """Wall-clock time, and real waiting."""

    time = staticmethod(time.time)
    monotonic = staticmethod(_read_monotonic)

    def sleep(self, seconds: float) -> None:
        """Block this thread, until an error is put into it: a cancelled run waits no longer."""
        if threading.current_thread() is threading.main_thread():
            sleep(seconds)  # a signal breaks into it
            return
        woken = threading.Event()
        with interruptible(woken.set):
            woken.wait(seconds)

    async def asleep(self, seconds: float) -> None:
        import asyncio  # 40 ms of start-up; here it is running already

        await asyncio.sleep(seconds)


def start_steady_time(clock: Clock) -> Callable[[], float]:
    """Return a clock that shows the time of day now, and from here on counts seconds.

    What it says of two moments is how long it was between them, although somebody may set the
    system's clock meanwhile.
    """
    monotonic = clock.monotonic
    offset = clock.time() - monotonic()
    return lambda: offset + monotonic()
