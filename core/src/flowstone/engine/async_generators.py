"""Runs of async generators: like sync generators, but on an event loop."""

from __future__ import annotations

import asyncio
import sys
from inspect import CORO_CLOSED, getcoroutinestate
from typing import TYPE_CHECKING, Any

from flowstone.engine.blocking_calls import finish_blocking
from flowstone.engine.generators import FLOW, PROCESS, GeneratorRun, Returned
from flowstone.engine.signals import sigterm_on_loop
from flowstone.engine.story import amake_calls, run_awaitable

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from contextvars import Context

    from flowstone.engine.async_driver import AsyncRunDriver
    from flowstone.engine.generators import GeneratorParts
    from flowstone.engine.lifecycle import Lifecycle
    from flowstone.engine.steps import Iterate
    from flowstone.errors import StopSignal
    from flowstone.records.states import State


class AsyncGeneratorRun(GeneratorRun):
    """A run of an async generator."""

    _driver: AsyncRunDriver

    def __init__(self, parts: GeneratorParts) -> None:
        self._lock = asyncio.Lock()
        self._task: asyncio.Task[Any] | None = None
        self._ending: asyncio.Task[None] | None = None
        super().__init__(parts)
        if self._owner is None:
            self._watch_signals()

    def _watch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        self._guard.enter_context(sigterm_on_loop())

        def stop(kind: type[StopSignal]) -> None:
            loop.call_soon_threadsafe(self._stop, kind)

        self._driver.register_stop(stop)

    def _stop(self, kind: type[StopSignal]) -> None:
        if self._task is not None:
            self._task.cancel()
        else:
            self._ending = asyncio.get_running_loop().create_task(self._conclude(kind()))

    async def advance(self, sent: object, error: BaseException | None) -> object:
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

    async def _step(self, sent: object, error: BaseException | None) -> object:
        try:
            return await _Within(self._context, self._go_on(sent, error))
        finally:
            self._task = None
            if self._is_stopped():
                await finish_blocking(self._keep_notes, [])
            if self.end is not None:
                self._close_guard()

    async def _go_on(self, sent: object, error: BaseException | None) -> object:
        raised: BaseException | None = None
        if error is None and self._body is not None:  # most steps do only this
            try:
                value = await self._send(sent)
            except BaseException as caught:  # noqa: BLE001 - the life decides what it means
                raised = caught
            else:
                self.progress.count += 1
                return value
        return await amake_calls(self._live(sent, error, raised))

    async def _drive(
        self, life: Lifecycle, answer: Any, error: BaseException | None
    ) -> State | Iterate:
        return await self._driver.adrive(life, answer, error)

    async def _send(self, sent: Any) -> Any:
        body = self._body
        try:
            awaitable = _ask_first(self._open_body()) if body is None else body.asend(sent)
            return await (awaitable if self._left is None else self._limit(awaitable))
        except StopAsyncIteration:
            raise Returned(None) from None

    async def _throw(self, error: BaseException) -> Any:
        try:
            awaitable = self._open_body().athrow(error)
            return await (awaitable if self._left is None else self._limit(awaitable))
        except StopAsyncIteration:
            raise Returned(None) from None

    async def _close(self, body: Any) -> None:
        if body is not None:
            await body.aclose()

    async def _limit(self, awaitable: Any) -> Any:
        left = max(self._left or 0.0, 0.0)
        with self._count_time():
            return await self._driver.await_within(awaitable, left)


def _ask_first(body: Any) -> Any:
    """Return an awaitable of the first value, without registering `body` with the loop.

    At its end, a loop closes all registered generators at once; this one is closed by its run.
    """
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(None, None)
    try:
        return body.asend(None)
    finally:
        sys.set_asyncgen_hooks(*hooks)


class _Within:
    """Awaits a coroutine in another context than the task's."""

    __slots__ = ("_context", "_coroutine")

    def __init__(self, context: Context, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._context, self._coroutine = context, coroutine

    def __await__(self) -> Generator[object, object, object]:
        run, coroutine = self._context.run, self._coroutine
        resume: Callable[[Any], Any] = coroutine.send
        given: Any = None
        while True:
            try:
                awaited = run(resume, given)
                given = yield awaited
                resume = coroutine.send
            except StopIteration as stop:
                return stop.value
            except BaseException as error:
                # If the coroutine is only suspended, the error came from the consumer, or from a
                # signal between two of these lines: raise it in the coroutine.
                if getcoroutinestate(coroutine) == CORO_CLOSED:
                    raise
                resume, given = coroutine.throw, error
