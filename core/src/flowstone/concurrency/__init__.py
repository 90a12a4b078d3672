"""Let only so many do a thing at a time, or so often: slots under limits, in sync and async code.

`flowstone limit set NAME --slots N` makes a limit. All that use it by its name share its slots, in
whichever process they are.
"""

from flowstone.concurrency.asyncio import rate_limit as arate_limit
from flowstone.concurrency.slots import concurrency
from flowstone.concurrency.sync import rate_limit

__all__ = ["arate_limit", "concurrency", "rate_limit"]
