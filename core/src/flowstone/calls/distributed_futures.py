"""Futures of background tasks: their runs are executed by other processes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from flowstone.calls.kept_calls import find_calls
from flowstone.calls.unresolved import Unresolved
from flowstone.context.current import services
from flowstone.engine.arguments import FutureBase
from flowstone.engine.blocking_calls import call_blocking, is_on_loop
from flowstone.errors import ConfigurationError, RunTimeout
from flowstone.ports.threads import call_back
from flowstone.records.limits import CLAIM
from flowstone.records.record import evolve
from flowstone.records.states import (
    CANCELLED,
    COMPLETED,
    CRASHED,
    FAILED,
    State,
    StoredValue,
)
from flowstone.task_runners.threads import release_worker

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from concurrent.futures import Future as Sending

    from flowstone.records.runs import Run

R = TypeVar("R")

#: Seconds between two looks at the store: at first, and at the most.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.5


class DistributedFuture(Unresolved, Generic[R]):
    """A task run that a process which serves the task executes; any process may ask for its result.

    Args:
        task_run_id: the run's id.
        name: what it is called in messages; None for a part of its id.
        sending: what keeps the call in the store, where that is still going on.

    Attributes:
        name: the run's name, or what it is called in messages.
        observed: whether somebody asked how it ended.
    """

    def __init__(
        self, task_run_id: str, name: str | None = None, sending: Sending[Run] | None = None
    ) -> None:
        FutureBase.made += 1
        self._run_id, self._sending = task_run_id, sending
        self._end: State[R] | None = None
        self.name = name or f"run {task_run_id[-12:]}"
        self.observed = False

    def __repr__(self) -> str:
        return f"<DistributedFuture {self.name!r} {self._end.name if self._end else 'on its way'}>"

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.run_id, self.name)

    @property
    def run_id(self) -> str:
        """The run's id; also `task_run_id`."""
        if self._sending is not None:
            run = self._sending.result()
            self._run_id, self.name, self._sending = run.id, run.name, None
        return self._run_id

    @property
    def task_run_id(self) -> str:
        return self.run_id

    @property
    def state(self) -> State[R]:
        """The run's state now, as the store has it."""
        self._look()
        self.observed = self.observed or self._end is not None
        return self.final_state()

    def done(self) -> bool:
        """Tell whether it has ended, and will not be executed again."""
        return self._end is not None or self._look()

    def final_state(self) -> State[R]:
        """Return how it ended, without counting as somebody asking for it."""
        return self._read().state if self._end is None else self._end

    # ------------------------------------------------------------ waiting

    def wait(self, timeout: float | None = None) -> None:
        """Block until it has ended, or the time is over.

        Args:
            timeout: seconds to wait at the most; None waits as long as it takes, also where no
                process serves the task.

        Raises:
            ConfigurationError: this would block an event loop.
            RunNotFound: there is no such run.
        """
        if self._end is not None:
            return
        if is_on_loop():
            problem = "it would block the event loop"
            remedy = "Use `await future.wait_async()`, or await the future."
            raise ConfigurationError("waiting for a background task", problem, remedy)
        clock = services().clock
        until = None if timeout is None else clock.monotonic() + timeout
        pause = _FIRST_PAUSE
        with release_worker():
            while not self._look():
                left = pause if until is None else until - clock.monotonic()
                if left <= 0:
                    return
                clock.sleep(min(pause, left))
                pause = min(pause * 1.5, _LONGEST_PAUSE)

    def wait_async(self, timeout: float | None = None) -> Coroutine[object, object, None]:
        """Let other coroutines run until it has ended, or the time is over."""
        return self._await_end(timeout)

    async def _await_end(self, seconds: float | None) -> None:
        import asyncio  # 40 ms of start-up; here it is running already

        loop = asyncio.get_running_loop()
        until = None if seconds is None else loop.time() + seconds
        pause = _FIRST_PAUSE
        while self._end is None and not await call_blocking(self._look):
            left = pause if until is None else until - loop.time()
            if left <= 0:
                return
            await asyncio.sleep(min(pause, left))
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    async def await_end(self) -> None:
        """Let other coroutines run until it has ended."""
        await self.wait_async()

    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> R:
        """Wait for the run, and return its value.

        Args:
            timeout: seconds to wait at the most; None waits as long as it takes.
            raise_on_failure: with False, the exception is returned instead of raised.

        Raises:
            RunTimeout: it has not ended in time; it goes on.
            MissingResult: the value is not kept any more.
            Exception: whatever the run failed with; where that could not be kept, `FailedRun`.
        """
        self.wait(timeout)
        return self._take(timeout, raise_on_failure)

    def result_async(
        self, timeout: float | None = None, raise_on_failure: bool = True
    ) -> Coroutine[object, object, R]:
        """Wait for the run without blocking the event loop, and return its value."""
        return self._await_result(timeout, raise_on_failure)

    async def aresult(self, raise_on_failure: bool = True) -> R:
        """Do as `result_async` does, as other futures call it."""
        return await self._await_result(None, raise_on_failure)

    async def _await_result(self, seconds: float | None, raise_on_failure: bool) -> R:
        await self._await_end(seconds)
        return await call_blocking(self._take, seconds, raise_on_failure)

    def __await__(self) -> Generator[object, None, R]:
        return self.result_async().__await__()

    def add_done_callback(self, callback: Callable[[DistributedFuture[R]], object]) -> None:
        """Call a function with this future when it ends, or has; an error of it is logged.

        It is called in a thread of its own, which asks the store.
        """

        def watch() -> None:
            self.wait()
            call_back(callback, self)

        threading.Thread(target=watch, name="flowstone-watch", daemon=True).start()

    # ------------------------------------------------------------ as the engine sees it

    def withdraw(self) -> bool:
        """Say that it goes on, whatever becomes of the code that has sent it."""
        return False

    def stop(self, error: type[BaseException]) -> None:
        """Leave it alone: it runs in another process."""

    def leave_loop(self) -> None:
        """Nothing: it runs on no loop of this process."""

    def run_inline(self) -> None:
        """Nothing: another process runs it."""

    # ------------------------------------------------------------ the store

    def _take(self, timeout: float | None, raise_on_failure: bool) -> R:
        if self._end is None:
            raise RunTimeout(f"waiting for {self.name}", timeout or 0.0, "The run itself goes on.")
        self.observed = True
        return cast("R", self._end.result(raise_on_failure))

    def _read(self) -> Run:
        return services().runs.run(self.run_id)

    def _look(self) -> bool:
        """Ask the store how it is; tell whether it has ended."""
        run = self._read()
        if not run.state.is_final():
            services().runs.reap()
            return False
        if is_done(run):
            self._end = _read_end(run)
        return self._end is not None


def is_done(run: Run) -> bool:
    """Tell whether a background run that has ended is not about to be executed again."""
    kind = run.state.type
    if kind is CRASHED:
        return not find_calls([run.id])
    # What it failed with is kept just after its end.
    return kind is not FAILED or not services().slots.list_slots([f"{CLAIM}{run.id}"])


def _read_end(run: Run) -> State:
    # Blocks and pydantic: 60 ms, which a process that only sends calls saves.
    from flowstone.results.answers import find_error, read_answer

    data: object = None
    if run.state.type is COMPLETED:
        data = StoredValue(lambda: read_answer(run.id, run.name))
    elif run.state.type is not CANCELLED:
        data = find_error(run.id, run.name)
    return evolve(run.state, data=data)
