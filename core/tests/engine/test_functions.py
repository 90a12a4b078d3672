"""What is read of a function's code is what `inspect` says."""

from __future__ import annotations

import asyncio
import inspect
import math
import sys
import types
from functools import partial, wraps
from typing import TYPE_CHECKING, Any
from unittest.mock import AsyncMock

import pytest

from flowstone.engine import functions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Iterator


def plain(first: int, second: int = 2) -> int:
    """Add.

    More of it,
      indented.

    """
    return first + second


def nothing() -> None:
    "\tOne line"


def rest(first: int, *others: int, last: int = 0, **more: int) -> None: ...
def placed(first: int, /) -> None: ...
def named(*, first: int) -> None: ...
def yields() -> Iterator[int]:
    yield 1


async def waits() -> None: ...
async def streams() -> AsyncIterator[int]:
    yield 1


@wraps(waits)
def around(*args: int) -> object:
    return waits()


class Base:
    def method(self) -> None:
        """Say what the base says."""


class Holder(Base):
    def method(self) -> None: ...
    async def wait(self) -> None: ...
    def __call__(self) -> None: ...


FUNCTIONS: list[Callable[..., Any]] = [
    plain, nothing, rest, placed, named, yields, waits, streams, around, Holder.method,
    Holder().method, Holder().wait, Holder(), partial(waits), partial(partial(Holder().wait)),
    AsyncMock(), len, math.gcd, lambda x: x,
]  # fmt: skip


@pytest.mark.parametrize("fn", FUNCTIONS)
def test_what_it_is(fn: Callable[..., Any]) -> None:
    assert functions.is_coroutine_function(fn) == inspect.iscoroutinefunction(fn)
    assert functions.is_generator_function(fn) == inspect.isgeneratorfunction(fn)
    assert functions.is_async_generator_function(fn) == inspect.isasyncgenfunction(fn)


@pytest.mark.parametrize("fn", FUNCTIONS)
def test_what_it_wraps_and_says(fn: Callable[..., Any]) -> None:
    if isinstance(fn, AsyncMock):  # it has whatever it is asked for
        return
    assert functions.unwrap(fn) is inspect.unwrap(fn)
    assert functions.read_docstring(fn) == inspect.getdoc(fn)


@pytest.mark.parametrize("fn", FUNCTIONS)
def test_its_names_are_those_of_its_signature(fn: Callable[..., Any]) -> None:
    names = functions.find_plain_names(fn)
    if names is not None:
        known = inspect.signature(fn).parameters.values()
        assert names == tuple(each.name for each in known)
        assert {each.kind for each in known} <= {inspect.Parameter.POSITIONAL_OR_KEYWORD}


def test_which_functions_are_plain() -> None:
    assert [fn for fn in FUNCTIONS[:10] if functions.find_plain_names(fn) is not None] == [
        plain, nothing, yields, waits, streams, Holder.method,
    ]  # fmt: skip


def test_what_can_be_awaited() -> None:
    @types.coroutine
    def old() -> Generator[None, None, None]:
        yield

    async def look() -> None:
        coroutine = waits()
        future = asyncio.get_running_loop().create_future()
        for value in (coroutine, old(), future, yields(), 3, None, waits):
            assert functions.is_awaitable(value) == inspect.isawaitable(value)
        await coroutine

    asyncio.run(look())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="marks come with Python 3.12")
def test_a_function_may_be_marked() -> None:
    def marked() -> object:
        return waits()

    mark: Callable[[object], object] = inspect.markcoroutinefunction  # type: ignore[attr-defined]
    assert functions.is_coroutine_function(mark(marked))
