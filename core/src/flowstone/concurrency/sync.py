"""Slots for sync code, under the names that users know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.concurrency.slots import concurrency, give_back, make_slot_request, warn_of_missing
from flowstone.engine.story import run_story

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["concurrency", "rate_limit"]


def rate_limit(
    names: str | Sequence[str],
    occupy: int = 1,
    timeout_seconds: float | None = None,
    strict: bool = False,
) -> None:
    """Wait until slots are free under limits whose slots decay, and use them up.

    Nothing is given back: a limit with `slot_decay_per_second` frees so many slots in each second.

    Args:
        names: of the limits. One that is not there limits nothing; that is said once in a log.
        occupy: how many slots under each of them.
        timeout_seconds: how long to wait; None waits as long as it takes.
        strict: raise where a limit is not there.

    Raises:
        SlotTimeout: the time is over.
        ObjectNotFound: with `strict`, there is no such limit; near ones are named.
        ConfigurationError: a limit has no decay, or never has so many slots.
    """
    turn = make_slot_request(names, occupy, strict, is_rate=True)
    try:
        turn.wait(timeout_seconds)
        warn_of_missing(turn)
    finally:
        run_story(give_back(turn))
