"""Slots for async code, under the names that users know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.concurrency.slots import concurrency, give_back, make_slot_request, warn_of_missing

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["concurrency", "rate_limit"]


async def rate_limit(
    names: str | Sequence[str],
    occupy: int = 1,
    timeout_seconds: float | None = None,
    strict: bool = False,
) -> None:
    """Do as the sync `rate_limit`, and let other coroutines run meanwhile."""
    turn = make_slot_request(names, occupy, strict, is_rate=True)
    try:
        await turn.await_slots(timeout_seconds)
        warn_of_missing(turn)
    finally:
        give_back(turn)


#: Its name in `flowstone.concurrency`, beside the sync one.
arate_limit = rate_limit
