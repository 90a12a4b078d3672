"""Changes of deployments, published for the processes that create their runs."""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

from flowstone.context.current import services
from flowstone.errors import ObjectAlreadyExists, StaleDocument

_KIND, _NAME = "schedule-changes", "deployments"
#: Number of changes known by name; a process that has missed more reads all deployments.
_REMEMBERED = 100


class Changes(NamedTuple):
    """The changes so far.

    Attributes:
        number: the total number of changes.
        names: the full names of the last changed deployments, in order.
    """

    number: int
    names: list[str]

    def find_since(self, number: int) -> set[str] | None:
        """Return the deployments that have changed since that number of changes.

        None means that any of them may have.
        """
        missed = self.number - number
        if not 0 <= missed <= len(self.names):
            return None
        return set(self.names[len(self.names) - missed :])


def read_changes() -> Changes:
    """Return the changes so far; later changes have higher numbers."""
    found = services().documents.find(_KIND, names=[_NAME])
    return Changes(found[0].version, found[0].body["names"]) if found else Changes(0, [])


def note_change(full_name: str) -> None:
    """Publish that a deployment, or the progress of its schedules, has just changed."""
    while True:
        number, names = read_changes()
        body = {"names": [*names, full_name][-_REMEMBERED:]}
        with suppress(StaleDocument, ObjectAlreadyExists):
            services().documents.put(_KIND, _NAME, body, expected=number)
            return
