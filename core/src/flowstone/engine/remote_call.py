"""A function that is called in another process, for a run that is driven in this one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flowstone.context.current import Scope
    from flowstone.ports import Caller


class Remote:
    """Stands for a function in a run's plan; calling it calls the function there."""

    __slots__ = ("_caller", "_fn", "_scope")

    def __init__(self, caller: Caller, fn: Callable[..., Any], scope: Scope) -> None:
        self._caller, self._fn, self._scope = caller, fn, scope

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.within(None, args, kwargs)

    def within(
        self, seconds: float | None, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        """Call it, and have it killed after so many seconds."""
        scope = self._scope
        return self._caller.call(self._fn, args, kwargs, (scope.run, scope.owner.run), seconds)
