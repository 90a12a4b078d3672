"""Runs of generator functions, driven step by step while a loop requests values.

Between two values, the consumer's code runs, outside of the run: the lifecycle and the function
have their own context, which is entered for each step.
"""

from __future__ import annotations

import atexit
import os
import threading
from contextlib import ExitStack, contextmanager, suppress
from contextvars import copy_context
from time import monotonic
from typing import TYPE_CHECKING, Any

from flowstone.context.current import scope
from flowstone.context.lineage import record_producer
from flowstone.engine.blocking_calls import call_blocking
from flowstone.engine.signals import Stop, sigterm_as_signal, translate_close
from flowstone.engine.story import make_calls
from flowstone.errors import ClosedEarly, RunTimeout, StopSignal, StoreError
from flowstone.records.redaction import register_secrets
from flowstone.records.states import CRASHED, TERMINAL, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from flowstone.context.current import Scope
    from flowstone.engine.driver import RunDriver
    from flowstone.engine.lifecycle import Lifecycle
    from flowstone.engine.steps import Iterate, YieldProgress
    from flowstone.engine.story import CallStory

#: The parts of a run that is iterated over: its driver, lifecycle and progress, its owner unless
#: it is a root, and the contexts that are entered around it, in its own context.
GeneratorParts = tuple[
    "RunDriver", "Lifecycle", "YieldProgress", "Scope | None", "AbstractContextManager[Any]"
]

_MAIN = threading.main_thread().ident
CONSUMER, FLOW, PROCESS = "its consumer", "the end of its flow", "the end of the process"


