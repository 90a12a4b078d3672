"""How a paused run waits for somebody: a life of its own, inside the flow's call."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from flowstone.engine.policy import find_request
from flowstone.engine.steps import Log, Record, Refresh, Resume, Sleep
from flowstone.errors import PauseTimeout, StoreError
from flowstone.records.states import PAUSED, Running

if TYPE_CHECKING:
    from flowstone.engine.lifecycle import Lifecycle

#: The longest time between two polls, in seconds.
LOOK = 1.0


def pause(name: str, message: str, timeout: float, interval: float) -> Lifecycle:
    """Wait until somebody resumes the run.

    Args:
        name: the run's.
        message: what it waits for.
        timeout: the maximum wait in seconds.
        interval: the longest time between two polls, in seconds.

    Raises:
        PauseTimeout: nobody did. The run goes on all the same, as its code may catch this.
    """
    paused = yield Record(PAUSED, "Paused", message)
    yield Log(logging.INFO, f"paused: {message}")
    while True:
        try:
            now, state = yield Refresh()
            is_waiting = state.type is PAUSED
            if find_request(state) is not None:  # a signal says so, and comes into the sleep
                now, is_waiting = paused.at, True
        except StoreError as error:
            yield Log(logging.WARNING, f"can't see whether it was resumed: {error}")
            now, is_waiting = paused.at, True
        left = paused.at + timeout - now
        if not is_waiting or left <= 0:
            break
        yield Sleep(min(interval, LOOK, left))
    if not (yield Resume()):
        raise PauseTimeout(name, timeout)
    yield Log(logging.INFO, "resumed")
    return Running()
