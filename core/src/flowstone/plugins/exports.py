"""Public names of a package, each imported when it is first asked for."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


def lazy_exports(
    package: str, homes: Mapping[str, Iterable[str]]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return a package's ``__getattr__`` and ``__dir__``: to name a package is not to load it.

    Type checkers would take any name for one that is there, and so must not see the result. They
    read imports under ``TYPE_CHECKING``; a test of the kit compares the two.

    Args:
        package: the package's ``__name__``.
        homes: the names that each module defines, by the module's name; one that begins with a
            dot is in the package. A module without names is handed out itself.
    """
    found = {name: module for module, names in homes.items() for name in names}
    found |= {module.rpartition(".")[2]: module for module, names in homes.items() if not names}

    def find_name(name: str) -> object:
        module = found.get(name)
        if module is None:
            message = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(message)
        home = import_module(module, package)
        value = getattr(home, name) if homes[module] else home
        setattr(sys.modules[package], name, value)
        return value

    def list_names() -> list[str]:
        return list(sys.modules[package].__all__)

    return find_name, list_names