class GeneratorRun:
    """The base of both kinds; implements the `PendingRun` port for the enclosing flow.

    Attributes:
        end: the final state of the run; None until it has ended.
        progress: counts the values.
    """

    def __init__(self, parts: GeneratorParts) -> None:
        driver, life, progress, owner, around = parts
        self.name, self.run_id = driver.recorder.origin.name, driver.recorder.origin.id
        self.progress, self.observed = progress, True  # the loop gets the error
        self.end: State | None = None
        self._driver, self._life, self._owner, self._around = driver, life, owner, around
        self._context = copy_context()
        self._guard = ExitStack()
        self._asked: Iterate | None = None
        self._body: Any = None
        self._left: float | None = None
        self._why: BaseException | None = None
        self._is_last = False
        self._closer = CONSUMER
        self._context.run(self._begin)

    def _begin(self) -> None:
        scope.set(self._driver.scope)
        self._around.__enter__()
        if self._owner is not None:
            self._owner.pending_runs[self.run_id] = self
            return
        if not _open:  # registered last, so that it is called before the store is closed
            atexit.unregister(end_all)
            atexit.register(end_all)
        _open[self.run_id] = self

    def record_value(self, value: object) -> None:
        """Report to the enclosing flow that the run produced a value."""
        if self._owner is not None:
            record_producer(self._owner, value, self.run_id)

    def _finish(self, end: State) -> None:
        self.end, self._body = end, None
        self._around.__exit__(None, None, None)
        _open.pop(self.run_id, None)
        if self._owner is not None:
            self._owner.pending_runs.pop(self.run_id, None)

    def _break(self, error: BaseException) -> None:
        """Handle an error of the engine itself: an event was not stored, or a signal came late."""
        end = self._driver.recorder.state
        if end.type not in TERMINAL:
            end = State(CRASHED, "Crashed", f"{type(error).__name__}: {error}", data=error)
        self._finish(end)

    def _close_guard(self) -> None:
        """Restore the signal handlers; after SIGTERM, end the process."""
        end = self.end
        assert end is not None
        with suppress(StopSignal), self._guard:
            if isinstance(end.data, StopSignal):
                raise end.data

    def _keep_notes(self) -> None:
        """Write the log lines of final hooks if the process is about to exit."""
        with suppress(StoreError):
            self._driver.recorder.flush()

    def _is_stopped(self) -> bool:
        return self.end is not None and isinstance(self.end.data, StopSignal)

    def _take(self, step: Iterate) -> None:
        self._asked, self._body, self._left = step, None, step.timeout

    def _open_body(self) -> Any:
        """Return the function's generator, which is created for the first value."""
        if self._body is None:
            asked = self._asked
            assert asked is not None
            self._body = asked.fn(*asked.args, **asked.kwargs)
        return self._body

    def _close_early(self) -> ClosedEarly:
        self.progress.closed = ClosedEarly(self.name, self.progress.count, self._closer)
        return self.progress.closed

    def _make_timeout(self) -> RunTimeout:
        asked = self._asked
        assert asked is not None
        return RunTimeout(self.name, asked.timeout or 0.0)

    # ------------------------------------------------------------ from one value to the next

    def _live(
        self, sent: object, error: BaseException | None, raised: BaseException | None = None
    ) -> CallStory[object]:
        """Continue to the next value, and return it; at the run's end, set `end`, return None.

        Args:
            sent: the value to send to the function.
            error: the error to raise in it.
            raised: the error that it has raised, if it has been resumed already.
        """
        value: Any = None
        while True:
            answer = None
            if self._asked is not None:
                if raised is None:
                    value, raised = yield from self._resume(sent, error)
                if raised is None:
                    self.progress.count += 1
                    register_secrets(value)
                    return value
                error, raised = raised, None
                if isinstance(error, Returned):
                    answer, error = error.value, None
                else:
                    yield from self._drop()
            step, broken = yield self._drive, (self._life, answer, error), {}
            if broken is not None:
                self._break(broken)
                raise broken
            if isinstance(step, State):
                self._finish(step)
                return None
            self._take(step)
            sent = error = None

    def _resume(
        self, sent: Any, error: BaseException | None
    ) -> CallStory[tuple[Any, BaseException | None]]:
        """Return the function's next value, or the error that it raised."""
        if error is None:
            return (yield self._send, (sent,), {})
        error = translate_close(error)
        if isinstance(error, GeneratorExit):
            _, raised = yield self._close, (self._body,), {}
            return None, raised or self._close_early()
        value, raised = yield self._throw, (error,), {}
        if raised is None and self._is_last:
            raised = error  # it yields once more, but no value will be requested
        return value, raised

    def _drop(self) -> CallStory[None]:
        """Close the function if it is suspended."""
        body, self._body = self._body, None
        _, raised = yield self._close, (body,), {}
        if raised is not None and not isinstance(raised, Exception):
            raise raised

    @contextmanager
    def _count_time(self) -> Iterator[None]:
        """Count the duration of a step towards the run's timeout."""
        assert self._left is not None
        began = monotonic()
        try:
            yield
        except RunTimeout as error:
            if error.name != self.name:
                raise
            raise self._make_timeout() from None
        finally:
            self._left -= monotonic() - began

    # Implemented by the subclasses, in a thread or on a loop.
    _drive: Callable[..., Any]
    _send: Callable[..., Any]
    _throw: Callable[..., Any]
    _close: Callable[..., Any]

    # ------------------------------------------------------------ the `PendingRun` port

    def done(self) -> bool:
        return self.end is not None

    def withdraw(self) -> bool:
        return self.end is not None

    def stop(self, error: type[BaseException]) -> None:
        """Remember the error that ends it; its flow waits for it next."""
        self._why = error()

    def final_state(self) -> State:
        return self.end or State(CRASHED, "Crashed", "its flow run ended before it did")

    def wait(self, timeout: float | None = None) -> None:
        """End it."""
        raise NotImplementedError

    async def await_end(self) -> None:
        """End it."""
        raise NotImplementedError


