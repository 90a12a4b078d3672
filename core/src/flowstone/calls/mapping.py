"""The calls that a `.map` makes from its arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from functools import update_wrapper
from itertools import count, cycle, islice
from typing import Any

from flowstone.engine.annotations import Mark, allow_failure, quote, unmapped
from flowstone.engine.arguments import FutureBase
from flowstone.engine.story import CallStory, amake_calls, make_calls
from flowstone.errors import (
    ConfigurationError,
    ElementFailed,
    MappingLengthMismatch,
    MappingMissingIterable,
)

#: Iterable types that are treated as single values.
WHOLE = (str, bytes, bytearray, Mapping, quote, unmapped)


#: The arguments of one call.
Arguments = tuple[tuple[Any, ...], dict[str, Any]]


def zip_arguments(
    unit: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Iterator[Arguments]:
    """Yield the positional and named arguments of each call.

    Raises:
        ConfigurationError: one of the iterables is infinite.
        MappingLengthMismatch: the iterables differ in length.
        MappingMissingIterable: none of the arguments is an iterable.
    """
    named = {**{str(index): value for index, value in enumerate(args)}, **kwargs}
    columns = {name: column for name, value in named.items() if (column := _find_elements(value))}
    lengths = {name: len(column[0]) for name, column in columns.items()}
    if not columns:
        raise MappingMissingIterable(unit)
    if len(set(lengths.values())) > 1:
        raise MappingLengthMismatch(unit, lengths)
    placed = [(columns.get(str(place)), value) for place, value in enumerate(args)]
    called = [(name, columns.get(name), value) for name, value in kwargs.items()]
    for row in range(next(iter(lengths.values()))):
        yield (
            tuple([_pick_cell(column, value, row) for column, value in placed]),
            {name: _pick_cell(column, value, row) for name, column, value in called},
        )


def _find_elements(value: object) -> tuple[list[object]] | None:
    """Return the elements of an iterable argument, in a 1-tuple; None for a single value."""
    if type(value) is allow_failure:
        inner = _find_elements(_read(value.value, may_fail=True))
        return ([allow_failure(item) for item in inner[0]],) if inner else None
    value = _read(value)
    if isinstance(value, (WHOLE, Mark)) or not isinstance(value, Iterable):
        return None
    if isinstance(value, (count, cycle)):
        raise ConfigurationError(
            ".map",
            f"an itertools.{type(value).__name__} has no length, and never ends",
            "Pass a window: .map(numbers, max_in_flight=1000).",
        )
    return (list(value),)


def _read(value: object, *, may_fail: bool = False) -> object:
    """Return the value or error of a future; other values unchanged."""
    if isinstance(value, FutureBase) and hasattr(value, "result"):
        return value.result(raise_on_failure=not may_fail)
    return value


def _pick_cell(column: tuple[list[object]] | None, value: object, row: int) -> object:
    return value if column is None else column[0][row]


# ---------------------------------------------------------------- read one by one


def stream_arguments(
    unit: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Iterator[Arguments]:
    """Return the arguments of each call, read from the iterables only when needed.

    Raises:
        MappingMissingIterable: none of the arguments is an iterable.
        MappingLengthMismatch: the iterables differ in length; if that is not known in advance, it
            is raised when one of them ends.
    """
    named = {**{str(index): value for index, value in enumerate(args)}, **kwargs}
    sources = {name: source for name, value in named.items() if (source := _open_source(value))}
    if not sources:
        raise MappingMissingIterable(unit)
    sized = {name: value for name in sources if isinstance(value := named[name], Sized)}
    lengths = {
        name: len(value) for name, value in sized.items() if not isinstance(value, FutureBase)
    }
    if len(set(lengths.values())) > 1:
        raise MappingLengthMismatch(unit, lengths)
    return _iterate_rows(unit, args, kwargs, sources)


def _iterate_rows(
    unit: str,
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
    sources: Mapping[str, Iterator[object]],
) -> Iterator[Arguments]:
    end = object()
    places = [str(place) for place in range(len(args))]
    for row in count():
        cells = {name: next(source, end) for name, source in sources.items()}
        ended = [name for name, cell in cells.items() if cell is end]
        if len(ended) == len(cells):
            return
        if ended:
            lengths = {name: row if name in ended else f"more than {row}" for name in cells}
            raise MappingLengthMismatch(unit, lengths)
        yield (
            tuple(cells.get(place, value) for place, value in zip(places, args, strict=True)),
            {name: cells.get(name, value) for name, value in kwargs.items()},
        )


def _open_source(value: object) -> Iterator[object] | None:
    if type(value) is allow_failure:
        value = value.value
        inner = _open_source(value if isinstance(value, Iterable) else _read(value, may_fail=True))
        return map(allow_failure, inner) if inner else None
    value = value if isinstance(value, Iterable) else _read(value)
    if isinstance(value, (WHOLE, Mark)) or not isinstance(value, Iterable):
        return None
    return iter(value)


# ---------------------------------------------------------------- many in one run


def batch_arguments(calls: Iterator[Arguments], size: int) -> Iterator[Arguments]:
    """Yield the arguments of runs that make `size` calls each."""
    first = 0
    while batch := list(islice(calls, size)):
        # Marked, so that futures and marks among the elements' own arguments are replaced.
        yield (unmapped(batch), first), {}
        first += len(batch)


def make_batch_function(
    fn: Callable[..., object], name: str, *, isasync: bool
) -> Callable[..., object]:
    """Return a function that makes the calls of one batch, and returns their values."""

    def tell(calls: list[Arguments], first: int) -> CallStory[list[Any]]:
        values: list[Any] = []
        for args, kwargs in calls:
            value, error = yield fn, args, kwargs
            if isinstance(error, Exception):
                raise _make_element_error(name, first, values, calls, error) from error
            if error is not None:
                raise error
            values.append(value)
        return values

    def one_batch(calls: list[Arguments], first: int) -> list[object]:
        return make_calls(tell(calls, first))

    async def one_async_batch(calls: list[Arguments], first: int) -> list[object]:
        return await amake_calls(tell(calls, first))

    batch: Any = one_async_batch if isasync else one_batch
    # It takes 10 ms to import, and few programs use batches.
    from inspect import signature

    own = signature(batch)
    update_wrapper(batch, fn)  # cache keys use the source of the wrapped function
    batch.__signature__ = own
    return batch  # type: ignore[no-any-return]


def _make_element_error(
    name: str, first: int, values: list[object], calls: list[Arguments], error: Exception
) -> ElementFailed:
    told = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return ElementFailed(name, first + len(values), first, first + len(calls) - 1, told)
