"""The drivers: the only loops. They take steps out of a life, do them, and hand answers in."""

from __future__ import annotations

from collections.abc import Awaitable, Generator
from contextvars import copy_context
from functools import partial
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from flowstone.engine import progress
from flowstone.engine.children import asettled, settled
from flowstone.engine.policy import described
from flowstone.engine.remote_call import Remote
from flowstone.engine.signals import meant
from flowstone.engine.steps import (
    Admit,
    Await,
    Call,
    Consult,
    Dismiss,
    Heed,
    Iterate,
    Load,
    Queue,
    Record,
    Regain,
    Save,
    Say,
    Settle,
    Sleep,
    Stage,
    Step,
    Suspend,
    Unlock,
)
from flowstone.errors import RunTimeout, StopSignal
from flowstone.records.states import CRASHED, PENDING, State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from logging import Logger, LoggerAdapter

    from flowstone.context.current import Scope
    from flowstone.engine.lifecycle import Life
    from flowstone.engine.recorder import Keeper
    from flowstone.ports import Clock, Keeping, Look
    from flowstone.records.runs import Run
    from flowstone.records.states import StateType

T = TypeVar("T")
#: What happens, with all that has to be awaited on the way.
Story = Generator[Awaitable[object], None, T]

#: Between two tries for a lock, on an event loop; in seconds.
NAP = 0.01