class SyncGeneratorRun(GeneratorRun):
    """A run of a sync generator."""

    def __init__(self, parts: GeneratorParts) -> None:
        self._lock = threading.Lock()
        self._is_busy, self._thread = False, 0
        super().__init__(parts)
        if self._owner is None:
            self._watch_signals()

    def _watch_signals(self) -> None:
        # A step can be interrupted only while it is executed.
        interrupt = self._guard.enter_context(sigterm_as_signal(lambda: self._is_busy))
        began_on = threading.get_ident()

        def stop(kind: type[StopSignal]) -> None:  # the journal's thread must not wait for it
            self._why = kind()
            parts = interrupt, began_on, kind
            ending = threading.Thread(target=self._end_stopped, args=parts, daemon=True)
            ending.start()

        self._driver.register_stop(stop)

    def _end_stopped(self, interrupt: Stop, began_on: int, kind: type[StopSignal]) -> None:
        # ctypes takes 5 ms to import, which only a cancelled run needs.
        from flowstone.engine.thread_errors import cancel_error_in_thread, raise_in_thread

        thread, is_busy = self._thread, self._is_busy
        if is_busy and thread == began_on:
            interrupt(kind)
        elif is_busy:
            raise_in_thread(thread, kind)
        self.conclude(kind())
        if is_busy and thread != _MAIN:
            # The step has already ended: the error must not be raised in other code.
            cancel_error_in_thread(thread)

    def advance(self, sent: object, error: BaseException | None) -> object:
        """Return the function's next value; or set `end`, and return None."""
        with self._lock:
            if self.end is None:
                return self._step(sent, self._why or error)
        return None

    def conclude(self, error: BaseException, timeout: float | None = None) -> None:
        """End the run from outside of the loop over it, unless it has ended."""
        if self._lock.acquire(timeout=-1 if timeout is None else timeout):
            try:
                if self.end is None:
                    self._is_last = True
                    self._step(None, error)
            finally:
                self._lock.release()

    def wait(self, timeout: float | None = None) -> None:
        self._closer = PROCESS if self._owner is None else FLOW
        self.conclude(self._why or GeneratorExit(), timeout)

    async def await_end(self) -> None:
        await call_blocking(self.wait)

    def _step(self, sent: object, error: BaseException | None) -> object:
        # A run that is being ended is not interrupted again.
        self._thread, self._is_busy = threading.get_ident(), self._why is None
        try:
            return self._context.run(self._go_on, sent, error)
        except StopSignal as stray:  # raised between two lines of the engine
            if self.end is None and self._life.gi_suspended:  # type: ignore[attr-defined]
                return self._context.run(self._go_on, None, stray)
            raise
        finally:
            self._is_busy = False
            if self._is_stopped():
                self._keep_notes()
            if self.end is not None:
                self._close_guard()

    def _go_on(self, sent: object, error: BaseException | None) -> object:
        raised: BaseException | None = None
        if error is None and self._body is not None:  # most steps do only this
            try:
                value = self._send(sent)
            except BaseException as caught:  # noqa: BLE001 - the life decides what it means
                raised = caught
            else:
                self.progress.count += 1
                return value
        return make_calls(self._live(sent, error, raised))

    def _drive(self, life: Lifecycle, answer: Any, error: BaseException | None) -> State | Iterate:
        return self._driver.drive(life, answer, error)

    def _send(self, sent: Any) -> Any:
        body = self._body or self._open_body()
        try:
            return body.send(sent) if self._left is None else self._limit(body.send, sent)
        except StopIteration as stop:
            raise Returned(stop.value) from None

    def _throw(self, error: BaseException) -> Any:
        try:
            return self._open_body().throw(error)
        except StopIteration as stop:
            raise Returned(stop.value) from None

    def _close(self, body: Any) -> None:
        if body is not None:
            body.close()

    def _limit(self, send: Callable[[Any], Any], sent: Any) -> Any:
        # Imports ctypes and signal, which only runs with a timeout need.
        from flowstone.engine.timeouts import call_within

        left = max(self._left or 0.0, 1e-6)
        with self._count_time():
            return call_within(send, (sent,), {}, left, self.name)


class Returned(Exception):
    """The function has no more values to yield."""

    def __init__(self, value: object) -> None:
        super().__init__(value)
        self.value = value


#: The roots that have begun and not ended; the process ends them before it exits.
_open: dict[str, GeneratorRun] = {}


def end_all() -> None:
    """End the runs outside of flows that have begun and not ended."""
    for run in list(_open.values()):
        run.wait()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_open.clear)
