"""Inspects the function that `@flow` or `@task` decorates."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Any
from zlib import crc32

from flowstone.calls.options import apply_options
from flowstone.calls.parameters import RESERVED
from flowstone.engine.functions import read_docstring, unwrap
from flowstone.errors import ConfigurationError
from flowstone.records.specs import Spec

if TYPE_CHECKING:
    from flowstone.records.runs import Kind


def make_spec(kind: Kind, fn: Callable[..., object], options: Mapping[str, object]) -> Spec:
    """Return the spec of a function with these options.

    Args:
        kind: ``flow`` or ``task``.
        fn: the function.
        options: see `FlowOptions` and `TaskOptions`.

    Raises:
        ConfigurationError: an option is unknown, or its value is invalid.
    """
    name = getattr(fn, "__name__", type(fn).__name__)
    if kind == "flow":
        name = name.replace("_", "-")
    if name == "<lambda>" and not options.get("name"):
        name = "lambda"
    _refuse_reserved(kind, name, fn)
    spec = Spec(kind, name, read_docstring(fn), _hash_file_of(fn) if kind == "flow" else None)
    return apply_options(spec, options)


def _refuse_reserved(kind: Kind, name: str, fn: Callable[..., object]) -> None:
    code = getattr(unwrap(fn), "__code__", None)
    if code is None:
        return
    own = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    for reserved in sorted(RESERVED):
        if reserved in own:
            problem = f"its parameter {reserved!r} has a name that is reserved for calls"
            raise ConfigurationError(f"{kind} {name!r}", problem, "Rename it.")


def unwrap_function(fn: Any) -> tuple[Callable[..., Any], type | None]:
    """Return the function inside a classmethod or staticmethod, and the type of the wrapper.

    Raises:
        ConfigurationError: it is not a function.
    """
    binding = type(fn) if isinstance(fn, (classmethod, staticmethod)) else None
    function = fn.__func__ if binding else fn
    if not callable(function) or isinstance(function, type):
        raise ConfigurationError(
            "@flow and @task",
            f"{fn!r} is not a function",
            "Put them on a function: `@flow` or `@flow(name=...)`, then `def`.",
        )
    return function, binding


def find_local_names() -> Mapping[str, object] | None:
    """Return the local names of the function that contains the decorator; None in a module.

    A type hint written as a string may refer to them, and they are not available later.
    """
    frame = sys._getframe(1)  # noqa: SLF001 - the documented way, as pydantic and dataclasses do
    while frame.f_globals.get("__name__", "").startswith("flowstone.") and frame.f_back:
        frame = frame.f_back
    return None if frame.f_locals is frame.f_globals else dict(frame.f_locals)


def _hash_file_of(fn: Callable[..., object]) -> str | None:
    while isinstance(fn, partial):
        fn = fn.func
    code = getattr(unwrap(fn), "__code__", None)
    return _hash_file(code.co_filename) if code is not None else None


@cache
def _hash_file(path: str) -> str | None:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - pathlib takes 6 ms to import, hashlib 5
            return f"{crc32(file.read()):08x}"
    except OSError:  # typed at a prompt, or generated
        return None
