"""Concurrency limits and rate limits: slots that sync and async code acquires.

`flowstone limit set NAME --slots N` creates a limit. All code that uses its name shares its slots,
in any process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.plugins.exports import lazy_exports

if TYPE_CHECKING:
    from flowstone.concurrency.asyncio import arate_limit
    from flowstone.concurrency.slots import concurrency
    from flowstone.concurrency.sync import rate_limit

__all__ = ["arate_limit", "concurrency", "rate_limit"]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".asyncio": ("arate_limit",),
            ".slots": ("concurrency",),
            ".sync": ("rate_limit",),
        },
    )
