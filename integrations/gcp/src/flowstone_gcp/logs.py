"""Redaction of the SDK's log records, which contain whole requests and responses at DEBUG."""

from __future__ import annotations

import logging

from flowstone.records.redaction import redact

#: Attributes of the SDK's records with the content of a request or a response.
_CONTENTS = ("httpRequest", "httpResponse", "request", "response", "rpcRequest", "rpcResponse")
_LOGGERS = "google.cloud.secretmanager"


class _Quiet(logging.Filter):
    """Removes the content from a record; a filter, as the records also go to other handlers."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()), None
        for name in _CONTENTS:
            record.__dict__.pop(name, None)
        return True


_quiet = _Quiet()


def keep_secrets() -> None:
    """Add the filter to the existing loggers of Secret Manager; may be called repeatedly."""
    for name in tuple(logging.root.manager.loggerDict):
        if name.startswith(_LOGGERS):
            # A filter of a logger does not apply to its children.
            logging.getLogger(name).addFilter(_quiet)
