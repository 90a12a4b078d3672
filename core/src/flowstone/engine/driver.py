"""The drivers: the only loops. They take steps out of a life, do them, and hand answers in."""

from __future__ import annotations

from functools import partial
from inspect import isawaitable, iscoroutinefunction
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, overload

from flowstone.context.deadlines import limit_to
from flowstone.engine import progress
from flowstone.engine.blocking_calls import PATIENCE, InterruptedCall, finish_blocking
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
from flowstone.engine.story import arun_story, run_awaitable, run_story
from flowstone.errors import RunTimeout, StopSignal
from flowstone.records.states import CRASHED, PENDING, State

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from logging import Logger, LoggerAdapter

    from flowstone.context.current import Scope
    from flowstone.engine.lifecycle import Lifecycle
    from flowstone.engine.recorder import RunRecorder, Takeover
    from flowstone.engine.story import Story
    from flowstone.ports import CacheLookup, Clock, PendingRun, ResultCache
    from flowstone.records.runs import Run
    from flowstone.records.states import StateType

T = TypeVar("T")

#: Seconds between two tries for a lock, on an event loop.
NAP = 0.01


class RunDriver:
    """What both drivers need: the recorder of the run, its scope, the clock.

    A child that was forked by the function comes out of the call here as well. It goes through the
    life with its own value or error, and leaves all that others see of the run to the parent.
    """

    __slots__ = ("_late", "_placed", "cache", "clock", "logger", "recorder", "scope")

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
        self._late: list[BaseException] = []  # cancellations that came into a blocking step
        if cache is not None:
            self.cache = cache

    def register_stop(self, stop: Callable[[type[StopSignal]], None]) -> None:
        """Say what stops the run when somebody asks for that."""
        self.recorder.on_request(stop)

    def take_up(self, takeover: Takeover) -> None:
        """Go on with a run that there is; see `RunRecorder.take_up`."""
        self.recorder.take_up(takeover)

    async def atake_up(self, takeover: Takeover) -> None:
        """Do the same without blocking the event loop; a cancellation ends the run once driven."""
        await self._in_thread(partial(self.recorder.take_up, takeover))

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
        """Live an async run to its end, or to where its values are handed out.

        A step that may block is done in a thread, and to its end. A cancellation that comes
        meanwhile is raised at the next step that waits; where there is none, after the run's end.
        """
        try:
            step = life.send(answer) if error is None else life.throw(translate_cancellation(error))
            while True:
                try:
                    kind = type(step)
                    if self._late:
                        self._raise_cancellation(step)
                    if kind is Record and not self.recorder.may_block():  # as most are
                        answer = self.record(*step)
                    elif isinstance(step, Iterate):
                        return step
                    else:
                        answer = await self._ON_A_LOOP[kind](self, step)
                except GeneratorExit as error:  # its loop is gone: nothing can be awaited here
                    return self.drive(life, None, error)
                except BaseException as error:  # noqa: BLE001 - the life decides what it means
                    is_ours = isinstance(error, InterruptedCall) and self._late
                    cause = self._take_cancellation() if is_ours else error
                    step = life.throw(translate_cancellation(cause))
                else:
                    step = life.send(answer)
        except StopIteration as stop:
            if self._late:
                raise translate_cancellation(self._take_cancellation()) from None
            return stop.value  # type: ignore[no-any-return]
        except BaseException:
            await self._alet_go()
            raise

    async def _in_thread(self, work: Callable[[], T], patience: float | None = None) -> T:
        """Do what may block, to its end; see `finish_blocking`."""
        if self.recorder.is_copy:  # a forked child shares its loop's files with the parent
            return work()
        return await finish_blocking(work, self._late, patience=patience)

    def _raise_cancellation(self, step: object) -> None:
        """Raise what was held back, if this is a step that waits."""
        if type(step) in _WAITS or (isinstance(step, FinishChildren) and step.error is None):
            raise self._take_cancellation()

    def _take_cancellation(self) -> BaseException:
        cancellation = self._late[0]
        self._late.clear()
        return cancellation

    async def _alet_go(self) -> None:
        await self._in_thread(self.let_go)

    # ------------------------------------------------------------ steps that hardly wait

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

    def _read_values(self, step: ReadValues) -> object:
        return step.fn()

    def _log(self, step: Log) -> None:
        if self.recorder.is_copy:
            return
        if not self._placed:  # a line belongs to a run, so there has to be one
            self._record(_FIRST)
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
        value = call() if iscoroutinefunction(step.fn) else await self._in_thread(call, PATIENCE)
        return await value if isawaitable(value) else value

    async def _aload(self, step: Load) -> CacheLookup:
        import asyncio  # 40 ms of start-up; here it is running already

        # Whoever has the lock may be on this very loop, so it is asked for and not waited for.
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

    async def _aresume(self, step: Resume) -> bool:
        return await self._in_thread(partial(self._resume, step))

    async def _asuspend(self, step: Suspend) -> State:
        return await self._in_thread(partial(self._suspend, step))

    async def _aread_values(self, step: ReadValues) -> object:
        return await self._in_thread(step.fn, PATIENCE)

    async def _alog(self, step: Log) -> None:
        if not (self._placed or self.recorder.is_copy):
            await self._arecord(_FIRST)
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

    #: What does a step, by its type.
    _IN_A_THREAD: ClassVar[Mapping[type, Callable[..., object]]] = {
        Record: _record,
        CallFunction: _call,
        CallHook: _call_hook,
        Load: _load,
        Save: _save,
        Unlock: _unlock,
        ReadValues: _read_values,
        StageInTransaction: _stage,
        AcquireSlots: _acquire_slots,
        AwaitSlots: _await_slots,
        ReleaseSlots: _release_slots,
        Await: _await_ends,
        FinishChildren: _finish_children,
        Sleep: _sleep,
        Refresh: _refresh,
        Resume: _resume,
        Suspend: _suspend,
        Log: _log,
    }
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
        Resume: _aresume,
        Suspend: _asuspend,
        Log: _alog,
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


#: What a run is recorded as where something is said of it before anything else.
_FIRST = Record(PENDING, "Pending")
#: The steps at which a cancellation of a coroutine comes up that was held back before.
_WAITS = frozenset({CallFunction, Iterate, Load, Await, AwaitSlots, Sleep})
