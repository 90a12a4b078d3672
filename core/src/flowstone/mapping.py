"""Which calls a `.map` makes of its arguments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from flowstone.engine.arguments import Mark, PromiseBase, allow_failure, quote, unmapped
from flowstone.errors import MappingLengthMismatch, MappingMissingIterable

#: Iterable, but one value to people.
WHOLE = (str, bytes, bytearray, Mapping, quote, unmapped)


def spread(
    unit: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Yield the positional and named arguments of each call.

    Raises:
        MappingLengthMismatch: the iterables differ in length.
        MappingMissingIterable: none of the arguments is an iterable.
    """
    named = {**{str(index): value for index, value in enumerate(args)}, **kwargs}
    columns = {name: column for name, value in named.items() if (column := _column(value))}
    lengths = {name: len(column[0]) for name, column in columns.items()}
    if not columns:
        raise MappingMissingIterable(unit)
    if len(set(lengths.values())) > 1:
        raise MappingLengthMismatch(unit, lengths)
    places = range(len(args))
    for row in range(next(iter(lengths.values()))):
        yield (
            tuple(_cell(columns.get(str(place)), args[place], row) for place in places),
            {name: _cell(columns.get(name), value, row) for name, value in kwargs.items()},
        )


def _column(value: Any) -> tuple[list[Any]] | None:
    """Return the elements of an iterable argument, in a 1-tuple; None for a single value."""
    if type(value) is allow_failure:
        inner = _column(value.value)
        return ([allow_failure(item) for item in inner[0]],) if inner else None
    if isinstance(value, PromiseBase):
        value = value.result()  # type: ignore[attr-defined]
    if isinstance(value, (WHOLE, Mark)) or not isinstance(value, Iterable):
        return None
    return (list(value),)


def _cell(column: tuple[list[Any]] | None, value: Any, row: int) -> Any:
    return value if column is None else column[0][row]
