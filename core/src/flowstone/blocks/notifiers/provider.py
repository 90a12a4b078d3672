"""NotifierProvider: what a package writes behind a notifier."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowstone.blocks.notifiers.note import Note


class NotifierProvider(ABC):
    """The place that a `Notifier` sends to, and one try to send there.

    What is common to all comes from the notifier: checks, cutting, further tries. It also hides the
    block's secrets in errors, so that a provider quotes the service as it is.

    Attributes:
        max_body_length: characters that a body may have; a longer one is cut, with a mark. None
            is any number.
        max_subject_length: characters that a subject may have.
    """

    max_body_length: int | None = None
    max_subject_length: int = 250

    @property
    @abstractmethod
    def where(self) -> str:
        """The place, for messages; no secret may be in it."""

    @abstractmethod
    def deliver(self, note: Note) -> None:
        """Send once, within the notifier's `timeout_seconds`.

        Raises:
            NotificationUnsent: it did certainly not arrive, so that it may be sent again.
            NotificationDenied: the login or the secret URL was refused; where that is kept
                elsewhere, it is read again, and the note sent once more.
            NotificationFailed: it was refused for another reason, or may have arrived.
        """
