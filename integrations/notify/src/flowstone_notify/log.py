"""DeliveryLog: what a plugin of Apprise says while it sends, and nobody else hears."""

from __future__ import annotations

import logging
import sys


class DeliveryLog(logging.Handler):
    """Keeps what one delivery is told of.

    Apprise says only yes or no, and the rest to its logger: URLs and payloads too, with their
    secrets. So a plugin gets a logger of its own, which hands nothing on.

    Attributes:
        warnings: what went wrong, in order.
        details: what the service has answered.
        error: what the HTTP client raised.
        was_taken: whether somebody has got the note.
    """

    def __init__(self) -> None:
        super().__init__()
        self.warnings: list[str] = []
        self.details = ""
        self.error: BaseException | None = None
        self.was_taken = False
        self.logger = logging.Logger("flowstone_notify", logging.DEBUG)  # noqa: LOG001 - no parent
        self.logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        caught = sys.exc_info()[1]
        if isinstance(caught, OSError):  # those of the HTTP client are; what no answer is, is not
            self.error = self.error or caught
        if record.levelno == logging.WARNING or record.levelno == logging.ERROR:
            self.warnings.append(record.getMessage())
        elif record.levelno == logging.INFO:
            self.was_taken = self.was_taken or record.getMessage().startswith("Sent ")
        elif "Response Details" in str(record.msg):
            given = record.args if isinstance(record.args, tuple) else ()
            answer = next((each for each in given if isinstance(each, bytes)), b"")
            self.details = answer.decode("utf-8", "replace").strip()

    def describe(self) -> str:
        """Return what went wrong, as Apprise and the service word it."""
        told = [text.strip().rstrip(".") for text in self.warnings]
        return ": ".join(filter(None, ["; ".join(dict.fromkeys(told)), self.details]))
