"""The port of observers, which are notified of events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowstone.records.events import Event


class Observer(Protocol):
    """Is notified of the events that this process has written, after they are stored.

    All calls come from one thread, which does not delay runs. Exceptions are logged, and have no
    other effect.
    """

    def observe(self, events: Sequence[Event]) -> None:
        """Handle events: in the order they were stored, each once, without values, secrets masked.

        Ignore kinds of events and payloads that are unknown.
        """

    def close(self) -> None:
        """Send what is buffered, and close files and connections. It may be called twice."""


class Observers(Protocol):
    """The observers of one process."""

    def join(self, observer: Observer) -> None:
        """Notify an observer of what is written from now on."""

    def leave(self, observer: Observer) -> None:
        """Send an observer the rest, close it, and wait for that, for a few seconds at most."""

    def close(self) -> None:
        """Remove all observers, at the same time."""
