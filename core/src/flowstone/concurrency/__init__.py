"""Let only so many do a thing at a time, or so often: slots under limits, in sync and async code.

`flowstone limit set NAME --slots N` makes a limit. All that use it by its name share its slots, in
whichever process they are.
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
