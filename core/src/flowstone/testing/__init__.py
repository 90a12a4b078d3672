"""What tests of flows, blocks and plugins need."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowstone.testing.memory import flowstone_test_harness, memory_services

__all__ = ["flowstone_test_harness", "memory_services"]


if not TYPE_CHECKING:  # which would take any name for one that is there

    def __getattr__(name: str) -> object:
        # The pytest plugin is in this package, and must load nothing else.
        if name in __all__:
            return getattr(import_module("flowstone.testing.memory"), name)
        message = f"module 'flowstone.testing' has no attribute {name!r}"
        raise AttributeError(message)
