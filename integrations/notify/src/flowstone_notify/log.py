"""DeliveryLog: the log of an Apprise plugin for one delivery, which is not passed on."""

from __future__ import annotations

import logging
import sys


class DeliveryLog(logging.Handler):
    """Collects the log records of one delivery.

    Apprise returns only success or failure, and logs the rest, including URLs and payloads with
    secrets. So each plugin gets a separate logger that passes nothing on.

    Attributes:
        warnings: what went wrong, in order.
        details: the responses of the service.
        error: the error of the HTTP client.
        was_taken: whether any recipient got the note.
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
        if isinstance(caught, OSError):  # those of the HTTP client are
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
        """Return what went wrong, from the messages of Apprise and the service."""
        told = [text.strip().rstrip(".") for text in self.warnings]
        return ": ".join(filter(None, ["; ".join(dict.fromkeys(told)), self.details]))
