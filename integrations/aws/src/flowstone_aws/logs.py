"""Redaction of the SDK's log records, which contain whole requests and responses at DEBUG."""

from __future__ import annotations

import logging
import re

from flowstone.records.redaction import MASK, redact

#: Tokens and keys that this process may not know yet, by their places in the SDK's messages.
_FIELDS = re.compile(
    r"""(?ix)
    ( x-amz-security-token ['"]? \s* [:=]\s* b?['"]?         # a header, a parameter of a URL
    | <(?:secretaccesskey|sessiontoken|token-0)>             # a response of STS or S3 in XML
    | ['"](?:secretaccesskey|sessiontoken|token|accesstoken|refreshtoken|clientsecret
      |tokencode)['"] \s*:\s* b?['"]                        # a response in JSON, a dict
    | tokencode=
    )
    [^'"&<>\s\\]+
    """
)
_LOGGERS = ("boto3", "botocore", "s3transfer", "urllib3")


class _Quiet(logging.Filter):
    """Redacts a record; a filter, because the SDK's records also go to other handlers."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact_line(record.getMessage()), None
        return True


_quiet = _Quiet()


def redact_line(text: str) -> str:
    """Return the text without known secrets, and without tokens where AWS's messages have them."""
    # By place first: a known secret may be a word that identifies a place.
    return redact(_FIELDS.sub(rf"\1{MASK}", text))


def keep_secrets() -> None:
    """Redact the records of all current loggers of the SDK; may be called again."""
    for name in tuple(logging.root.manager.loggerDict):
        if name.partition(".")[0] in _LOGGERS:
            # A filter of a logger does not apply to its children.
            logging.getLogger(name).addFilter(_quiet)
