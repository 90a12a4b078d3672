"""Finishes the tasks that were submitted in a run: waits for them or stops them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.engine import progress
from flowstone.engine.policy import choose_stop_signal, is_cancellation
from flowstone.errors import CancelSignal, StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from flowstone.context.current import Scope
    from flowstone.engine.recorder import RunRecorder
    from flowstone.engine.steps import FinishChildren
    from flowstone.ports import Clock, PendingRun

#: Seconds that a run that must stop waits for its threads, which can't be killed.
GRACE = 5.0
#: The same if a caller waits for it to stop, after a cancel or a timeout.
SHORT_GRACE = 0.7


def finish_children(
    recorder: RunRecorder, scope: Scope, clock: Clock, step: FinishChildren
) -> list[PendingRun]:
    """Finish the submitted tasks; return the answer of the step.

    Args:
        recorder: the recorder of the run that owns them.
        scope: the scope of that run.
        clock: measures the time.
        step: the reason.
    """
    grace = _choose_grace(step)
    end = None if grace is None else clock.monotonic() + grace
    while waiting := _tell_to_end(recorder, scope, step):
        with progress.show(waiting):
            for promise in waiting:
                promise.wait(None if end is None else max(0.0, end - clock.monotonic()))
        if end is not None and clock.monotonic() >= end:
            break
    return _close(recorder, scope, step)


async def afinish_children(
    recorder: RunRecorder,
    scope: Scope,
    step: FinishChildren,
    call: Callable[[Callable[[], None]], Awaitable[None]],
) -> list[PendingRun]:
    """Async version of `finish_children`.

    Args:
        recorder: the recorder of the run that owns them.
        scope: the scope of that run.
        step: the reason.
        call: makes a blocking call in a thread, and finishes it.
    """
    import asyncio  # 40 ms to import; a loop is running, so it is imported already

    limit = asyncio.timeout(_choose_grace(step))
    try:
        async with limit:
            while waiting := _tell_to_end(recorder, scope, step):
                with progress.show(waiting):
                    for promise in waiting:
                        await promise.await_end()
    except TimeoutError:
        if not limit.expired():
            raise
    if scope.runner is not None:
        await call(scope.runner.close)  # child processes of a pool get time to exit
        scope.runner = None
    return _close(recorder, scope, step)


def _tell_to_end(recorder: RunRecorder, scope: Scope, step: FinishChildren) -> list[PendingRun]:
    """Cancel tasks that have not started, and stop running ones if the step says so."""
    if recorder.is_copy:  # their threads belong to the parent
        scope.pending_runs.clear()
        scope.runner = None
    promises = list(scope.pending_runs.values())
    if step.error is not None:
        signal = choose_stop_signal(step)
        for promise in promises:
            if not _withdraw(promise) and signal is not None:
                promise.stop(signal)
    return [promise for promise in promises if not promise.done()]


def _withdraw(promise: PendingRun) -> bool:
    """Withdraw a task; return whether it will not run, even if that could not be recorded."""
    try:
        return promise.withdraw()
    except StoreError:  # the journal retries; the other tasks must be waited for
        return True


def _close(recorder: RunRecorder, scope: Scope, step: FinishChildren) -> list[PendingRun]:
    """Close the runner; return tasks that could not be stopped, or unobserved failures."""
    if scope.runner is not None:
        scope.runner.close()
        scope.runner = None
    promises = dict(scope.pending_runs)
    scope.pending_runs.clear()
    if step.error is not None:
        left = {run_id: promise for run_id, promise in promises.items() if not promise.done()}
        if left:
            recorder.leave(left)
        return list(left.values())
    return [
        promise
        for promise in promises.values()
        if promise.done() and not promise.observed and not promise.final_state().is_completed()
    ]


def _choose_grace(step: FinishChildren) -> float | None:
    """Return the seconds to wait for submitted tasks; None for no limit."""
    error = step.error
    if error is None or (isinstance(error, Exception) and not step.is_late):
        return None
    is_cancelled = isinstance(error, CancelSignal) or is_cancellation(error)
    return SHORT_GRACE if step.is_late or is_cancelled else GRACE
