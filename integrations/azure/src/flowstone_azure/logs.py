"""The SDK's own log lines without secrets: at DEBUG, urllib3 writes whole URLs with their SAS."""

from __future__ import annotations

import logging
import re

from flowstone.records.redaction import MASK, redact

_SIGNATURE = re.compile(r"(?i)([?&;\s](?:sig|client_secret|refresh_token)=)[^&;\s\"']+")
_LOGGERS = ("azure", "msal", "requests", "urllib3")


class _Quiet(logging.Filter):
    """Rewrites a record; a filter, because the SDK's records go to handlers that are not ours."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact_line(record.getMessage()), None
        return True


_quiet = _Quiet()


def redact_line(text: str) -> str:
    """Return the text without the secrets that are known, nor a signature in a URL."""
    return redact(_SIGNATURE.sub(rf"\1{MASK}", text))


def keep_secrets() -> None:
    """Make every logger of the SDK that exists by now leave secrets out; do it again at will."""
    for name in tuple(logging.root.manager.loggerDict):
        if name.partition(".")[0] in _LOGGERS:
            # A filter works on its own logger only, not on those below.
            logging.getLogger(name).addFilter(_quiet)
