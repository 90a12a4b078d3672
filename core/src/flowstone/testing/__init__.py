"""Test utilities: services in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.plugins.exports import lazy_exports

if TYPE_CHECKING:
    from flowstone.testing.memory import flowstone_test_harness, memory_services

__all__ = [
    "flowstone_test_harness",
    "memory_services",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".memory": ("flowstone_test_harness", "memory_services"),
        },
    )
