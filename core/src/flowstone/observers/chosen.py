"""Helpers for observers: whether one is enabled, its directory, and reading runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.context import current
from flowstone.errors import RunNotFound
from flowstone.settings import make_private_directory

if TYPE_CHECKING:
    from pathlib import Path

    from flowstone.records.runs import Run


def is_observer_chosen(name: str) -> bool:
    """Return whether ``FLOWSTONE_OBSERVERS`` names an observer, also from within a task.

    Code in tasks uses this to find out whether its data will be used.
    """
    return name in current.services().settings.observers


def find_run(run_id: str) -> Run | None:
    """Return a run from the store; None if there is no run with that id.

    An observer gets no event for the creation of a run in another process, such as a run that is
    retried here.
    """
    try:
        found = current.services().runs.run(run_id)
    except RunNotFound:
        return None
    return found if found.id == run_id else None


def make_observer_directory(name: str) -> Path:
    """Return the observer's own private directory in the home, creating it if needed."""
    directory = current.services().settings.home / name
    make_private_directory(directory)
    return directory
