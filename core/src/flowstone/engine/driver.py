"""The driver: takes steps from a lifecycle, performs them, and sends it the answers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, overload

from flowstone.engine import progress
from flowstone.engine.children import finish_children
from flowstone.engine.functions import is_awaitable
from flowstone.engine.lifecycle import Continuation
from flowstone.engine.policy import describe_error
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
from flowstone.engine.story import run_awaitable, run_story
from flowstone.errors import StopSignal
from flowstone.records.states import CRASHED, PENDING, State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from logging import Logger, LoggerAdapter

    from flowstone.context.current import Scope
    from flowstone.engine.lifecycle import Lifecycle
    from flowstone.engine.recorder import RunRecorder, Takeover
    from flowstone.engine.story import Story
    from flowstone.ports import CacheLookup, Clock, PendingRun, ResultCache
    from flowstone.records.runs import Run
    from flowstone.records.states import StateType


class RunDriver:
    """Drives a run in a thread, with its recorder, its scope, and the clock.

    A child process that the function forked returns from the call here, too. It continues the
    lifecycle with its own value or error, and leaves all visible effects to the parent.
    """

    __slots__ = ("_placed", "cache", "clock", "logger", "recorder", "scope")

    cache: ResultCache  # set if the run's plan has one

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
        """Register the function that stops the run on request."""
        self.recorder.on_request(stop)

    def take_up(self, takeover: Takeover) -> None:
        """Continue an existing run; see `RunRecorder.take_up`."""
        self.recorder.take_up(takeover)
        self._place()

    def record(
        self, kind: StateType, name: str, message: str | None = None, data: Any = None
    ) -> State:
        """Put the run into a state, and return that state."""
        state = self.recorder.record(kind, name, message, data)
        if not self._placed:
            self._place()
        return state

    def _place(self) -> None:
        self._placed = True
        self.scope.run = self.recorder.run

    def find_end(self, error: BaseException) -> State:
        """Return the final state of a run that raised an error, perhaps after that was recorded."""
        end = self.recorder.state
        return end if end.is_final() else State(CRASHED, message=describe_error(error), data=error)

    def let_go(self) -> None:
        """Abandon the run, as its end could not be recorded."""
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
        """Drive a sync run to its end, or to the step that yields its values.

        Args:
            life: the lifecycle of the run.
            answer: the answer of the step that yielded its values.
            error: the error of that step instead.
        """
        step: Any = None
        end: State | Continuation | None = None
        try:
            step = life.send(answer) if error is None else life.throw(error)
            while True:
                try:
                    kind = type(step)
                    if kind is Record:
                        answer = self.record(step.type, step.name, step.message, step.data)
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
            end = stop.value
        except BaseException:
            self.let_go()
            raise
        assert end is not None
        return self.drive(*end) if isinstance(end, Continuation) else end

    # ------------------------------------------------------------ steps

    def _record(self, step: Record) -> State:
        return self.record(step.type, step.name, step.message, step.data)

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

    def _find_request(self, _: FindRequest) -> str | None:
        return self.recorder.find_request()

    def _resume(self, _: Resume) -> bool:
        return self.recorder.resume()

    def _suspend(self, step: Suspend) -> State:
        return self.recorder.suspend(step.message, step.data)

    def _read_values(self, step: ReadValues) -> object:
        return step.fn()

    def _log(self, step: Log) -> None:
        if self.recorder.is_copy:
            return
        if not self._placed:  # a log line needs an existing run
            self._record(FIRST)
        self.logger(self.recorder.run).log(step.level, step.message, exc_info=step.error)

    def _call(self, step: CallFunction) -> object:
        # Imports ctypes and signal, which only runs with a timeout need.
        from flowstone.engine.timeouts import call_within

        seconds, name = step.timeout or 0.0, self.recorder.origin.name
        return call_within(step.fn, step.args, step.kwargs, seconds, name)

    def _call_hook(self, step: CallHook) -> object:
        if self.recorder.is_copy:
            return None
        value = step.fn(step.unit, self.recorder.run, step.state)
        return run_awaitable(value) if is_awaitable(value) else value

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

    #: The method that performs a step, by the step's type.
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
        FindRequest: _find_request,
        Resume: _resume,
        Suspend: _suspend,
        Log: _log,
    }

    def _stage_run(self, step: StageInTransaction) -> Story[None]:
        look = step.look
        save = None if look is None else partial(self.cache.keep, look, step.value)
        name = self.recorder.origin.name
        return step.around.stage_run(name, save, step.on_commit, step.on_rollback)


#: The first state of a run that logs something before any other step.
FIRST = Record(PENDING, "Pending")
