"""The call of a flow or task, as type checkers and people see it."""

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
    """One whose function yields: submitted, or asked for its state, its values are collected."""

    @property
    def fn(self) -> Callable[..., Iterator[T_co]]: ...


class AsyncYields(Protocol[T_co]):
    """The same of an async function."""

    @property
    def fn(self) -> Callable[..., AsyncIterator[T_co]]: ...


class Calling(Generic[P, R]):
    """Something that is called like its function; a run comes of each call."""

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
        """Run it here, and return its value; inside a flow, a task, or neither.

        Args:
            *args: the function's own arguments. Futures among them are waited for. A flow's are
                checked against its type hints before it starts.
            **kwargs: the function's own, and these two: `return_state=True` returns the final
                `State` instead of the value or error, also where a flow's arguments do not fit;
                `wait_for` takes futures that must have completed before it starts.

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