class Driver:
    """What both drivers need: the keeper of the run, its scope, the clock.

    A child that was forked by the function comes out of the call here as well. It goes through the
    life with its own value or error, and leaves all that others see of the run to the parent.
    """

    __slots__ = ("_placed", "clock", "keeper", "keeping", "logger", "scope")

    keeping: Keeping  # set where the run's plan has one

    def __init__(
        self,
        keeper: Keeper,
        scope: Scope,
        clock: Clock,
        logger: Callable[[Run], LoggerAdapter[Logger]],
        keeping: Keeping | None = None,
    ) -> None:
        self.keeper, self.scope, self.clock, self.logger = keeper, scope, clock, logger
        self._placed = False
        if keeping is not None:
            self.keeping = keeping

    def stopped_by(self, stop: Callable[[type[StopSignal]], None]) -> None:
        """Say what stops the run when somebody asks for that."""
        self.keeper.on_request(stop)

    def record(
        self, kind: StateType, name: str, message: str | None = None, data: Any = None
    ) -> State:
        """Put the run into a state, and return that state."""
        state = self.keeper.record(kind, name, message, data)
        if not self._placed:
            self._placed = True
            self.scope.run = self.keeper.run
        return state

    def left_by(self, error: BaseException) -> State:
        """Return how a run ended that an error came out of, maybe after its end had been said."""
        end = self.keeper.state
        return end if end.is_final() else State(CRASHED, message=described(error), data=error)

    def let_go(self) -> None:
        """Give the run up, as its end could not be kept."""
        self.keeper.abandon()

    def perform(self, step: Step) -> Any:
        """Do a step that is the same in both worlds: one that does not wait."""
        match step:
            case Record(kind, name, message, data):
                return self.record(kind, name, message, data)
            case Admit(turn):
                return turn.take()
            case Dismiss(turn):
                return turn.give_back()
            case Load(args, kwargs):
                return self.keeping.look(args, kwargs)
            case Save(look, value):
                return self.keeping.keep(look, value)
            case Unlock(look):
                return self.keeping.end(look)
            case Say() | Consult() if self.keeper.is_copy:
                return None
            case Say(level, message, error):
                if not self._placed:  # a line belongs to a run, so there has to be one
                    self.record(PENDING, "Pending")
                return self.logger(self.keeper.run).log(level, message, exc_info=error)
            case _:
                return waited(self.keeper, self.clock, step)

    @overload
    def drive(self, life: Life) -> State: ...
    @overload
    def drive(self, life: Life, answer: Any, error: BaseException | None) -> State | Iterate: ...
    def drive(
        self, life: Life, answer: Any = None, error: BaseException | None = None
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
                        answer = self.record(step.type, step.name, step.message, step.data)
                    elif kind is Call and step.timeout is None:
                        answer = step.fn(*step.args, **step.kwargs)
                    elif kind is Iterate:
                        return step  # type: ignore[no-any-return]
                    else:
                        answer = self._wait(step)
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
    async def adrive(self, life: Life) -> State: ...
    @overload
    async def adrive(
        self, life: Life, answer: Any, error: BaseException | None
    ) -> State | Iterate: ...
    async def adrive(
        self, life: Life, answer: Any = None, error: BaseException | None = None
    ) -> State | Iterate:
        """Live an async run to its end, or to where its values are handed out."""
        try:
            step = life.send(answer) if error is None else life.throw(meant(error))
            while True:
                try:
                    if type(step) is Record:
                        answer = self.perform(step)
                    elif type(step) is Iterate:
                        return step
                    else:
                        answer = await self._await(step)
                except BaseException as error:  # noqa: BLE001 - the life decides what it means
                    step = life.throw(meant(error))
                else:
                    step = life.send(answer)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        except BaseException:
            self.let_go()
            raise

    def _wait(self, step: Step) -> Any:
        match step:
            case Call(Remote() as fn, args, kwargs, timeout):
                return fn.within(timeout, args, kwargs)
            case Call(fn, args, kwargs, timeout):
                # ctypes and signal: only runs with a timeout pay for their import.
                from flowstone.engine.timeouts import limited  # noqa: PLC0415

                return limited(fn, args, kwargs, timeout or 0.0, self.keeper.origin.name)
            case Consult(fn, unit, state) if not self.keeper.is_copy:
                value = fn(unit, self.keeper.run, state)
                return finished(value) if isawaitable(value) else value
            case Stage():
                return done(self._staged(step))
            case Await(promises):
                with progress.shown(promises):
                    for promise in promises:
                        promise.wait()
            case Settle():
                return settled(self.keeper, self.scope, self.clock, step)
            case Queue(turn):
                turn.wait()
            case Sleep(seconds):
                self.clock.sleep(seconds)
            case _:
                return self.perform(step)
        return None

    async def _await(self, step: Step) -> Any:
        match step:
            case Call(fn, args, kwargs, None):
                return await fn(*args, **kwargs)
            case Call(fn, args, kwargs, timeout):
                return await self.within(fn(*args, **kwargs), timeout)
            case Load(args, kwargs):
                return await self._looked(args, kwargs)
            case Consult(fn, unit, state) if not self.keeper.is_copy:
                value = fn(unit, self.keeper.run, state)
                return await value if isawaitable(value) else value
            case Stage():
                return await adone(self._staged(step))
            case Await(promises):
                with progress.shown(promises):
                    for promise in promises:
                        await promise.await_end()
            case Settle():
                return await asettled(self.keeper, self.scope, step)
            case Queue(turn):
                await turn.await_slots()
            case Sleep(seconds):
                await self.clock.asleep(seconds)
            case _:
                return self.perform(step)
        return None

    def _staged(self, step: Stage) -> Story[None]:
        around, look, value, on_commit, on_rollback = step
        keep = None if look is None else partial(self.keeping.keep, look, value)
        return around.stage_run(self.keeper.origin.name, keep, on_commit, on_rollback)

    async def _looked(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Look:
        import asyncio  # noqa: PLC0415 - 40 ms of start-up; here it is running already

        # Whoever has the lock may be on this very loop, so it is asked for and not waited for.
        while (look := self.keeping.look(args, kwargs, 0.0)) is None:  # noqa: ASYNC110 - a file's
            await asyncio.sleep(NAP)
        return look

    async def within(self, awaitable: Awaitable[Any], seconds: float | None) -> Any:
        """Await something for so many seconds.

        Raises:
            RunTimeout: it took longer.
        """
        import asyncio  # noqa: PLC0415 - 40 ms of start-up; here it is running already

        loop, limit, name = (
            asyncio.get_running_loop(),
            asyncio.timeout(seconds),
            self.keeper.origin.name,
        )
        began = loop.time()
        try:
            async with limit:
                value = await awaitable
        except TimeoutError as error:
            if limit.expired():
                raise RunTimeout(name, seconds or 0.0) from error
            raise
        # Code that holds up the loop holds up its timeout, too.
        if seconds is not None and (took := loop.time() - began) > seconds:
            told = f"It held up its event loop; it ended after {took:.1f} s."
            raise RunTimeout(name, seconds, told)
        return value


def waited(keeper: Keeper, clock: Clock, step: Step) -> Any:
    """Do a step of a run that waits for somebody."""
    match step:
        case Heed():
            return clock.time(), keeper.heed().state
        case Regain():
            return keeper.regain()
        case Suspend(message, data):
            return keeper.suspend(message, data)
        case _:
            raise AssertionError(step)


def finished(awaitable: Awaitable[Any]) -> Any:
    """Return the value of an awaitable, from sync code: of an async hook of a sync run.

    Where a loop runs in this thread already, the awaitable gets a thread and a loop of its own.
    """
    import asyncio  # noqa: PLC0415 - 40 ms of start-up that most runs do without
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - asyncio has it anyway

    async def wait() -> Any:
        return await awaitable

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(wait())
    with ThreadPoolExecutor(1, "flowstone-hook") as aside:
        return aside.submit(copy_context().run, asyncio.run, wait()).result()


def done(story: Story[T]) -> T:
    """Go through what awaits things on its way, from sync code; return what it comes to."""
    try:
        awaitable = next(story)
        while True:
            try:
                finished(awaitable)
            except BaseException as error:  # noqa: BLE001 - the story decides what it means
                awaitable = story.throw(error)
            else:
                awaitable = next(story)
    except StopIteration as stop:
        value: T = stop.value
        return value


async def adone(story: Story[T]) -> T:
    """Do as `done` does, on the loop that is running."""
    try:
        awaitable = next(story)
        while True:
            try:
                await awaitable
            except BaseException as error:  # noqa: BLE001 - the story decides what it means
                awaitable = story.throw(error)
            else:
                awaitable = next(story)
    except StopIteration as stop:
        value: T = stop.value
        return value
