"""Inspects functions by their code objects, without `inspect`, which takes 10 ms to import."""

from __future__ import annotations

import sys
from collections.abc import Awaitable
from functools import partial
from types import CodeType, CoroutineType, FunctionType, GeneratorType, MethodType
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from typing_extensions import TypeIs

F = TypeVar("F", bound="Callable[..., object]")

#: Bits of a code object's `co_flags`, as named in the documentation of `inspect`.
VARARGS, VARKEYWORDS = 0x04, 0x08
GENERATOR, COROUTINE, ITERABLE_COROUTINE, ASYNC_GENERATOR = 0x20, 0x80, 0x100, 0x200


def is_coroutine_function(fn: object) -> bool:
    """Return the same as `inspect.iscoroutinefunction`."""
    if _has_flag(fn, COROUTINE):
        return True
    if "inspect" not in sys.modules:
        return False
    # From Python 3.12 on, `inspect` can mark functions, and is then loaded.
    from inspect import iscoroutinefunction

    return iscoroutinefunction(fn)


def is_generator_function(fn: object) -> bool:
    """Return the same as `inspect.isgeneratorfunction`."""
    return _has_flag(fn, GENERATOR)


def is_async_generator_function(fn: object) -> bool:
    """Return the same as `inspect.isasyncgenfunction`."""
    return _has_flag(fn, ASYNC_GENERATOR)


def is_awaitable(value: object) -> TypeIs[Awaitable[Any]]:
    """Return the same as `inspect.isawaitable`."""
    if isinstance(value, CoroutineType):
        return True
    if isinstance(value, GeneratorType):
        return bool(value.gi_code.co_flags & ITERABLE_COROUTINE)
    return isinstance(value, Awaitable)


def _has_flag(fn: object, flag: int) -> bool:
    while isinstance(fn, MethodType):
        fn = fn.__func__
    while isinstance(fn, partial):
        fn = fn.func
    code = getattr(fn, "__code__", None)
    return isinstance(code, CodeType) and bool(code.co_flags & flag)


def unwrap(fn: F) -> F:
    """Return the function inside its decorators, like `inspect.unwrap`."""
    if not hasattr(fn, "__wrapped__"):
        return fn
    # Most functions are not wrapped.
    from inspect import unwrap

    found: F = unwrap(fn)
    return found


def find_plain_names(fn: object) -> tuple[str, ...] | None:
    """Return the names of a function's parameters.

    None if its code is not enough: it has positional-only or keyword-only parameters, `*` or `**`,
    or the signature of another function.
    """
    if type(fn) is not FunctionType or hasattr(fn, "__wrapped__") or hasattr(fn, "__signature__"):
        return None
    code = fn.__code__
    if code.co_posonlyargcount or code.co_kwonlyargcount or code.co_flags & (VARARGS | VARKEYWORDS):
        return None
    return code.co_varnames[: code.co_argcount]


def read_docstring(fn: Callable[..., object]) -> str | None:
    """Return a function's docstring without its indentation, like `inspect.getdoc`."""
    text = fn.__doc__
    if isinstance(fn, FunctionType) and fn.__qualname__ == fn.__name__:
        return None if text is None else _clean(text)
    # A method may inherit the docstring of the method that it overrides.
    from inspect import getdoc

    return getdoc(fn)


def _clean(text: str) -> str:
    first, *rest = text.expandtabs().split("\n")
    margin = min((len(line) - len(line.lstrip()) for line in rest if line.strip()), default=0)
    lines = [first.lstrip(), *(line[margin:] for line in rest)]
    while lines and not lines[-1]:
        lines.pop()
    while lines and not lines[0]:
        lines.pop(0)
    return "\n".join(lines)
