"""Tasks: functions whose calls are task runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar, Unpack, overload

from flowstone.calls.background_methods import BackgroundMethods
from flowstone.calls.body import collect_values
from flowstone.calls.decorator import find_local_names, make_spec, unwrap_function
from flowstone.calls.futures import Future, FutureList
from flowstone.calls.map_stream import FutureStream, MapWindow
from flowstone.calls.mapping import (
    Arguments,
    batch_arguments,
    make_batch_function,
    stream_arguments,
    zip_arguments,
)
from flowstone.calls.options import Option, apply_options, unset_options
from flowstone.calls.runnable import find_owner
from flowstone.calls.secret_arguments import register_secret_arguments
from flowstone.calls.signatures import AsyncYields, Awaits, Yields
from flowstone.context import current
from flowstone.engine.arguments import ITEMS, EndedRun, FutureBase
from flowstone.errors import ConfigurationError
from flowstone.records.record import evolve
from flowstone.records.states import Completed, State

if TYPE_CHECKING:
    from flowstone.calls.option_types import TaskOptions
    from flowstone.engine.recorder import Takeover
    from flowstone.ports import RunTransaction
    from flowstone.records.specs import Hook, Spec
    from flowstone.results.policies import CachePolicy, TaskCall

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
T = TypeVar("T")


class Task(BackgroundMethods[P, R]):
    """A function whose calls are task runs; created by `@task`.

    Attributes:
        fn: the undecorated function, to call it without a run.
        name: the task's name.
    """

    version: Option[str | None] = Option()
    task_run_name: Option[str | Callable[..., str] | None] = Option()
    retry_jitter_factor: Option[float | None] = Option()
    retry_condition_fn: Option[Hook | None] = Option()
    cache_policy: Option[CachePolicy | None] = Option()
    refresh_cache: Option[bool | None] = Option()
    result_storage_key: Option[str | None] = Option()

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(
        self: Task[Concatenate[Any, Q], T], instance: object, owner: type | None = ...
    ) -> Task[Q, T]: ...
    def __get__(self, instance: object, owner: type | None = None) -> object:
        """Bind to an instance or class, as a function would be."""
        return self._bind(instance, owner)

    def _copy_with(self, fn: Callable[P, R], spec: Spec) -> Task[P, R]:
        return Task(fn, spec, None, self._around)

    @overload
    def submit(
        self: Awaits[T],
        /,
        *args: Any,
        wait_for: Iterable[Any] | None = ...,
        **kwargs: Any,
    ) -> Future[T]: ...
    @overload
    def submit(
        self: Yields[T], /, *args: Any, wait_for: Iterable[Any] | None = ..., **kwargs: Any
    ) -> Future[list[T]]: ...
    @overload
    def submit(
        self: AsyncYields[T], /, *args: Any, wait_for: Iterable[Any] | None = ..., **kwargs: Any
    ) -> Future[list[T]]: ...
    @overload
    def submit(
        self, /, *args: Any, wait_for: Iterable[Any] | None = ..., **kwargs: Any
    ) -> Future[R]: ...
    def submit(self, /, *args: Any, wait_for: Iterable[Any] | None = None, **kwargs: Any) -> Any:
        """Submit the task to the flow's task runner, and return its future at once.

        Args:
            *args: the function's own arguments; futures among them are resolved before it starts.
            wait_for: futures that must complete before the task starts.
            **kwargs: the function's own keyword arguments, and `return_state=True` to wait for the
                final `State`.
        """
        if sketch := current.sketch():
            return sketch.submit(self, args, {**kwargs, "wait_for": wait_for})
        return_state = kwargs.pop("return_state", False)
        future = self._submit(args, kwargs, wait_for)
        return _wait_for_end(future) if return_state else future

    @overload
    def map(
        self: Awaits[T],
        /,
        *args: Any,
        max_in_flight: int,
        wait_for: Iterable[Any] | None = ...,
        **kwargs: Any,
    ) -> FutureStream[T]: ...
    @overload
    def map(
        self: Awaits[T],
        /,
        *args: Any,
        batch_size: int,
        wait_for: Iterable[Any] | None = ...,
        **kwargs: Any,
    ) -> FutureStream[T]: ...
    @overload
    def map(
        self: Awaits[T],
        /,
        *args: Any,
        wait_for: Iterable[Any] | None = ...,
        **kwargs: Any,
    ) -> FutureList[T]: ...
    @overload
    def map(
        self: Yields[T],
        /,
        *args: Any,
        max_in_flight: int,
        wait_for: Iterable[Any] | None = ...,
        **kwargs: Any,
    ) -> FutureStream[list[T]]: ...
    @overload
    def map(
        self: Yields[T],
        /,
        *args: Any,
        batch_size: int,
        wait_for: Iterable[Any] | None = ...,
        **kwargs: Any,
    ) -> FutureStream[list[T]]: ...
    @overload
    def map(
        self: Yields[T], /, *args: Any, wait_for: Iterable[Any] | None = ..., **kwargs: Any
    ) -> FutureList[list[T]]: ...
    @overload
    def map(
        self: AsyncYields[T],
        /,
        *args: Any,
        max_in_flight: int,
        wait_for: Iterable[Any] | None = ...,
        **kwargs: Any,
    ) -> FutureStream[list[T]]: ...
    @overload
    def map(
        self: AsyncYields[T],
        /,
        *args: Any,
        batch_size: int,
        wait_for: Iterable[Any] | None = ...,
        **kwargs: Any,
    ) -> FutureStream[list[T]]: ...
    @overload
    def map(
        self: AsyncYields[T], /, *args: Any, wait_for: Iterable[Any] | None = ..., **kwargs: Any
    ) -> FutureList[list[T]]: ...
    @overload
    def map(
        self,
        /,
        *args: Any,
        max_in_flight: int,
        wait_for: Iterable[Any] | None = ...,
        **kwargs: Any,
    ) -> FutureStream[R]: ...
    @overload
    def map(
        self, /, *args: Any, batch_size: int, wait_for: Iterable[Any] | None = ..., **kwargs: Any
    ) -> FutureStream[R]: ...
    @overload
    def map(
        self, /, *args: Any, wait_for: Iterable[Any] | None = ..., **kwargs: Any
    ) -> FutureList[R]: ...
    def map(self, /, *args: Any, wait_for: Iterable[Any] | None = None, **kwargs: Any) -> Any:
        """Submit the task once for each element of its iterable arguments, like `zip`.

        Args:
            *args: iterables of equal length. Strings, bytes, dicts, values that are not iterable,
                and anything in `unmapped(...)`, are passed to each call unchanged.
            wait_for: futures that must complete before any of the calls starts.
            **kwargs: keyword arguments, treated in the same way; `return_state=True` to wait for
                the final states; and these two, unless the function has parameters with their
                names: `max_in_flight` limits the number of unfinished calls, so that iterables of
                any length can be read; `batch_size` processes this many elements in one run, one
                after the other. With either, a `FutureStream` is returned.

        Raises:
            MappingLengthMismatch: the iterables differ in length.
            MappingMissingIterable: none of the arguments is an iterable.
        """
        if sketch := current.sketch():
            return sketch.map(self, args, {**kwargs, "wait_for": wait_for})
        return_state = kwargs.pop("return_state", False)
        # A mapped future is an input of each call, though each gets only one element of its value.
        whole = _find_makers((*args, *kwargs.values()))
        upstream = [*(wait_for or ()), *whole] or None
        window = (
            self._pop_count("max_in_flight", kwargs) or find_owner().open_runner().max_in_flight
        )
        size = self._pop_count("batch_size", kwargs)
        futures: Iterable[Future[Any]]
        if window is not None or size is not None:
            futures = self._map_lazily(args, kwargs, upstream, window, size)
        else:
            calls = zip_arguments(self.name, args, kwargs)
            futures = FutureList(self._submit(one, named, upstream) for one, named in calls)
        if not return_state:
            return futures
        if isinstance(futures, FutureList):
            futures.wait()
        return [_wait_for_end(future) for future in futures]

    def _pop_count(self, option: str, kwargs: dict[str, object]) -> int | None:
        """Remove an option of `.map` from the arguments, unless it is the function's own."""
        if option not in kwargs or option in self.parameters.signature.parameters:
            return None
        value = kwargs.pop(option)
        if value is None or (type(value) is int and value > 0):
            return value
        what = f"{option} of {self.name!r}.map"
        raise ConfigurationError(what, f"{value!r} is not a count", "Use 1 or more, or None.")

    def _map_lazily(
        self,
        args: tuple[object, ...],
        kwargs: dict[str, object],
        upstream: list[object] | None,
        window: int | None,
        size: int | None,
    ) -> FutureStream[object]:
        calls = (zip_arguments if window is None else stream_arguments)(self.name, args, kwargs)
        unit: Task[..., Any] = self
        if size is not None:

            def register(call: Arguments) -> Arguments:
                register_secret_arguments(self, *call)
                return call

            calls = batch_arguments(map(register, calls), size)
            batch = make_batch_function(collect_values(self.fn), self.name, isasync=self.isasync)
            # A run name template refers to the parameters of a single call.
            unit = Task(batch, evolve(self.spec, run_name=None), None, self._around)

        def submit(one: tuple[Any, ...], named: dict[str, Any]) -> Future[Any]:
            return unit._submit(one, named, upstream)

        supply = MapWindow(f"{self.name}.map", calls, submit, find_owner(), window)
        return FutureStream(supply, flat=size is not None)

    def run_again(
        self,
        takeover: Takeover,
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
        wait_for: Iterable[object] | None = None,
    ) -> object:
        """Execute an existing run; return its state, or a coroutine of it.

        Args:
            takeover: the run, and the event of its takeover, which is recorded first.
            args: the function's own arguments; futures among them are resolved first.
            kwargs: the function's own keyword arguments.
            wait_for: futures that must complete before the task starts.

        Raises:
            Conflict: another process was first; nothing was done.
        """
        return self._take_over(takeover, args, {**kwargs, "wait_for": wait_for})

    def on_commit(self, hook: Hook) -> Hook:
        """Call ``hook(transaction)`` at the commit; use it as a decorator."""
        self.spec = evolve(self.spec, on_commit=(*self.spec.on_commit, hook))
        return hook

    def on_rollback(self, hook: Hook) -> Hook:
        """Call ``hook(transaction)`` at a rollback; use it as a decorator."""
        self.spec = evolve(self.spec, on_rollback=(*self.spec.on_rollback, hook))
        return hook

    def _make_transaction(self) -> RunTransaction | None:
        if not self.spec.on_commit:
            return None
        # Takes 3 ms to import, which only the few tasks with such hooks need.
        from flowstone.results.transaction import OwnTransaction

        return OwnTransaction()

    def with_options(self, **options: Unpack[TaskOptions]) -> Task[P, R]:
        """Return a task with some options changed.

        An option that is omitted is not changed; one that is None is reset to its default.
        """
        spec = apply_options(unset_options(self.spec, options), options)
        return Task(self.fn, spec, self._binding, self._around)


