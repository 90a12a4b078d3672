"""NotifierProvider: the class that a package implements for a notifier."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowstone.blocks.notifiers.note import Note


class NotifierProvider(ABC):
    """The destination of a `Notifier`, and a single attempt to send to it.

    The notifier does what all providers need: checks, cutting, retries. It also masks the block's
    secrets in errors, so a provider can quote the service's responses unchanged.

    Attributes:
        max_body_length: the maximum length of a body in characters; a longer one is cut, with a
            mark. None for no limit.
        max_subject_length: the maximum length of a subject in characters.
    """

    max_body_length: int | None = None
    max_subject_length: int = 250

    @property
    @abstractmethod
    def where(self) -> str:
        """The destination, for messages; it must not contain secrets."""

    @abstractmethod
    def deliver(self, note: Note) -> None:
        """Send once, within the notifier's `timeout_seconds`.

        Raises:
            NotificationUnsent: it has certainly not arrived, so it may be sent again.
            NotificationDenied: the credentials or the secret URL were refused. If they are
                references, they are read again, and the note is sent once more.
            NotificationFailed: it was refused for another reason, or may have arrived.
        """
