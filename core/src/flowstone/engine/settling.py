"""The end of what was submitted in a run: it is waited for, or told to end, and looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone import progress
from flowstone.engine.policy import stop_signal
from flowstone.errors import StoreError

if TYPE_CHECKING:
    from flowstone.ambient import Scope
    from flowstone.engine.keeper import Keeper
    from flowstone.ports import Clock, Promise

#: So long a run that was told to stop waits for its threads, which can't be killed.
GRACE = 5.0


def settled(
    keeper: Keeper, scope: Scope, clock: Clock, error: BaseException | None
) -> list[Promise]:
    """Bring to an end what was submitted; return what ended badly, and nobody asked for.

    Args:
        keeper: of the run that owns it.
        scope: of that run.
        clock: tells how long it takes.
        error: what ends the run; None where it simply returned.
    """
    end = None if _is_patient(error) else clock.time() + GRACE
    while waiting := _told_to_end(keeper, scope, error):
        with progress.shown(waiting):
            for promise in waiting:
                promise.wait(None if end is None else max(0.0, end - clock.time()))
        if end is not None and clock.time() >= end:
            break
    return _unseen(scope)


async def asettled(keeper: Keeper, scope: Scope, error: BaseException | None) -> list[Promise]:
    """Do as `settled`, and let other coroutines run meanwhile."""
    import asyncio  # noqa: PLC0415 - 40 ms of start-up; here it is running already

    limit = asyncio.timeout(None if _is_patient(error) else GRACE)
    try:
        async with limit:
            while waiting := _told_to_end(keeper, scope, error):
                with progress.shown(waiting):
                    for promise in waiting:
                        await promise.await_end()
    except TimeoutError:
        if not limit.expired():
            raise
    return _unseen(scope)


def _told_to_end(keeper: Keeper, scope: Scope, error: BaseException | None) -> list[Promise]:
    """Cancel what has not started, tell what runs to stop, as the error asks for."""
    if keeper.is_copy:  # their threads are the parent's
        scope.promises.clear()
        scope.runner = None
    promises = list(scope.promises.values())
    if error is not None:
        signal = stop_signal(error)
        for promise in promises:
            if not _withdrawn(promise) and signal is not None:
                promise.stop(signal)
    return [promise for promise in promises if not promise.done()]


def _withdrawn(promise: Promise) -> bool:
    """Withdraw a promise; tell whether it will not run, also where that could not be written."""
    try:
        return promise.withdraw()
    except StoreError:  # the journal tries again; the others must be waited for
        return True


def _unseen(scope: Scope) -> list[Promise]:
    """Close the runner, and return what ended badly without anybody asking for it."""
    if scope.runner is not None:
        scope.runner.close()
        scope.runner = None
    promises = [promise for promise in scope.promises.values() if promise.done()]
    scope.promises.clear()
    return [
        promise
        for promise in promises
        if not promise.observed and not promise.final_state().is_completed()
    ]


def _is_patient(error: BaseException | None) -> bool:
    """Tell whether what was submitted may finish in its own time."""
    return error is None or isinstance(error, Exception)
