"""Observers: notified of what a process has written, after it is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.plugins.exports import lazy_exports

if TYPE_CHECKING:
    from flowstone.observers.audience import observing
    from flowstone.observers.chosen import (
        find_run,
        is_observer_chosen,
        make_observer_directory,
    )
    from flowstone.observers.events_file import EventsFile

__all__ = [
    "EventsFile",
    "find_run",
    "is_observer_chosen",
    "make_observer_directory",
    "observing",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".audience": ("observing",),
            ".chosen": ("find_run", "is_observer_chosen", "make_observer_directory"),
            ".events_file": ("EventsFile",),
        },
    )
