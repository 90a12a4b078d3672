"""Futures: the return values of `.submit` and `.map`, and functions that wait for many of them."""

from __future__ import annotations

import threading
from contextvars import copy_context
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, cast

from flowstone.calls.unresolved import Unresolved
from flowstone.context.current import scope, services
from flowstone.context.lineage import record_producer
from flowstone.engine import progress
from flowstone.engine.arguments import (
    FutureBase,
    resolve_futures_to_results,
    resolve_futures_to_states,  # fmt: skip
)
from flowstone.engine.async_driver import AsyncRunDriver
from flowstone.engine.blocking_calls import call_blocking
from flowstone.engine.policy import is_cancellation
from flowstone.errors import CancelSignal, ConfigurationError, RunTimeout, StopSignal
from flowstone.ports.threads import call_back, call_on_loop, wait_for
from flowstone.records.record import evolve
from flowstone.records.states import CANCELLED, COMPLETED, CRASHED, State, StoredValue
from flowstone.task_runners.threads import (
    call_nested,
    enter_loop,
    get_loop,
    has_next_loop,
    is_worker,
    release_worker,
)

if TYPE_CHECKING:
    from asyncio import Task as LoopTask
    from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator
    from contextvars import Context

    from flowstone.context.current import Scope
    from flowstone.engine.driver import RunDriver
    from flowstone.engine.lifecycle import Lifecycle
    from flowstone.ports import RemoteCaller, Runner

__all__ = ["DoneAndNotDoneFutures", "Future", "FutureList", "as_completed",
           "resolve_futures_to_results", "resolve_futures_to_states", "wait"]  # fmt: skip

R = TypeVar("R")

_lock = threading.Lock()


