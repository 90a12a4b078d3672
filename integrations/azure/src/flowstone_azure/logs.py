"""Redaction of the SDK's log records: at DEBUG, urllib3 logs full URLs with their SAS."""

from __future__ import annotations

import logging
import re

from flowstone.records.redaction import MASK, redact

_SIGNATURE = re.compile(r"(?i)([?&;\s](?:sig|client_secret|refresh_token)=)[^&;\s\"']+")
_LOGGERS = ("azure", "msal", "requests", "urllib3")


class _Quiet(logging.Filter):
    """Masks secrets in a record; a filter, as the records also go to other handlers."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact_line(record.getMessage()), None
        return True


_quiet = _Quiet()


def redact_line(text: str) -> str:
    """Mask known secrets and the signatures of URLs in a text."""
    return redact(_SIGNATURE.sub(rf"\1{MASK}", text))


def keep_secrets() -> None:
    """Add the filter to all existing loggers of the SDK; may be called repeatedly."""
    for name in tuple(logging.root.manager.loggerDict):
        if name.partition(".")[0] in _LOGGERS:
            # A filter of a logger does not apply to its children.
            logging.getLogger(name).addFilter(_quiet)
