"""Calls a function in another process, for a run that is driven in this one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowstone.context import current
from flowstone.context.runtime import snapshot_run
from flowstone.records.record import evolve
from flowstone.records.states import StoredValue

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowstone.context.current import Scope
    from flowstone.ports import PendingRun, RemoteCaller
    from flowstone.records.runs import Run


class Remote:
    """Replaces a function in a run's plan; calling it calls the function in another process.

    Args:
        caller: makes the call.
        fn: the function, sync or async.
        timeout: seconds after which the call is killed; None for no limit.
    """

    __slots__ = ("_caller", "_fn", "_timeout")

    def __init__(self, caller: RemoteCaller, fn: Callable[..., Any], timeout: float | None) -> None:
        self._caller, self._fn, self._timeout = caller, fn, timeout

    def __call__(self, /, *args: object, **kwargs: object) -> object:
        # Looked up here: a plan that refers to its scope would be a reference cycle, and the value
        # of the run would stay in memory until that is collected.
        scope = current.scope.get()
        assert scope is not None
        runs = _find_run_now(scope), _find_run_now(scope.owner)
        return self._caller.call(self._fn, args, kwargs, runs, self._timeout)

    def take_value(
        self, take: Callable[[PendingRun, bool], object], promise: PendingRun, may_fail: bool
    ) -> object:
        """Return a reference to a run's value in the process that has it, or fetch the value."""
        data = promise.final_state().data
        if isinstance(data, StoredValue) and data.holder is self._caller:
            promise.observed = True
            return data
        return take(promise, may_fail)


def _find_run_now(scope: Scope) -> Run:
    """Return a run in its current state and attempt; `scope.run` is that of the first state."""
    now = snapshot_run(scope)
    return evolve(scope.run, attempt=now.attempt, state=now.state)