def _find_makers(arguments: Iterable[object]) -> list[FutureBase]:
    """Return the runs that produced the mapped values, to wait for them."""
    producers, found = find_owner().producers, list[FutureBase]()
    for value in arguments:
        if isinstance(value, Future):
            found.append(value)
        elif producers is not None and isinstance(value, ITEMS):
            run_id = producers.find_maker(value)
            found += [EndedRun(Completed(), run_id)] if run_id else []
    return found


def _wait_for_end(future: Future[object]) -> State:
    future.wait()
    return future.state


@overload
def task(fn: Callable[P, R], /) -> Task[P, R]: ...
@overload
def task(
    fn: None = None, /, **options: Unpack[TaskOptions]
) -> Callable[[Callable[P, R]], Task[P, R]]: ...
def task(fn: Callable[..., Any] | None = None, /, **options: Unpack[TaskOptions]) -> Any:
    """Turn a function into a task, whose calls are task runs: recorded, retried, submitted.

    Args:
        fn: a sync or async function, or a method.
        **options: see `TaskOptions`.

    Raises:
        ConfigurationError: an option is unknown, or its value is invalid.
    """

    def decorate(fn: Callable[..., object]) -> Task[..., object]:
        function, binding = unwrap_function(fn)
        return Task(function, make_spec("task", function, options), binding, find_local_names())

    return decorate if fn is None else decorate(fn)


def exponential_backoff(backoff_factor: float) -> Callable[[int], list[float]]:
    """Return a function for `retry_delay_seconds`: the factor times 1, 2, 4, 8 … seconds."""

    def delays(retries: int) -> list[float]:
        return [backoff_factor * 2.0**number for number in range(min(retries, 50))]

    return delays


def task_input_hash(call: TaskCall, parameters: Mapping[str, object]) -> str:
    """Return a key of the task, its code and its arguments, for `cache_key_fn`.

    Raises:
        NotHashable: an argument has no stable fingerprint.
    """
    # Hashing takes 5 ms to import, which only programs that cache need.
    from flowstone.results.fingerprints import fingerprint

    return fingerprint([call.task.name, call.task.fn, dict(parameters)], "arguments")
