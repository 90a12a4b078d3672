"""The position of the calling code: the Flowstone run whose MLflow run it logs to."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import lru_cache
from time import monotonic, sleep
from typing import TYPE_CHECKING

from flowstone import runtime
from flowstone.errors import MissingContextError
from flowstone.observers import is_observer_chosen
from flowstone_mlflow.errors import NotTracked, TrackingUnavailable
from flowstone_mlflow.spool import NAME, Spool

if TYPE_CHECKING:
    from flowstone_mlflow.credentials import MlflowTracking

#: The tag that marks a task, and the prefix of the tag of runs that a program tracks.
MARK = NAME
TRACKED = f"{NAME}:"
#: Timeout in seconds of waiting for the MLflow run to be created.
PATIENCE = 30.0
POLL_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Position:
    """The run that the code logs to: its marked task's, else its flow's.

    Attributes:
        is_tracked: whether a process sends what is logged.
    """

    run_id: str
    attempt: int
    root_id: str
    is_tracked: bool

    @property
    def spool(self) -> Spool:
        return _open_spool(self.root_id)


@lru_cache(maxsize=64)
def _open_spool(root_id: str) -> Spool:
    return Spool(root_id)


def find_position(what: str) -> Position:
    """Return the position of the calling code.

    Args:
        what: the calling function, for the error.

    Raises:
        MissingContextError: it is outside of a run.
    """
    task, flow = runtime.task_run, runtime.flow_run
    task_id = task.id
    found = task if task_id is not None and MARK in task.tags else flow
    run_id = found.id
    if run_id is None:
        if task_id is None:
            raise MissingContextError(what)
        raise NotTracked(f"{what} in a task without the tag {MARK!r}, outside a flow")
    tags = found.tags
    root_id = flow.root_flow_run_id or run_id
    is_tracked = is_observer_chosen(NAME) or any(tag.startswith(TRACKED) for tag in tags)
    return Position(run_id, found.run_count, root_id, is_tracked)


def current_run_id() -> str:
    """Return the id of the MLflow run that this code logs to, waiting until it is created.

    It is the MLflow run of the task if that is marked, or else of the flow.

    Raises:
        MissingContextError: this is outside of a run.
        NotTracked: the run is not tracked.
        TrackingUnavailable: the server does not answer.
    """
    position = find_position("current_run_id()")
    if not position.is_tracked:
        raise NotTracked("current_run_id()")
    spool, end = position.spool, monotonic() + PATIENCE
    while (found := spool.read_id(position.run_id, position.attempt)) is None:
        if monotonic() > end or spool.is_away:
            raise TrackingUnavailable(
                "current_run_id()",
                "the MLflow server has not created the run yet",
                "Check that it is running, or use functions that don't need the id.",
            )
        sleep(POLL_SECONDS)
    return found


async def acurrent_run_id() -> str:
    """Async version of `current_run_id`."""
    return await asyncio.to_thread(current_run_id)


def current_tracking() -> MlflowTracking:
    """Return the block that the current run is tracked with.

    Raises:
        MissingContextError: this is outside of a run.
        NotTracked: the run is not tracked.
    """
    position = find_position("current_tracking()")
    end = monotonic() + PATIENCE
    while position.is_tracked and monotonic() < end:
        if (found := position.spool.read_tracking()) is not None:
            return found
        sleep(POLL_SECONDS)
    raise NotTracked("current_tracking()")
