"""The wait of a paused run: a separate lifecycle inside the flow's call."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from flowstone.engine.policy import find_request
from flowstone.engine.steps import Log, Record, Refresh, Resume, Sleep
from flowstone.errors import PauseTimeout, StoreError
from flowstone.records.states import PAUSED, Running

if TYPE_CHECKING:
    from flowstone.engine.lifecycle import Lifecycle

#: Maximum number of seconds between two polls.
LOOK = 1.0


def pause(name: str, message: str, timeout: float, interval: float) -> Lifecycle:
    """Wait until the run is resumed.

    Args:
        name: the run's name.
        message: a description of what it waits for.
        timeout: the maximum wait in seconds.
        interval: the maximum number of seconds between two polls.

    Raises:
        PauseTimeout: it was not resumed in time. The run continues, as its code may catch this.
    """
    paused = yield Record(PAUSED, "Paused", message)
    yield Log(logging.INFO, f"paused: {message}")
    while True:
        try:
            now, state = yield Refresh()
            is_waiting = state.type is PAUSED
            if find_request(state) is not None:  # a signal delivers the request during the sleep
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
