"""Modules and functions that a serializer's options name."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import TYPE_CHECKING

from flowstone.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType


def find_library(serializer: object, name: str, *functions: str) -> ModuleType:
    """Return a module that has these functions.

    Raises:
        ConfigurationError: there is no such module, or it lacks some of the functions.
    """
    who = type(serializer).__name__
    try:
        library = import_module(name)
    except (ImportError, ValueError, TypeError, AttributeError) as error:
        problem = f"there is no module {name!r}: {error}"
        raise ConfigurationError(who, problem, "Install it, or omit the option.") from error
    lacks = [each for each in functions if not hasattr(library, each)]
    if lacks:
        problem = f"the module {name!r} has no {' and no '.join(lacks)}"
        raise ConfigurationError(who, problem, "Name one that has them, or omit the option.")
    return library


def find_function(
    serializer: object, choice: Callable[..., object] | str | None
) -> Callable[..., object] | None:
    """Return a function, given as such or by its name.

    Raises:
        ConfigurationError: there is no such function.
    """
    problem = f"{choice!r} is not a function"
    if isinstance(choice, str):
        try:
            choice = pkgutil.resolve_name(choice)
        except (ImportError, ValueError, AttributeError) as error:
            problem = f"{problem}: {error}"
    if choice is None or callable(choice):
        return choice
    remedy = "Pass a function, or its name as 'package.module.function'."
    raise ConfigurationError(type(serializer).__name__, problem, remedy)
