"""Runs of async generators: the same as in `yielding`, on an event loop."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

from flowstone.engine.generators import FLOW, PROCESS, Yielding
from flowstone.engine.signals import honest_end_on_loop, told_by_close
from flowstone.engine.story import run_awaitable
from flowstone.errors import RunTimeout, StopSignal
from flowstone.records.states import State

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from contextvars import Context

    from flowstone.engine.generators import Begun


class AsyncValues(Yielding):
    """A run of an async generator."""

    def __init__(self, begun: Begun) -> None:
        self._lock = asyncio.Lock()
        self._task: asyncio.Task[Any] | None = None
        self._ending: asyncio.Task[None] | None = None
        super().__init__(begun)
        if self._owner is None:
            self._heed_signals()

    def _heed_signals(self) -> None:
        loop = asyncio.get_running_loop()
        self._guard.enter_context(honest_end_on_loop())

        def stop(kind: type[StopSignal]) -> None:
            loop.call_soon_threadsafe(self._stop, kind)

        self._driver.stopped_by(stop)

    def _stop(self, kind: type[StopSignal]) -> None:
        if self._task is not None:
            self._task.cancel()
        else:
            self._ending = asyncio.get_running_loop().create_task(self._conclude(kind()))

    async def advance(self, sent: Any, error: BaseException | None) -> Any:
        """Return the function's next value; or set `end`, and return None."""
        async with self._lock:
            if self.end is not None:
                return None
            self._task = asyncio.current_task()
            return await self._step(sent, self._why or error)

    async def _conclude(self, error: BaseException) -> None:
        async with self._lock:
            if self.end is None:
                self._is_last = True
                await self._step(None, error)

    def wait(self, timeout: float | None = None) -> None:  # noqa: ARG002 - the port's
        run_awaitable(self.await_end())

    async def await_end(self) -> None:
        self._closer = PROCESS if self._owner is None else FLOW
        await self._conclude(self._why or GeneratorExit())

    async def _step(self, sent: Any, error: BaseException | None) -> Any:
        try:
            return await _Within(self._context, self._live(sent, error))
        finally:
            self._task = None
            if self.end is not None:
                self._close_guard()

    async def _live(self, sent: Any, error: BaseException | None) -> Any:
        while True:
            answer = None
            try:
                if self._asked is not None:
                    value = await self._resume(sent, error)
                    self.tally.count += 1
                    return value
            except StopAsyncIteration:
                error = None
            except BaseException as raised:  # noqa: BLE001 - the life decides what it means
                await self._drop()
                error = raised
            try:
                step = await self._driver.adrive(self._life, answer, error)
            except BaseException as broken:
                self._break(broken)
                raise
            if isinstance(step, State):
                self._finish(step)
                return None
            self._take(step)
            sent = error = None

    async def _resume(self, sent: Any, error: BaseException | None) -> Any:
        if self._body is None:
            return await self._limited(_first(self._called()))
        if error is None:
            return await self._limited(self._body.asend(sent))
        error = told_by_close(error)
        if isinstance(error, GeneratorExit):
            await self._body.aclose()
            raise self._closed()
        value = await self._limited(self._body.athrow(error))
        if self._is_last:
            raise error  # it yields once more, and nobody will ask again
        return value

    async def _limited(self, awaitable: Any) -> Any:
        if self._left is None:
            return await awaitable
        began = monotonic()
        try:
            return await self._driver.within(awaitable, max(self._left, 0.0))
        except RunTimeout as error:
            if error.name != self.name:
                raise
            raise self._late() from None
        finally:
            self._left -= monotonic() - began

    async def _drop(self) -> None:
        """Close the function, where it was left suspended."""
        body, self._body = self._body, None
        if body is not None:
            with suppress(Exception):
                await body.aclose()


def _first(body: Any) -> Any:
    """Return what awaits the first value; the loop is not told that it has to close `body`.

    At its end it closes all that it knows of at once, and this one is closed with its run.
    """
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(None, None)
    try:
        return body.asend(None)
    finally:
        sys.set_asyncgen_hooks(*hooks)


class _Within:
    """Awaits a coroutine in a context that is not the task's."""

    __slots__ = ("_context", "_coroutine")

    def __init__(self, context: Context, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._context, self._coroutine = context, coroutine

    def __await__(self) -> Generator[Any, Any, Any]:
        run, coroutine = self._context.run, self._coroutine
        resume: Callable[[Any], Any] = coroutine.send
        given: Any = None
        while True:
            try:
                awaited = run(resume, given)
            except StopIteration as stop:
                return stop.value
            try:
                given = yield awaited
                resume = coroutine.send
            except BaseException as error:  # noqa: BLE001 - it is the coroutine's
                resume, given = coroutine.throw, error
