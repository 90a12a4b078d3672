"""The signatures of flows and tasks, for type checkers and documentation."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, Protocol, TypeVar, overload

from flowstone.context.current import scope

if TYPE_CHECKING:
    from flowstone.records.states import State

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Awaits(Protocol[T_co]):
    """A flow or task whose function is async."""

    @property
    def fn(self) -> Callable[..., Coroutine[Any, Any, T_co]]: ...


class Yields(Protocol[T_co]):
    """A flow or task whose function yields; `submit` and `return_state` collect its values."""

    @property
    def fn(self) -> Callable[..., Iterator[T_co]]: ...


class AsyncYields(Protocol[T_co]):
    """A flow or task whose function is an async generator."""

    @property
    def fn(self) -> Callable[..., AsyncIterator[T_co]]: ...


class Calling(Generic[P, R]):
    """An object that is called like its function; each call is a run."""

    def _call(self, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        raise NotImplementedError

    @overload
    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def __call__(
        self: Awaits[T],
        /,
        *args: object,
        return_state: Literal[True],
        wait_for: Iterable[object] | None = ...,
        **kwargs: object,
    ) -> Coroutine[object, object, State[T]]: ...
    @overload
    def __call__(
        self: Yields[T],
        /,
        *args: object,
        return_state: Literal[True],
        wait_for: Iterable[object] | None = ...,
        **kwargs: object,
    ) -> State[list[T]]: ...
    @overload
    def __call__(
        self: AsyncYields[T],
        /,
        *args: object,
        return_state: Literal[True],
        wait_for: Iterable[object] | None = ...,
        **kwargs: object,
    ) -> Coroutine[object, object, State[list[T]]]: ...
    @overload
    def __call__(
        self,
        /,
        *args: object,
        return_state: Literal[True],
        wait_for: Iterable[object] | None = ...,
        **kwargs: object,
    ) -> State[R]: ...
    @overload
    def __call__(
        self, /, *args: object, wait_for: Iterable[object] | None, **kwargs: object
    ) -> R: ...
    def __call__(self, /, *args: object, **kwargs: object) -> object:
        """Run it here, inside or outside of a flow or task, and return its value.

        Args:
            *args: the function's own arguments. Futures among them are resolved first. A flow's
                arguments are checked against its type hints before it starts.
            **kwargs: the function's own keyword arguments, and these two: `return_state=True`
                returns the final `State` instead of the value or error, even if a flow's arguments
                don't match; `wait_for` takes futures that must complete before it starts.

        Raises:
            ParameterBindError, ParameterTypeError: a flow's arguments don't match; nothing was
                started.
            UpstreamTaskError: a future among the arguments did not complete.
            Exception: the exception of the function.
        """
        here = scope.get()
        if here is not None and here.sketch is not None:
            return here.sketch.call(self, args, kwargs)
        return self._call(args, kwargs)
