"""The driver of async runs: steps that may block are performed in threads."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar, TypeVar, overload

from flowstone.context.deadlines import limit_to
from flowstone.engine import progress
from flowstone.engine.blocking_calls import PATIENCE, InterruptedCall, finish_blocking
from flowstone.engine.children import afinish_children
from flowstone.engine.driver import FIRST, RunDriver
from flowstone.engine.functions import is_awaitable, is_coroutine_function
from flowstone.engine.lifecycle import Continuation
from flowstone.engine.signals import translate_cancellation
from flowstone.engine.steps import (
    AcquireSlots,
    Await,
    AwaitSlots,
    CallFunction,
    CallHook,
    FindRequest,
    FinishChildren,
    Iterate,
    Load,
    Log,
    ReadValues,
    Record,
    Refresh,
    ReleaseSlots,
    Resume,
    Save,
    Sleep,
    StageInTransaction,
    Suspend,
    Unlock,
)
from flowstone.engine.story import arun_story
from flowstone.errors import RunTimeout, SuspendSignal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from logging import Logger, LoggerAdapter

    from flowstone.context.current import Scope
    from flowstone.engine.lifecycle import Lifecycle
    from flowstone.engine.recorder import RunRecorder, Takeover
    from flowstone.ports import CacheLookup, Clock, PendingRun, ResultCache
    from flowstone.records.runs import Run
    from flowstone.records.states import State

T = TypeVar("T")

#: Seconds between two attempts to take a lock.
NAP = 0.01
#: The steps at which a deferred cancellation is raised.
_WAITS = frozenset({CallFunction, Iterate, Load, Await, AwaitSlots, Sleep})


class AsyncRunDriver(RunDriver):
    """Drives a run on an event loop, without blocking it."""

    __slots__ = ("_late",)

    def __init__(
        self,
        recorder: RunRecorder,
        scope: Scope,
        clock: Clock,
        logger: Callable[[Run], LoggerAdapter[Logger]],
        cache: ResultCache | None = None,
    ) -> None:
        super().__init__(recorder, scope, clock, logger, cache)
        self._late: list[BaseException] = []  # cancellations during a blocking step

    async def atake_up(self, takeover: Takeover) -> None:
        """Async version of `take_up`; a cancellation in the meantime takes effect in `adrive`."""
        await self._in_thread(partial(self.take_up, takeover))

    @overload
    async def adrive(self, life: Lifecycle) -> State: ...
    @overload
    async def adrive(
        self, life: Lifecycle, answer: object, error: BaseException | None
    ) -> State | Iterate: ...
    async def adrive(
        self, life: Lifecycle, answer: object = None, error: BaseException | None = None
    ) -> State | Iterate:
        """Drive an async run to its end, or to the step that yields its values.

        Steps that may block are performed in a thread, and always finished. A cancellation in the
        meantime is raised at the next step that waits; if there is none, after the run's end.
        """
        end: State | Continuation | None = None
        try:
            step = life.send(answer) if error is None else life.throw(translate_cancellation(error))
            while True:
                try:
                    kind = type(step)
                    if self._late:
                        self._raise_cancellation(step)
                    if isinstance(step, Record) and not self.recorder.may_block():  # most steps
                        answer = self.record(step.type, step.name, step.message, step.data)
                    elif isinstance(step, Iterate):
                        return step
                    else:
                        answer = await self._ON_A_LOOP[kind](self, step)
                except GeneratorExit as error:  # its loop is closed: nothing can be awaited here
                    return self.drive(life, None, error)
                except BaseException as error:  # noqa: BLE001 - the life decides what it means
                    is_ours = isinstance(error, InterruptedCall) and self._late
                    cause = self._take_cancellation() if is_ours else error
                    step = life.throw(translate_cancellation(cause))
                else:
                    step = life.send(answer)
        except StopIteration as stop:
            end = stop.value
        except BaseException:
            if self.recorder.origin.parent_id is None:  # only a root holds a lease
                await self._in_thread(self.let_go)
            raise
        assert end is not None
        if isinstance(end, Continuation):
            return await self.adrive(*end)
        if self._late:
            late = translate_cancellation(self._take_cancellation())
            if not isinstance(late, SuspendSignal):  # it is suspended, or has ended
                raise late
        return end

    async def _in_thread(self, work: Callable[[], T], patience: float | None = None) -> T:
        """Make a blocking call, and finish it; see `finish_blocking`."""
        if self.recorder.is_copy:  # a forked child shares its loop's files with the parent
            return work()
        return await finish_blocking(work, self._late, patience=patience)

    def _raise_cancellation(self, step: object) -> None:
        """Raise a deferred cancellation, if this is a step that waits."""
        if type(step) in _WAITS or (isinstance(step, FinishChildren) and step.error is None):
            raise self._take_cancellation()

    def _take_cancellation(self) -> BaseException:
        cancellation = self._late[0]
        self._late.clear()
        return cancellation

    # ------------------------------------------------------------ steps

    async def _arecord(self, step: Record) -> State:
        return await self._in_thread(partial(self._record, step))

    async def _aacquire_slots(self, step: AcquireSlots) -> str | None:
        take = step.request.take
        return await self._in_thread(take, PATIENCE) if step.request.may_block() else take()

    async def _arelease_slots(self, step: ReleaseSlots) -> None:
        if step.request.may_block():
            await self._in_thread(step.request.give_back)

    async def _acall(self, step: CallFunction) -> object:
        awaitable = step.fn(*step.args, **step.kwargs)
        if step.timeout is None:
            return await awaitable
        return await self.await_within(awaitable, step.timeout)

    async def _acall_hook(self, step: CallHook) -> object:
        if self.recorder.is_copy:
            return None
        call = partial(step.fn, step.unit, self.recorder.run, step.state)
        value = call() if is_coroutine_function(step.fn) else await self._in_thread(call, PATIENCE)
        return await value if is_awaitable(value) else value

    async def _aload(self, step: Load) -> CacheLookup:
        import asyncio  # 40 ms to import; a loop is running, so it is imported already

        # The holder of the lock may be on the same loop, so the lock is polled.
        look = partial(self.cache.look, step.args, step.kwargs, 0.0)
        while (found := await self._in_thread(look, PATIENCE)) is None:
            if self._late:
                raise self._take_cancellation()
            await asyncio.sleep(NAP)
        return found

    async def _asave(self, step: Save) -> None:
        await self._in_thread(partial(self._save, step), PATIENCE)

    async def _aunlock(self, step: Unlock) -> None:
        if self.cache.is_locked:
            await self._in_thread(partial(self._unlock, step))

    async def _arefresh(self, step: Refresh) -> tuple[float, State]:
        return await self._in_thread(partial(self._refresh, step))

    async def _afind_request(self, step: FindRequest) -> str | None:
        return await self._in_thread(partial(self._find_request, step))

    async def _aresume(self, step: Resume) -> bool:
        return await self._in_thread(partial(self._resume, step))

    async def _asuspend(self, step: Suspend) -> State:
        return await self._in_thread(partial(self._suspend, step))

    async def _aread_values(self, step: ReadValues) -> object:
        return await self._in_thread(step.fn, PATIENCE)

    async def _alog(self, step: Log) -> None:
        if not (self._placed or self.recorder.is_copy):
            await self._arecord(FIRST)
        self._log(step)

    async def _astage(self, step: StageInTransaction) -> None:
        await arun_story(self._stage_run(step), self._in_thread)

    async def _aawait_ends(self, step: Await) -> None:
        with progress.show(step.promises):
            for promise in step.promises:
                await promise.await_end()

    async def _afinish_children(self, step: FinishChildren) -> list[PendingRun]:
        return await afinish_children(self.recorder, self.scope, step, self._in_thread)

    async def _aawait_slots(self, step: AwaitSlots) -> None:
        await step.request.await_slots()

    async def _asleep(self, step: Sleep) -> None:
        await self.clock.asleep(step.seconds)

    #: The method that performs a step, by the step's type.
    _ON_A_LOOP: ClassVar[Mapping[type, Callable[..., Awaitable[object]]]] = {
        Record: _arecord,
        CallFunction: _acall,
        CallHook: _acall_hook,
        Load: _aload,
        Save: _asave,
        Unlock: _aunlock,
        ReadValues: _aread_values,
        StageInTransaction: _astage,
        AcquireSlots: _aacquire_slots,
        AwaitSlots: _aawait_slots,
        ReleaseSlots: _arelease_slots,
        Await: _aawait_ends,
        FinishChildren: _afinish_children,
        Sleep: _asleep,
        Refresh: _arefresh,
        FindRequest: _afind_request,
        Resume: _aresume,
        Suspend: _asuspend,
        Log: _alog,
    }

    async def await_within(self, awaitable: Awaitable[object], seconds: float) -> object:
        """Await something with a timeout.

        Raises:
            RunTimeout: it took longer.
        """
        import asyncio  # 40 ms to import; a loop is running, so it is imported already

        loop, name = asyncio.get_running_loop(), self.recorder.origin.name
        limit = asyncio.timeout(seconds)
        began = loop.time()
        try:
            with limit_to(seconds):
                async with limit:
                    value = await awaitable
        except TimeoutError as error:
            if limit.expired():
                raise RunTimeout(name, seconds) from error
            raise
        # Code that blocks the loop also blocks its timeout.
        if (took := loop.time() - began) > seconds:
            message = f"It blocked its event loop; it ended after {took:.1f} s."
            raise RunTimeout(name, seconds, message)
        return value
