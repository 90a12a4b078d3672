"""Concurrency limits for sync code, under their module name in Prefect."""

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
    """Wait until slots are free under rate limits, and use them up.

    Nothing is freed explicitly: a limit frees `slot_decay_per_second` slots per second.

    Args:
        names: the names of the limits. A limit that does not exist is not enforced; a warning is
            logged once.
        occupy: the number of slots under each of them.
        timeout_seconds: seconds to wait; None to wait forever.
        strict: whether to raise if a limit does not exist.

    Raises:
        SlotTimeout: the timeout has expired.
        ObjectNotFound: with `strict`, there is no such limit; the message lists similar names.
        ConfigurationError: a limit has no decay, or fewer slots than requested.
    """
    turn = make_slot_request(names, occupy, strict, is_rate=True)
    try:
        turn.wait(timeout_seconds)
        warn_of_missing(turn)
    finally:
        run_story(give_back(turn))
