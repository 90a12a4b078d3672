"""Which deployments have changed: whoever changes one says so to those who make its runs."""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

from flowstone.context.current import services
from flowstone.errors import ObjectAlreadyExists, StaleDocument

_KIND, _NAME = "schedule-changes", "deployments"
#: So many changes are known by name; whoever has missed more looks at all deployments.
_REMEMBERED = 100


class Changes(NamedTuple):
    """What has changed up to now.

    Attributes:
        number: the number of changes that were ever noted.
        names: the full names of the deployments that changed last, in that order.
    """

    number: int
    names: list[str]

    def find_since(self, number: int) -> set[str] | None:
        """Return which deployments have changed since there were so many changes.

        None means that any of them may have.
        """
        missed = self.number - number
        if not 0 <= missed <= len(self.names):
            return None
        return set(self.names[len(self.names) - missed :])


def read_changes() -> Changes:
    """Return what has changed; what changes later has a higher number."""
    found = services().documents.find(_KIND, names=[_NAME])
    return Changes(found[0].version, found[0].body["names"]) if found else Changes(0, [])


def note_change(full_name: str) -> None:
    """Say that a deployment, or how far its schedules are, has just been changed."""
    while True:
        number, names = read_changes()
        body = {"names": [*names, full_name][-_REMEMBERED:]}
        with suppress(StaleDocument, ObjectAlreadyExists):
            services().documents.put(_KIND, _NAME, body, expected=number)
            return
