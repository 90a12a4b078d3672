"""What an observer's package asks of this process: whether it is chosen, and where it may write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.context import current
from flowstone.errors import RunNotFound
from flowstone.settings import make_private_directory

if TYPE_CHECKING:
    from pathlib import Path

    from flowstone.records.runs import Run


def is_observer_chosen(name: str) -> bool:
    """Tell whether ``FLOWSTONE_OBSERVERS`` names an observer, for the flow of a task, too.

    Code that runs in tasks asks this to know whether anybody takes what it hands over.
    """
    return name in current.services().settings.observers


def find_run(run_id: str) -> Run | None:
    """Return a run as the store has it; None where it has none of that id.

    A run that another process began, as one that is retried, has no birth among the facts that an
    observer of this process is told.
    """
    try:
        found = current.services().runs.run(run_id)
    except RunNotFound:
        return None
    return found if found.id == run_id else None


def make_observer_directory(name: str) -> Path:
    """Return the observer's own directory in the home, made where there is none: its owner's alone.

    It is the same one in the processes that tasks of a flow run in.
    """
    directory = current.services().settings.home / name
    make_private_directory(directory)
    return directory
