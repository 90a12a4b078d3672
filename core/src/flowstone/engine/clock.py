"""The system's clock."""

from __future__ import annotations

from time import sleep, time


class SystemClock:
    """Wall-clock time, and real waiting."""

    time = staticmethod(time)
    sleep = staticmethod(sleep)

    async def asleep(self, seconds: float) -> None:
        import asyncio  # noqa: PLC0415 - 40 ms of start-up; here it is running already

        await asyncio.sleep(seconds)
