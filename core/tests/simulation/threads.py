"""The threads and the clock of one simulated process: each wait is the scheduler's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from flowstone.engine.blocking_calls import is_on_loop

from .scheduler import Fiber, Host, Scheduler


class SimClock:
    """Fake time, which may be wrong; asking a dead process for it ends its code."""

    def __init__(self, scheduler: Scheduler, ahead: float = 0.0) -> None:
        self._scheduler, self._ahead = scheduler, ahead
        self._set_by = 0.0

    def time(self) -> float:
        return self.monotonic() + self._set_by

    def monotonic(self) -> float:
        self._scheduler._me()
        return self._scheduler.now + self._ahead

    def step(self, seconds: float) -> None:
        """Set the time, as a person or a time server does."""
        self._set_by += seconds

    def sleep(self, seconds: float) -> None:
        self._scheduler.sleep(seconds)

    async def asleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)  # of a simulated loop


class SimThreads:
    """What `threading` is to a real process."""

    def __init__(self, scheduler: Scheduler, host: Host) -> None:
        self._scheduler, self._host = scheduler, host

    def Thread(self, *, target: Callable[[], None], name: str, daemon: bool) -> SimThread:
        return SimThread(self._scheduler, self._host, target, f"{self._host.name}.{name}")

    def RLock(self) -> SimLock:
        return SimLock(self._scheduler)

    def Condition(self) -> SimCondition:
        return SimCondition(self._scheduler)

    def Event(self) -> SimEvent:
        return SimEvent(self._scheduler)


class SimThread:
    def __init__(
        self, scheduler: Scheduler, host: Host, target: Callable[[], None], name: str
    ) -> None:
        self._scheduler, self._host, self._target, self._name = scheduler, host, target, name
        self._fiber: Fiber | None = None

    def start(self) -> None:
        self._fiber = self._scheduler.spawn(self._host, self._name, self._target)

    def is_alive(self) -> bool:
        return self._fiber is not None and not self._fiber.is_done

    def join(self, timeout: float | None = None) -> None:
        self._scheduler.block(lambda: not self.is_alive(), timeout)


class SimLock:
    """A lock that its holder can take again."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._holder: Fiber | None = None
        self._depth = 0

    def __enter__(self) -> bool:
        self.take(1)
        return True

    def __exit__(self, *_: object) -> None:
        self.let_go(1)

    def take(self, depth: int) -> None:
        me = self._scheduler.current
        if self._holder is not me:
            if self._holder is not None or not is_on_loop():  # one that is free keeps no loop
                self._scheduler.pause()
            while self._holder is not None:
                self._scheduler.block(lambda: self._holder is None)
            self._holder = me
        self._depth += depth

    def let_go(self, depth: int) -> None:
        self._depth -= depth
        if not self._depth:
            self._holder = None

    def let_go_wholly(self) -> int:
        depth = self._depth
        self.let_go(depth)
        return depth


class SimCondition:
    """What one thread wakes another with."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._lock = SimLock(scheduler)
        self._waiting: list[SimEvent] = []

    def __enter__(self) -> bool:
        return self._lock.__enter__()

    def __exit__(self, *error: object) -> None:
        self._lock.__exit__(*error)

    def notify(self) -> None:
        if self._waiting:
            self._waiting.pop(0).set()

    def wait(self, timeout: float | None = None) -> bool:
        called = SimEvent(self._scheduler)
        self._waiting.append(called)
        depth = self._lock.let_go_wholly()
        try:
            return called.wait(timeout)
        finally:
            if called in self._waiting:
                self._waiting.remove(called)
            self._lock.take(depth)


class SimEvent:
    """A flag that threads wait for."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._is_set = False

    def set(self) -> None:
        self._is_set = True

    def clear(self) -> None:
        self._is_set = False

    def wait(self, timeout: float | None = None) -> bool:
        return self._is_set or self._scheduler.block(lambda: self._is_set, timeout)


class Pool:
    """A `Runner` whose workers are fibers; its calls of functions may be elsewhere, with limits."""

    max_in_flight: int | None = None

    def __init__(
        self, scheduler: Scheduler, host: Host, max_workers: int, caller: Any = None
    ) -> None:
        self._scheduler, self._host, self._max_workers = scheduler, host, max_workers
        self.caller = caller
        self._calls: list[Callable[[], None]] = []
        self._working = 0
        self._started = 0

    def submit(self, call: Callable[[], None]) -> None:
        self._calls.append(call)
        if self._working < self._max_workers:
            self._working += 1
            self._started += 1
            name = f"{self._host.name}.worker-{self._started}"
            self._scheduler.spawn(self._host, name, self._work)

    def submit_async(self, call: Any) -> None:
        raise AssertionError("event loops are not simulated")

    def close(self) -> None:
        self._calls.clear()

    def _work(self) -> None:
        while self._calls:
            self._calls.pop(0)()
            self._scheduler.pause()
        self._working -= 1
