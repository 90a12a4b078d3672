"""Event loops of a simulated process: their time and their waiting are the scheduler's."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from .here import here
from .scheduler import Scheduler


class SimLoop(asyncio.BaseEventLoop):
    """A loop whose fiber lets others go on where it looks for what has happened.

    Attributes:
        may_wait: whether it does so now; wherever else its fiber waits, it blocks its coroutines.
        main: the coroutine that it runs.
        interrupt: the Ctrl-C that has cancelled that.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        super().__init__()
        self._scheduler = scheduler
        self._selector = self
        self._is_woken = False
        self.may_wait = False
        self.main: asyncio.Task[Any] | None = None
        self.interrupt: KeyboardInterrupt | None = None

    def time(self) -> float:
        return self._scheduler.now

    def select(self, timeout: float | None) -> list[Any]:
        """Let others go on: for a step, until a time, or until another thread calls."""
        self.may_wait = True
        try:
            self._scheduler.pause()
            if timeout is None or timeout > 0:
                self._scheduler.block(lambda: self._is_woken, timeout)
        except KeyboardInterrupt as interrupt:  # the second one breaks in, as it really does
            if self.interrupt is not None or self.main is None or self.main.done():
                raise
            self.interrupt = interrupt
            self.main.cancel()
        finally:
            self.may_wait = self._is_woken = False
        return []

    def _process_events(self, events: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        self._is_woken = True


def run_on_loop(made: Coroutine[Any, Any, Any]) -> Any:
    """Do as `asyncio.run`, on a simulated loop in this fiber."""
    loop = SimLoop(here().world.scheduler)
    loop.main = loop.create_task(made)
    try:
        return loop.run_until_complete(loop.main)
    except asyncio.CancelledError:
        if loop.interrupt is not None:
            raise loop.interrupt from None
        raise
    finally:
        try:
            _cancel_all(loop)
        finally:
            _drop_all(loop)
            loop.close()


def _cancel_all(loop: SimLoop) -> None:
    """Cancel what an error that came out of the loop has left, and wait for it."""
    left = sorted(asyncio.all_tasks(loop), key=asyncio.Task.get_name)
    for each in left:
        each.cancel()
    if left:
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))


def _drop_all(loop: SimLoop) -> None:
    """Drop what is left in a process that is gone, or in a broken world."""
    for left in asyncio.all_tasks(loop):
        left._log_destroy_pending = False  # type: ignore[attr-defined]
        with suppress(BaseException):
            left.get_coro().close()
