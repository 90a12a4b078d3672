"""Keep secrets out of the SDK's log records: at DEBUG they carry whole requests and responses."""

from __future__ import annotations

import logging

from flowstone.records.redaction import redact

#: Attributes of the SDK's records that have the content of a request or a response.
_CONTENTS = ("httpRequest", "httpResponse", "request", "response", "rpcRequest", "rpcResponse")
_LOGGERS = "google.cloud.secretmanager"


class _Quiet(logging.Filter):
    """Takes the content out of a record; a filter, as records go to handlers we don't own."""

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
            # A filter works on its own logger only, not on those below.
            logging.getLogger(name).addFilter(_quiet)
