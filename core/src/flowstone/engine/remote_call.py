"""A function that is called in another process, for a run that is driven in this one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowstone.context.current import Scope
    from flowstone.ports import RemoteCaller


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
        runs = self._scope.run, self._scope.owner.run
        return self._caller.call(self._fn, args, kwargs, runs, self._timeout)
