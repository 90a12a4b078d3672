"""The call of a flow or task, as type checkers and people see it."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, TypeVar, overload

from flowstone.ambient import scope

if TYPE_CHECKING:
    from flowstone.states import State

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Calling(Generic[P, R]):
    """Something that is called like its function; a run comes of each call."""

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        raise NotImplementedError

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def __call__(
        self: Calling[..., Coroutine[Any, Any, T]],
        *args: Any,
        return_state: Literal[True],
        wait_for: Iterable[Any] | None = ...,
        **kwargs: Any,
    ) -> Coroutine[Any, Any, State]: ...
    @overload
    def __call__(
        self,
        *args: Any,
        return_state: Literal[True],
        wait_for: Iterable[Any] | None = ...,
        **kwargs: Any,
    ) -> State: ...
    @overload
    def __call__(self, *args: Any, wait_for: Iterable[Any] | None, **kwargs: Any) -> R: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it here, and return its value; inside a flow, a task, or neither.

        Args:
            *args: the function's own arguments. Futures among them are waited for. A flow's are
                checked against its type hints before it starts.
            **kwargs: the function's own, and these two: `return_state=True` returns the final
                `State` instead of the value or error; `wait_for` takes futures that must have
                completed before it starts.

        Raises:
            ParameterBindError, ParameterTypeError: a flow's arguments do not fit; nothing was
                started.
            UpstreamTaskError: a future among the arguments did not complete.
            Exception: what the function failed with.
        """
        here = scope.get()
        if here is not None and here.sketch is not None:
            return here.sketch.call(self, args, kwargs)
        return self._call(args, kwargs)
