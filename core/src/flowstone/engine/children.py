"""The end of what was submitted in a run: it is waited for, or told to end, and looked at."""

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

#: So long a run that was told to stop waits for its threads, which can't be killed.
GRACE = 5.0
#: So long where somebody waits for it to stop: who cancels a run, or limits its time.
SHORT_GRACE = 0.7


def finish_children(
    recorder: RunRecorder, scope: Scope, clock: Clock, step: FinishChildren
) -> list[PendingRun]:
    """Bring to an end what was submitted; return what the step says.

    Args:
        recorder: of the run that owns it.
        scope: of that run.
        clock: tells how long it takes.
        step: why that is.
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
    """Do as `finish_children`, and let other coroutines run meanwhile.

    Args:
        recorder: of the run that owns it.
        scope: of that run.
        step: why that is.
        call: makes a blocking call in a thread, and finishes it.
    """
    import asyncio  # 40 ms of start-up; here it is running already

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
        await call(scope.runner.close)  # children of a process pool have a moment to end
        scope.runner = None
    return _close(recorder, scope, step)


def _tell_to_end(recorder: RunRecorder, scope: Scope, step: FinishChildren) -> list[PendingRun]:
    """Cancel what has not started, tell what runs to stop, as the step asks for."""
    if recorder.is_copy:  # their threads are the parent's
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
    """Withdraw a promise; tell whether it will not run, also where that could not be written."""
    try:
        return promise.withdraw()
    except StoreError:  # the journal tries again; the others must be waited for
        return True


def _close(recorder: RunRecorder, scope: Scope, step: FinishChildren) -> list[PendingRun]:
    """Close the runner; return what could not be stopped, or what ended badly and unasked for."""
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
    """Return how long to wait for what was submitted; None where it may take its own time."""
    error = step.error
    if error is None or (isinstance(error, Exception) and not step.is_late):
        return None
    is_cancelled = isinstance(error, CancelSignal) or is_cancellation(error)
    return SHORT_GRACE if step.is_late or is_cancelled else GRACE
