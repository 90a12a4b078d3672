"""The futures of a `.map` with a window: submitted as slots free up, released when yielded."""

from __future__ import annotations

from collections import deque
from contextvars import copy_context
from threading import RLock
from time import monotonic
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from weakref import ref

from flowstone.calls.unresolved import Unresolved
from flowstone.context.current import services
from flowstone.engine.arguments import FutureBase
from flowstone.engine.blocking_calls import call_blocking
from flowstone.engine.policy import judge_unobserved
from flowstone.errors import RunTimeout
from flowstone.records.ids import new_id
from flowstone.records.states import COMPLETED, State, StoredValue
from flowstone.task_runners.threads import get_loop, is_worker, release_worker

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from flowstone.calls.futures import Future
    from flowstone.context.current import Scope
    from flowstone.ports.threads import Signal

R = TypeVar("R")

#: Maximum number of unobserved failures that are kept for the flow's end; others are counted.
TOLD = 5


class FutureStream(Unresolved, Generic[R]):
    """The futures of a `.map` with `max_in_flight` or `batch_size`.

    Iterating yields each future when its run has ended, in the order of the arguments, and keeps no
    reference to it. The window limits the number of runs that are submitted and not yet yielded.
    Elements that are not iterated over are run at the end of the flow.

    With `batch_size`, there is one future for each batch, whose value is a list.
    """

    run_id = ""  # it represents many runs, and is none itself

    def __init__(self, supply: MapWindow, *, flat: bool) -> None:
        FutureBase.made += 1
        self._supply, self._flat = supply, flat
        self.name, self.observed = supply.name, False
        supply.facade = ref(self)

    def __repr__(self) -> str:
        return f"<FutureStream {self.name!r}>"

    def __iter__(self) -> Iterator[Future[R]]:
        return self

    def __next__(self) -> Future[R]:
        future = self._supply.peek()
        if future is None:
            raise StopIteration
        future.wait()
        return self._supply.hand_out()

    def __aiter__(self) -> FutureStream[R]:
        return self

    async def __anext__(self) -> Future[R]:
        future = self._supply.peek()
        if future is None:
            raise StopAsyncIteration
        await future.await_end()
        return self._supply.hand_out()

    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> list[R]:
        """Run all remaining elements, and return the values in order, with batches flattened.

        Args:
            timeout: maximum number of seconds to wait for all of them; None for no limit.
            raise_on_failure: whether to raise exceptions; False returns them in place of values.

        Raises:
            RunTimeout: not all of them ended in time.
            Exception: the exception of the first one, in order, that failed.
        """
        self.wait(timeout)
        if not self.done():
            note = "Submitted tasks continue."
            raise RunTimeout(f"waiting for {self.name}", timeout or 0.0, note)
        return self._values(raise_on_failure)

    def _values(self, raise_on_failure: bool) -> list[R]:
        self.observed = True
        values: list[Any] = []
        for future in self._supply.held:
            value: Any = future.result(raise_on_failure=raise_on_failure)
            if self._flat and future.final_state().type is COMPLETED:
                values += value
            else:
                values.append(value)
        return values

    def wait(self, timeout: float | None = None) -> None:
        """Run all remaining elements, and block until they have ended or the timeout has passed."""
        self._supply.drain(timeout, keep=True)

    async def await_end(self) -> None:
        """Run all remaining elements without blocking the event loop."""
        await self._supply.adrain(keep=True)

    async def aresult(self, raise_on_failure: bool = True) -> list[R]:
        """Async version of `result`, without a timeout."""
        await self.await_end()
        if any(isinstance(future.final_state().data, StoredValue) for future in self._supply.held):
            return await call_blocking(self._values, raise_on_failure)
        return self._values(raise_on_failure)

    def __await__(self) -> Generator[object, None, list[R]]:
        return self.aresult().__await__()

    def done(self) -> bool:
        """Return whether all elements were submitted and have ended."""
        return self._supply.done()

    def cancel(self) -> bool:
        """Stop submitting, and cancel runs that have not started; return whether none is left."""
        for future in self._supply.held:
            if future.cancel():
                future.observed = True  # it did not complete, as requested
        return self._supply.withdraw()

    def final_state(self) -> State:
        """Return a state with the values, or the first final state that is not COMPLETED."""
        for future in self._supply.held:
            if future.final_state().type is not COMPLETED:
                future.observed = True
                return future.final_state()
        return State(COMPLETED, "Completed", None, data=self._values(raise_on_failure=True))


