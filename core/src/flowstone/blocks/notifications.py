"""The notifiers of installed packages."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from flowstone.blocks.abstract import NotificationBlock
from flowstone.errors import MissingPackage
from flowstone.plugins.known import find_package_exporting

__all__ = ["NotificationBlock"]

if not TYPE_CHECKING:  # otherwise type checkers would accept any name

    def __getattr__(name: str) -> type[NotificationBlock]:
        """Return the notifier of that name from the package that defines it.

        Raises:
            MissingPackage: its package is not installed.
        """
        package = None if name.startswith("_") else find_package_exporting(name)
        if package:
            try:
                found = getattr(import_module(package.replace("-", "_")), name)
            except ModuleNotFoundError as error:
                raise MissingPackage(name, package) from error
            if isinstance(found, type) and issubclass(found, NotificationBlock):
                return found
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
