"""The drivers: the only loops. They take steps out of a life, do them, and hand answers in."""

from __future__ import annotations

from functools import partial
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, ClassVar, overload

from flowstone.context.deadlines import limit_to
from flowstone.engine import progress
from flowstone.engine.children import afinish_children, finish_children
from flowstone.engine.policy import describe_error
from flowstone.engine.signals import translate_cancellation
from flowstone.engine.steps import (
    AcquireSlots,
    Await,
    AwaitSlots,
    CallFunction,
    CallHook,
    FinishChildren,
    Iterate,
    Load,
    Log,
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
from flowstone.engine.story import arun_story, run_awaitable, run_story
from flowstone.errors import RunTimeout, StopSignal
from flowstone.records.states import CRASHED, PENDING, State

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from logging import Logger, LoggerAdapter

    from flowstone.context.current import Scope
    from flowstone.engine.lifecycle import Lifecycle
    from flowstone.engine.recorder import RunRecorder
    from flowstone.engine.story import Story
    from flowstone.ports import CacheLookup, Clock, PendingRun, ResultCache
    from flowstone.records.runs import Run
    from flowstone.records.states import StateType

#: Seconds between two tries for a lock, on an event loop.
NAP = 0.01


class RunDriver:
    """What both drivers need: the recorder of the run, its scope, the clock.

    A child that was forked by the function comes out of the call here as well. It goes through the
    life with its own value or error, and leaves all that others see of the run to the parent.
    """

    __slots__ = ("_placed", "cache", "clock", "logger", "recorder", "scope")

    cache: ResultCache  # set where the run's plan has one

    def __init__(
        self,
        recorder: RunRecorder,
        scope: Scope,
        clock: Clock,
        logger: Callable[[Run], LoggerAdapter[Logger]],
        cache: ResultCache | None = None,
    ) -> None:
        self.recorder, self.scope, self.clock, self.logger = recorder, scope, clock, logger
        self._placed = False
        if cache is not None:
            self.cache = cache

    def register_stop(self, stop: Callable[[type[StopSignal]], None]) -> None:
        """Say what stops the run when somebody asks for that."""
        self.recorder.on_request(stop)

    def record(
        self, kind: StateType, name: str, message: str | None = None, data: Any = None
    ) -> State:
        """Put the run into a state, and return that state."""
        state = self.recorder.record(kind, name, message, data)
        if not self._placed:
            self._placed = True
            self.scope.run = self.recorder.run
        return state

    def find_end(self, error: BaseException) -> State:
        """Return how a run ended that an error came out of, maybe after its end had been said."""
        end = self.recorder.state
        return end if end.is_final() else State(CRASHED, message=describe_error(error), data=error)

    def let_go(self) -> None:
        """Give the run up, as its end could not be kept."""
        self.recorder.abandon()

    @overload
    def drive(self, life: Lifecycle) -> State: ...
    @overload
    def drive(
        self, life: Lifecycle, answer: object, error: BaseException | None
    ) -> State | Iterate: ...
    def drive(
        self, life: Lifecycle, answer: object = None, error: BaseException | None = None
    ) -> State | Iterate:
        """Live a sync run to its end, or to where its values are handed out.

        Args:
            life: of the run.
            answer: what came of handing its values out.
            error: what came of that instead.
        """
        step: Any = None
        try:
            step = life.send(answer) if error is None else life.throw(error)
            while True:
                try:
                    kind = type(step)
                    if kind is Record:
                        answer = self.record(*step)
                    elif kind is CallFunction and step.timeout is None:
                        answer = step.fn(*step.args, **step.kwargs)
                    elif kind is Iterate:
                        return step  # type: ignore[no-any-return]
                    else:
                        answer = self._IN_A_THREAD[kind](self, step)
                except BaseException as error:  # noqa: BLE001 - the life decides what it means
                    step = life.throw(error)
                else:
                    step = life.send(answer)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        except BaseException:
            self.let_go()
            raise

    @overload
    async def adrive(self, life: Lifecycle) -> State: ...
    @overload
    async def adrive(
        self, life: Lifecycle, answer: object, error: BaseException | None
    ) -> State | Iterate: ...
    async def adrive(
        self, life: Lifecycle, answer: object = None, error: BaseException | None = None
    ) -> State | Iterate:
        """Live an async run to its end, or to where its values are handed out."""
        try:
            step = life.send(answer) if error is None else life.throw(translate_cancellation(error))
            while True:
                try:
                    if type(step) is Iterate:
                        return step
                    if (wait := self._ON_A_LOOP.get(type(step))) is not None:
                        answer = await wait(self, step)
                    else:
                        answer = self._COMMON[type(step)](self, step)
                except BaseException as error:  # noqa: BLE001 - the life decides what it means
                    step = life.throw(translate_cancellation(error))
                else:
                    step = life.send(answer)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        except BaseException:
            self.let_go()
            raise

    # ------------------------------------------------------------ steps that do not wait

    def _record(self, step: Record) -> State:
        return self.record(*step)

    def _acquire_slots(self, step: AcquireSlots) -> str | None:
        return step.request.take()

    def _release_slots(self, step: ReleaseSlots) -> None:
        step.request.give_back()

    def _save(self, step: Save) -> None:
        self.cache.keep(step.look, step.value)

    def _unlock(self, step: Unlock) -> None:
        self.cache.end(step.look)

    def _refresh(self, _: Refresh) -> tuple[float, State]:
        return self.clock.time(), self.recorder.refresh().state

    def _resume(self, _: Resume) -> bool:
        return self.recorder.resume()

    def _suspend(self, step: Suspend) -> State:
        return self.recorder.suspend(step.message, step.data)

    def _log(self, step: Log) -> None:
        if self.recorder.is_copy:
            return
        if not self._placed:  # a line belongs to a run, so there has to be one
            self.record(PENDING, "Pending")
        self.logger(self.recorder.run).log(step.level, step.message, exc_info=step.error)

    # ------------------------------------------------------------ steps that wait, in a thread

    def _call(self, step: CallFunction) -> object:
        # ctypes and signal: only runs with a timeout pay for their import.
        from flowstone.engine.timeouts import call_within

        seconds, name = step.timeout or 0.0, self.recorder.origin.name
        return call_within(step.fn, step.args, step.kwargs, seconds, name)

    def _call_hook(self, step: CallHook) -> object:
        if self.recorder.is_copy:
            return None
        value = step.fn(step.unit, self.recorder.run, step.state)
        return run_awaitable(value) if isawaitable(value) else value

    def _load(self, step: Load) -> CacheLookup | None:
        return self.cache.look(step.args, step.kwargs)

    def _stage(self, step: StageInTransaction) -> None:
        run_story(self._stage_run(step))

    def _await_ends(self, step: Await) -> None:
        with progress.show(step.promises):
            for promise in step.promises:
                promise.wait()

    def _finish_children(self, step: FinishChildren) -> list[PendingRun]:
        return finish_children(self.recorder, self.scope, self.clock, step)

    def _await_slots(self, step: AwaitSlots) -> None:
        step.request.wait()

    def _sleep(self, step: Sleep) -> None:
        self.clock.sleep(step.seconds)

    # ------------------------------------------------------------ the same, on an event loop

    async def _acall(self, step: CallFunction) -> object:
        awaitable = step.fn(*step.args, **step.kwargs)
        if step.timeout is None:
            return await awaitable
        return await self.await_within(awaitable, step.timeout)

    async def _acall_hook(self, step: CallHook) -> object:
        if self.recorder.is_copy:
            return None
        value = step.fn(step.unit, self.recorder.run, step.state)
        return await value if isawaitable(value) else value

    async def _aload(self, step: Load) -> CacheLookup:
        import asyncio  # 40 ms of start-up; here it is running already

        look, args, kwargs = self.cache.look, step.args, step.kwargs
        # Whoever has the lock may be on this very loop, so it is asked for and not waited for.
        while (found := look(args, kwargs, 0.0)) is None:  # noqa: ASYNC110 - a file's
            await asyncio.sleep(NAP)
        return found

    async def _astage(self, step: StageInTransaction) -> None:
        await arun_story(self._stage_run(step))

    async def _aawait_ends(self, step: Await) -> None:
        with progress.show(step.promises):
            for promise in step.promises:
                await promise.await_end()

    async def _afinish_children(self, step: FinishChildren) -> list[PendingRun]:
        return await afinish_children(self.recorder, self.scope, step)

    async def _aawait_slots(self, step: AwaitSlots) -> None:
        await step.request.await_slots()

    async def _asleep(self, step: Sleep) -> None:
        await self.clock.asleep(step.seconds)

    #: What does a step, by its type: the same in a thread and on a loop.
    _COMMON: ClassVar[Mapping[type, Callable[..., object]]] = {
        Record: _record,
        AcquireSlots: _acquire_slots,
        ReleaseSlots: _release_slots,
        Save: _save,
        Unlock: _unlock,
        Refresh: _refresh,
        Resume: _resume,
        Suspend: _suspend,
        Log: _log,
    }
    _IN_A_THREAD: ClassVar[Mapping[type, Callable[..., object]]] = {
        **_COMMON,
        CallFunction: _call,
        CallHook: _call_hook,
        Load: _load,
        StageInTransaction: _stage,
        Await: _await_ends,
        FinishChildren: _finish_children,
        AwaitSlots: _await_slots,
        Sleep: _sleep,
    }
    _ON_A_LOOP: ClassVar[Mapping[type, Callable[..., Awaitable[object]]]] = {
        CallFunction: _acall,
        CallHook: _acall_hook,
        Load: _aload,
        StageInTransaction: _astage,
        Await: _aawait_ends,
        FinishChildren: _afinish_children,
        AwaitSlots: _aawait_slots,
        Sleep: _asleep,
    }

    def _stage_run(self, step: StageInTransaction) -> Story[None]:
        look = step.look
        save = None if look is None else partial(self.cache.keep, look, step.value)
        name = self.recorder.origin.name
        return step.around.stage_run(name, save, step.on_commit, step.on_rollback)

    async def await_within(self, awaitable: Awaitable[object], seconds: float) -> object:
        """Await something for so many seconds.

        Raises:
            RunTimeout: it took longer.
        """
        import asyncio  # 40 ms of start-up; here it is running already

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
        # Code that holds up the loop holds up its timeout, too.
        if (took := loop.time() - began) > seconds:
            message = f"It held up its event loop; it ended after {took:.1f} s."
            raise RunTimeout(name, seconds, message)
        return value