class MapWindow:
    """The calls of a stream that are not yet submitted, and the futures not yet yielded.

    Implements the `PendingRun` port, so that a flow does not end before all calls are submitted.
    """

    def __init__(
        self,
        name: str,
        calls: Iterator[tuple[tuple[Any, ...], dict[str, Any]]],
        submit: Callable[[tuple[Any, ...], dict[str, Any]], Future[Any]],
        owner: Scope,
        window: int | None,
    ) -> None:
        self.name, self.run_id, self.observed = name, new_id(), False
        self.held: deque[Future[Any]] = deque()
        self._unkept: dict[Future[Any], None] = {}  # unfinished, and never requested
        self.facade: Callable[[], object] = object
        self._calls, self._submit = calls, submit
        self._owner, self._window = owner, window
        self._context = copy_context()  # all of them are submitted in the context of `.map`
        self._lock = RLock()
        self._given: Future[Any] | None = None
        self._bad: list[Future[Any]] = []
        self._bad_count = 0
        self._exhausted = False
        owner.pending_runs[self.run_id] = self
        self._fill()

    # ------------------------------------------------------------ one after the other

    def peek(self) -> Future[object] | None:
        """Return the next future in order, and fill the window; None at the end."""
        if self._given is not None and self._given.observed:
            self._owner.pending_runs.pop(self._given.run_id, None)  # it is no longer reported
        self._given = None
        self._fill()
        if self.held:
            return self.held[0]
        self._forget()
        return None

    def hand_out(self) -> Future[Any]:
        """Return the head, which has ended, and release it."""
        self._given = self.held.popleft()
        return self._given

    def _fill(self) -> None:
        while self._has_room(len(self.held)) and (future := self._draw()):
            self.held.append(future)

    def _has_room(self, used: int) -> bool:
        return self._window is None or used < self._window

    def _draw(self) -> Future[object] | None:
        with self._lock:
            if self._exhausted:
                return None
            try:
                args, kwargs = next(self._calls)
            except BaseException as error:
                self._exhausted = True
                if isinstance(error, StopIteration):
                    return None
                raise
            return self._context.run(self._submit, args, kwargs)

    # ------------------------------------------------------------ all at once

    def drain(self, timeout: float | None, *, keep: bool) -> None:
        """Submit and run the rest; without `keep`, only failures are remembered."""
        end = None if timeout is None else monotonic() + timeout
        ended: CompletionQueue[Any] = CompletionQueue(services().threads.Event())
        draining = self._iterate_pending(keep, ended.put)
        for live in draining:
            while True:
                for unfinished in live if get_loop() else ():
                    unfinished.leave_loop()
                if end is None and is_worker():
                    _run_unstarted(live, ended)
                with release_worker():
                    future = ended.get(None if end is None else max(0.0, end - monotonic()))
                if future is None:
                    return
                live.pop(future)
                if not keep:
                    self._count(future)
                if ended.is_empty():
                    break

    async def adrain(self, *, keep: bool) -> None:
        """Async version of `drain`, without a timeout."""
        import asyncio  # 40 ms to import; a loop is running, so it is imported already

        loop = asyncio.get_running_loop()
        ended: asyncio.Queue[Future[Any]] = asyncio.Queue()
        put = ended.put_nowait
        for live in self._iterate_pending(
            keep, lambda future: loop.call_soon_threadsafe(put, future)
        ):
            with release_worker():
                future = await ended.get()
            live.pop(future)
            if not keep:
                self._count(future)

    def _iterate_pending(
        self, keep: bool, put: Callable[[Future[object]], object]
    ) -> Generator[dict[Future[object], None], None, None]:
        """Yield the unfinished futures until there are none; the caller removes ended ones."""
        live = dict.fromkeys(self.held)
        if not keep:
            # If an interrupt or the timeout ends this, the next call continues from here.
            self._unkept.update(live)
            live = self._unkept
            self.held.clear()
        for future in live:
            future.add_done_callback(put)
        while True:
            while self._has_room(len(live)) and (drawn := self._draw()):
                live[drawn] = None
                if keep:
                    self.held.append(drawn)
                drawn.add_done_callback(put)
            if not live:
                self._forget()
                return
            yield live

    def _count(self, future: Future[object]) -> None:
        """Remember a failure that can no longer be requested; keep only a few of them whole."""
        if future.final_state().type is COMPLETED or future.observed:
            return
        self._bad_count += 1
        self._owner.pending_runs.pop(future.run_id, None)
        if len(self._bad) < TOLD:
            self._bad.append(future)

    def _forget(self) -> None:
        if not self._bad_count:
            self._owner.pending_runs.pop(self.run_id, None)

    # ------------------------------------------------------------ the `PendingRun` port

    def done(self) -> bool:
        return self._exhausted and all(future.done() for future in (*self.held, *self._unkept))

    def withdraw(self) -> bool:
        self._exhausted = True
        return self.done()

    def stop(self, error: type[BaseException]) -> None:
        """Do nothing: the submitted runs are stopped individually."""

    def wait(self, timeout: float | None = None) -> None:
        self.drain(timeout, keep=self.facade() is not None)

    async def await_end(self) -> None:
        await self.adrain(keep=self.facade() is not None)

    def final_state(self) -> State:
        end = judge_unobserved(self._bad)
        if end is None:
            return State(COMPLETED, "Completed")
        return State(end.type, end.name, f"{self._bad_count} in all: {end.message}", data=end.data)


class CompletionQueue(Generic[R]):
    """Futures in the order in which they ended; one thread takes them out."""

    def __init__(self, bell: Signal) -> None:
        self._ended: deque[Future[R]] = deque()
        self._bell = bell

    def put(self, future: Future[R]) -> None:
        self._ended.append(future)
        self._bell.set()

    def is_empty(self) -> bool:
        return not self._ended

    def get(self, timeout: float | None) -> Future[R] | None:
        """Wait for the next one; return None after the timeout."""
        while not self._ended:
            self._bell.clear()
            if not self._ended and not self._bell.wait(timeout):
                return None
        return self._ended.popleft()


def _run_unstarted(live: dict[Future[object], None], ended: CompletionQueue[object]) -> None:
    for future in list(live):
        if not ended.is_empty():
            return
        future.run_inline()