class Future(Unresolved, Generic[R]):
    """A submitted task run.

    Attributes:
        name: the run's name.
        run_id: the run's id; also `task_run_id`.
        observed: whether its result or final state was requested. A failure that was not observed
            fails the flow at its end.
    """

    __slots__ = (
        "_callbacks",
        "_caller",
        "_driver",
        "_end",
        "_on_loop",
        "_scope",
        "_ticket",
        "_where",
        "name",
        "observed",
        "run_id",
    )

    def __init__(self, driver: RunDriver, life: Lifecycle, owner: Scope) -> None:
        FutureBase.made += 1
        origin = driver.recorder.origin
        self.name, self.run_id = origin.name, origin.id
        self.observed = False
        self._driver: RunDriver | None = driver
        self._end: State[R] | None = None
        self._callbacks: list[Callable[[Future[R]], Any]] | None = None
        self._where: int | LoopTask[Any] | None = None
        # The thread that takes the ticket executes the run: a worker, or one that waits for it.
        self._ticket = [(copy_context(), life)]
        self._on_loop = False
        self._caller: RemoteCaller | None = None
        self._scope = owner
        owner.pending_runs[origin.id] = self

    def __repr__(self) -> str:
        return f"<Future {self.name!r} {self._end.name if self._end else 'on its way'}>"

    @property
    def task_run_id(self) -> str:
        return self.run_id

    @property
    def state(self) -> State[R]:
        """The current state of the run; reading a final state counts as observing it."""
        if self._end is not None:
            self.observed = True
            if self._end.type is COMPLETED:
                record_producer(self._scope, self._end.data, self.run_id)
            return self._end
        driver = self._driver
        return driver.recorder.state if driver is not None else self.final_state()

    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> R:
        """Wait for the run, and return its value.

        Args:
            timeout: maximum number of seconds to wait; None for no limit.
            raise_on_failure: whether to raise the run's exception; False returns it instead.

        Raises:
            RunTimeout: the run did not end in time; it continues.
            Exception: the run's exception.
        """
        if self._end is None:
            self.wait(timeout)
            if self._end is None:
                note = "The run continues."
                raise RunTimeout(f"waiting for {self.name}", timeout or 0.0, note)
        self.observed = True
        return cast(
            "R", record_producer(self._scope, self._end.result(raise_on_failure), self.run_id)
        )

    async def aresult(self, raise_on_failure: bool = True) -> R:
        """Async version of `result`, without a timeout."""
        await self.await_end()
        if self._end is not None and isinstance(self._end.data, StoredValue):
            return await call_blocking(self.result, None, raise_on_failure)
        return self.result(raise_on_failure=raise_on_failure)

    def __await__(self) -> Generator[object, None, R]:
        return self.aresult().__await__()

    def wait(self, timeout: float | None = None) -> None:
        """Block until the run has ended, or the timeout has passed.

        Without a timeout, a run that has not started is executed by the waiting thread, so a full
        pool whose tasks wait for each other can't deadlock.

        Raises:
            ConfigurationError: it has started on the event loop that this would block.
        """
        if self._end is not None:
            return
        self.leave_loop()
        if timeout is None:
            self.run_inline()
        ended = services().threads.Event()  # set at once if it has ended
        self.add_done_callback(lambda _: ended.set())
        with release_worker():
            wait_for(ended, timeout)

    def leave_loop(self) -> None:
        """Let it start on another loop than this thread's, which is about to be blocked.

        Raises:
            ConfigurationError: it has started on this loop, or there is no other.
        """
        loop, where = get_loop(), self._where
        if loop is None or self._end is not None:
            return
        has_begun = where is not None and not isinstance(where, int) and where.get_loop() is loop
        if has_begun or not has_next_loop():
            problem = "it runs on the event loop that this would block"
            raise ConfigurationError(f"waiting for {self.name!r}", problem, "Await the future.")
        if self._on_loop and self._ticket:
            self._scope.open_runner().submit_async(self.arun)

    async def await_end(self) -> None:
        """Wait until the run has ended, without blocking the event loop."""
        import asyncio  # 40 ms to import; a loop is running, so it is imported already

        if self._end is not None:
            return
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        self.add_done_callback(lambda _: call_on_loop(loop, ended.set))
        with release_worker():
            await ended.wait()

    def run_inline(self) -> None:
        """Execute it here if it has not started and needs no loop; raise what stops this thread."""
        if not self._on_loop and (ticket := self._take_ticket()):
            call_nested(lambda: self._run_life(*ticket), services().threads)
            if self._end and isinstance(self._end.data, (StopSignal, KeyboardInterrupt)):
                raise self._end.data

    def done(self) -> bool:
        """Return whether the run has ended."""
        return self._end is not None

    def final_state(self) -> State:
        """Return the run's final state, without marking it as observed."""
        return self._end or State(CRASHED, "Crashed", "its flow run ended before it did")

    def add_done_callback(self, callback: Callable[[Future[R]], Any]) -> None:
        """Call a function with this future when it has ended; its errors are logged."""
        with _lock:
            if self._end is None:
                self._callbacks = [*(self._callbacks or ()), callback]
                return
        call_back(callback, self)

    def cancel(self) -> bool:
        """Cancel the run; return whether that succeeded.

        A run that has started in a thread can't be cancelled; on a loop or in a process, it can.
        """
        if self.withdraw():
            return True
        if (self._caller is None and not self._on_loop) or self._end is not None:
            return False
        self.stop(_Cancelled)
        return True

    def withdraw(self) -> bool:
        """Cancel the run if it has not started; return whether it will not run."""
        if not self._take_ticket():
            return False
        driver = self._driver
        assert driver is not None
        try:
            end = driver.recorder.record(CANCELLED, "Cancelled", "cancelled before it started")
            self._finish(end)
        except BaseException as error:
            self._finish(State(CANCELLED, "Cancelled", str(error), data=error))
            raise
        return True

    def stop(self, error: type[BaseException]) -> None:
        """Raise an error in the code that executes it, when Python code next runs there."""
        # ctypes takes 5 ms to import, which only an interrupted flow needs.
        from flowstone.engine.thread_errors import raise_in_thread

        where = self._where
        if self._end is not None or where is None:
            return
        if isinstance(where, int):
            raise_in_thread(where, error)
            if self._caller is not None:
                self._caller.interrupt(where)
        else:
            where.get_loop().call_soon_threadsafe(where.cancel)

    # ------------------------------------------------------------ execution

    def start(self, runner: Runner, *, on_loop: bool) -> None:
        """Hand the run to a runner."""
        self._caller = runner.caller
        self._on_loop = on_loop = on_loop and runner.caller is None
        if on_loop:
            runner.submit_async(self.arun)
        else:
            runner.submit(self.run)

    def run(self) -> None:
        """Execute the run in this thread, unless another thread does."""
        if ticket := self._take_ticket():
            self._run_life(*ticket)

    def _run_life(self, context: Context, life: Lifecycle) -> None:
        driver = self._driver
        assert driver is not None
        self._where = threading.get_ident()
        try:
            state = context.run(_drive, driver, life)
        except BaseException as error:  # noqa: BLE001 - no caller on a worker thread could catch it
            state = driver.find_end(error)
        self._finish(state)

    async def arun(self) -> None:
        """Execute the run on the loop, unless it was withdrawn."""
        import asyncio  # 40 ms to import; a loop is running, so it is imported already

        ticket = self._take_ticket()
        if not ticket:
            return
        context, life = ticket
        enter_loop(context)
        driver = self._driver
        assert isinstance(driver, AsyncRunDriver)
        task = asyncio.get_running_loop().create_task(_adrive(driver, life), context=context)
        self._where = task
        try:
            state = await task
        except BaseException as error:  # noqa: BLE001 - no caller on the loop could catch it
            state = driver.find_end(error)
        self._finish(state)

    def _take_ticket(self) -> Any:
        try:
            return self._ticket.pop()
        except IndexError:
            return None

    def _finish(self, state: State) -> None:
        is_complete = state.type is COMPLETED
        if not is_complete and (isinstance(state.data, _Cancelled) or is_cancellation(state.data)):
            state = evolve(state, data=None)  # requesting the result must not cancel the caller
        with _lock:
            self._end, self._driver, self._where = state, None, None
            callbacks, self._callbacks = self._callbacks, None
        if is_complete:
            # Only runs that may matter at the flow's end are remembered until then.
            self._scope.pending_runs.pop(self.run_id, None)
        for callback in callbacks or ():
            call_back(callback, self)


