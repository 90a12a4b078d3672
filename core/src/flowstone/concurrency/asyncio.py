"""Concurrency limits for async code, under their module name in Prefect."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from flowstone.concurrency.slots import concurrency, give_back, make_slot_request, warn_of_missing
from flowstone.engine.blocking_calls import call_blocking
from flowstone.engine.story import arun_story

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["concurrency", "rate_limit"]


async def rate_limit(
    names: str | Sequence[str],
    occupy: int = 1,
    timeout_seconds: float | None = None,
    strict: bool = False,
) -> None:
    """Async version of `rate_limit`."""
    make = partial(make_slot_request, names, occupy, strict, is_rate=True)
    turn = await call_blocking(make)
    try:
        await turn.await_slots(timeout_seconds)
        await call_blocking(warn_of_missing, turn)
    finally:
        await arun_story(give_back(turn))


#: Its name in `flowstone.concurrency`, beside the sync version.
arate_limit = rate_limit
