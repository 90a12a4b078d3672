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

#: Seconds between two polls of the store: initially, and at most.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.5


class DistributedFuture(Unresolved, Generic[R]):
    """A background task run, executed by a process that serves the task.

    Args:
        task_run_id: the run's id.
        name: its name in messages; None for a part of its id.
        sending: stores the call, if that is still in progress.

    Attributes:
        name: the run's name, or its name in messages.
        observed: whether its result was requested.
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
        """The current state of the run in the store."""
        self._look()
        self.observed = self.observed or self._end is not None
        return self.final_state()

    def done(self) -> bool:
        """Return whether it has ended, and will not be executed again."""
        return self._end is not None or self._look()

    def final_state(self) -> State[R]:
        """Return its final state, without marking it as observed."""
        return self._read().state if self._end is None else self._end

    # ------------------------------------------------------------ waiting

    def wait(self, timeout: float | None = None) -> None:
        """Block until it has ended, or the timeout has passed.

        Args:
            timeout: maximum number of seconds to wait; None for no limit, even if no process
                serves the task.

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
        """Async version of `wait`."""
        return self._await_end(timeout)

    async def _await_end(self, seconds: float | None) -> None:
        import asyncio  # 40 ms to import; a loop is running, so it is imported already

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
        """Wait until it has ended, without blocking the event loop."""
        await self.wait_async()

    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> R:
        """Wait for the run, and return its value.

        Args:
            timeout: maximum number of seconds to wait; None for no limit.
            raise_on_failure: whether to raise the run's exception; False returns it instead.

        Raises:
            RunTimeout: the run did not end in time; it continues.
            MissingResult: the value is no longer stored.
            Exception: the run's exception; `FailedRun` if that could not be stored.
        """
        self.wait(timeout)
        return self._take(timeout, raise_on_failure)

    def result_async(
        self, timeout: float | None = None, raise_on_failure: bool = True
    ) -> Coroutine[object, object, R]:
        """Async version of `result`."""
        return self._await_result(timeout, raise_on_failure)

    async def aresult(self, raise_on_failure: bool = True) -> R:
        """Same as `result_async`, under the name that other futures have."""
        return await self._await_result(None, raise_on_failure)

    async def _await_result(self, seconds: float | None, raise_on_failure: bool) -> R:
        await self._await_end(seconds)
        return await call_blocking(self._take, seconds, raise_on_failure)

    def __await__(self) -> Generator[object, None, R]:
        return self.result_async().__await__()

    def add_done_callback(self, callback: Callable[[DistributedFuture[R]], object]) -> None:
        """Call a function with this future when it has ended; its errors are logged.

        It is called in a separate thread, which polls the store.
        """

        def watch() -> None:
            self.wait()
            call_back(callback, self)

        threading.Thread(target=watch, name="flowstone-watch", daemon=True).start()

    # ------------------------------------------------------------ for the engine

    def withdraw(self) -> bool:
        """Return False: it continues, independently of the code that sent it."""
        return False

    def stop(self, error: type[BaseException]) -> None:
        """Do nothing: it runs in another process."""

    def leave_loop(self) -> None:
        """Do nothing: it runs on no loop of this process."""

    def run_inline(self) -> None:
        """Do nothing: another process runs it."""

    # ------------------------------------------------------------ the store

    def _take(self, timeout: float | None, raise_on_failure: bool) -> R:
        if self._end is None:
            raise RunTimeout(f"waiting for {self.name}", timeout or 0.0, "The run continues.")
        self.observed = True
        return cast("R", self._end.result(raise_on_failure))

    def _read(self) -> Run:
        return services().runs.run(self.run_id)

    def _look(self) -> bool:
        """Read its state from the store; return whether it has ended."""
        run = self._read()
        if not run.state.is_final():
            services().runs.reap()
            return False
        if is_done(run):
            self._end = _read_end(run)
        return self._end is not None


def is_done(run: Run) -> bool:
    """Return whether a background run that has ended will not be executed again."""
    kind = run.state.type
    if kind is CRASHED:
        return not find_calls([run.id])
    # Its exception is stored just after its end.
    return kind is not FAILED or not services().slots.list_slots([f"{CLAIM}{run.id}"])


def _read_end(run: Run) -> State:
    # Imports blocks and pydantic, 60 ms, which a process that only sends calls doesn't need.
    from flowstone.results.answers import find_error, read_answer

    data: object = None
    if run.state.type is COMPLETED:
        data = StoredValue(lambda: read_answer(run.id, run.name))
    elif run.state.type is not CANCELLED:
        data = find_error(run.id, run.name)
    return evolve(run.state, data=data)