class _Cancelled(CancelSignal):
    def __init__(self) -> None:
        super().__init__("cancelled while it ran")


def _drive(driver: RunDriver, life: Lifecycle) -> State:
    scope.set(driver.scope)
    return driver.drive(life)


async def _adrive(driver: AsyncRunDriver, life: Lifecycle) -> State:
    scope.set(driver.scope)
    return await driver.adrive(life)


class FutureList(list[Future[R]]):
    """The futures of a `.map`, in the order of its arguments."""

    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> list[R]:
        """Wait for all runs, and return their values in order.

        Args:
            timeout: maximum number of seconds to wait for all of them; None for no limit.
            raise_on_failure: whether to raise exceptions; False returns them in place of values.

        Raises:
            RunTimeout: not all of them ended in time.
            Exception: the exception of the first one, in order, that failed.
        """
        self.wait(timeout)
        late = sum(not future.done() for future in self)
        if late:
            raise _make_timeout(late, len(self), timeout)
        return [future.result(raise_on_failure=raise_on_failure) for future in self]

    def wait(self, timeout: float | None = None) -> None:
        """Block until all have ended, or the timeout has passed."""
        _wait(self, timeout)


class DoneAndNotDoneFutures(NamedTuple, Generic[R]):
    """What `wait` returns: the futures whose runs have ended, and the others."""

    done: set[Future[R]]
    not_done: set[Future[R]]


def wait(futures: Iterable[Future[R]], timeout: float | None = None) -> DoneAndNotDoneFutures[R]:
    """Block until all have ended, or the timeout has passed.

    Args:
        futures: futures of submitted tasks.
        timeout: maximum number of seconds to wait for all of them; None for no limit.
    """
    asked = list(futures)
    _wait(asked, timeout)
    done = {future for future in asked if future.done()}
    return DoneAndNotDoneFutures(done, set(asked) - done)


class as_completed(Generic[R]):  # noqa: N801 - the name that users know
    """Yield each future when its run has ended, the earliest first; for `for` or `async for`.

    In a `for` loop of a task that itself runs on a pool's thread, runs that have not started are
    executed by this thread while no other has ended, so a full pool can't deadlock.

    Args:
        futures: futures of submitted tasks; a duplicate is yielded once.
        timeout: maximum number of seconds for all of them, from the start of the loop.

    Raises:
        RunTimeout: the timeout has passed; the message has the number of unfinished runs.
    """

    def __init__(self, futures: Iterable[Future[R]], timeout: float | None = None) -> None:
        self._futures = list(dict.fromkeys(futures))
        self._timeout = timeout

    def __iter__(self) -> Iterator[Future[R]]:
        ended: SimpleQueue[Future[R]] = SimpleQueue()
        end = None if self._timeout is None else monotonic() + self._timeout
        waiting = iter(self._futures if end is None and is_worker() else ())
        for unfinished in self._futures if get_loop() else ():
            unfinished.leave_loop()
        for future in self._futures:
            future.add_done_callback(ended.put)
        for given in range(len(self._futures)):
            while ended.empty() and (unstarted := next(waiting, None)):
                unstarted.run_inline()
            try:
                with release_worker():
                    future = ended.get(timeout=None if end is None else max(0.0, end - monotonic()))
            except Empty:
                raise self._make_timeout(given) from None
            yield future

    async def __aiter__(self) -> AsyncIterator[Future[R]]:
        import asyncio  # 40 ms to import; a loop is running, so it is imported already

        ended: asyncio.Queue[Future[R]] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        end = None if self._timeout is None else loop.time() + self._timeout
        for future in self._futures:
            future.add_done_callback(lambda end: call_on_loop(loop, ended.put_nowait, end))
        for given in range(len(self._futures)):
            try:
                with release_worker():
                    async with asyncio.timeout_at(end):
                        future = await ended.get()
            except TimeoutError:
                raise self._make_timeout(given) from None
            yield future

    def _make_timeout(self, given: int) -> RunTimeout:
        return _make_timeout(len(self._futures) - given, len(self._futures), self._timeout)


def _wait(futures: list[Future[Any]], timeout: float | None) -> None:
    end = None if timeout is None else monotonic() + timeout
    with progress.show(futures):
        for future in futures:
            future.wait(None if end is None else max(0.0, end - monotonic()))


def _make_timeout(missing: int, asked: int, timeout: float | None) -> RunTimeout:
    return RunTimeout(
        f"waiting for {missing} of {asked} futures", timeout or 0.0, "The runs continue."
    )
