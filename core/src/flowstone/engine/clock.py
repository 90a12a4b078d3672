"""The system's clock."""

from __future__ import annotations

import threading
from time import sleep, time

from flowstone.ports.interrupts import interruptible


class SystemClock:
    """Wall-clock time, and real waiting."""

    time = staticmethod(time)

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
