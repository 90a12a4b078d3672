"""A function that is called in another process, for a run that is driven in this one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowstone.context.runtime import snapshot_run
from flowstone.records.record import evolve

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowstone.context.current import Scope
    from flowstone.ports import RemoteCaller
    from flowstone.records.runs import Run


class Remote:
    """Stands for a function in a run's plan; calling it calls the function there.

    Args:
        caller: calls it.
        fn: sync or async.
        scope: of the run that it belongs to.
        timeout: seconds after which the call is killed; None for no limit.
    """

    __slots__ = ("_caller", "_fn", "_scope", "_timeout")

    def __init__(
        self, caller: RemoteCaller, fn: Callable[..., Any], scope: Scope, timeout: float | None
    ) -> None:
        self._caller, self._fn, self._scope, self._timeout = caller, fn, scope, timeout

    def __call__(self, /, *args: object, **kwargs: object) -> object:
        runs = _find_run_now(self._scope), _find_run_now(self._scope.owner)
        return self._caller.call(self._fn, args, kwargs, runs, self._timeout)


def _find_run_now(scope: Scope) -> Run:
    """Return a run in its current state and attempt: `scope.run` is as it was at its first."""
    now = snapshot_run(scope)
    return evolve(scope.run, attempt=now.attempt, state=now.state)
