"""Who is told of what was kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowstone.records.events import Event


class Observer(Protocol):
    """Is told of what a process has written, after it is kept; it changes nothing of it.

    All calls come from one thread of its own, so that it can't hold up a run. What it raises is
    logged, and breaks nothing.
    """

    def observe(self, events: Sequence[Event]) -> None:
        """Take facts: in the order they were kept, each once, without values, secrets masked.

        A kind of event, or of payload, that it does not know is none of its business.
        """

    def close(self) -> None:
        """Finish: send what is held back, let go of files and connections. Twice is fine."""


class Observers(Protocol):
    """The observers of one process."""

    def join(self, observer: Observer) -> None:
        """Tell an observer of what is written from here on."""

    def leave(self, observer: Observer) -> None:
        """Tell an observer what is left, close it, and wait for that: a few seconds at most."""

    def close(self) -> None:
        """Let all leave, at the same time."""
