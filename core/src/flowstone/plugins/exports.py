"""Public names of a package, imported on first access."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

from flowstone.errors import ImportFailed, MissingPackage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


def lazy_exports(
    package: str, homes: Mapping[str, Iterable[str]]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return a package's ``__getattr__`` and ``__dir__``, which import names on first access.

    Type checkers would accept any name, and so must not see the result. They read imports under
    ``TYPE_CHECKING``; a test of `flowstone-testing` compares the two.

    Args:
        package: the package's ``__name__``.
        homes: the names that each module defines, by the module's name; one that begins with a dot
            is in the package. For a module without names, the module itself is exported.
    """
    found = {name: module for module, names in homes.items() for name in names}
    found |= {module.rpartition(".")[2]: module for module, names in homes.items() if not names}

    def find_name(name: str) -> object:
        module = found.get(name)
        if module is None:
            raise _make_error(package, name)
        try:
            home = import_module(module, package)
            value = getattr(home, name) if homes[module] else home
        except AttributeError as error:
            # Python would report it as "cannot import name".
            problem = f"{type(error).__name__}: {error}"
            raise ImportFailed(package, name, problem, _describe_shadows()) from error
        except ImportError as error:
            hint = _describe_shadows()
            if hint and hint not in str(error):
                error.add_note(hint)
            raise
        setattr(sys.modules[package], name, value)
        return value

    def list_names() -> list[str]:
        return list(sys.modules[package].__all__)

    return find_name, list_names


def _describe_shadows() -> str:
    # Imported only if an import has failed.
    from flowstone.plugins.shadows import describe_shadows

    return describe_shadows()


def _make_error(package: str, name: str) -> Exception:
    """Return the error for a name that a package does not have."""
    if package.startswith("flowstone.") and not name.startswith("_"):
        # Imported only if a name is missing: some were in the core before they had packages.
        from flowstone.plugins.known import find_package_exporting

        if elsewhere := find_package_exporting(name):
            return MissingPackage(name, elsewhere)
    return AttributeError(f"module {package!r} has no attribute {name!r}")
