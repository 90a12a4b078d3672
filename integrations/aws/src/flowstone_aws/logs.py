"""The SDK's own log lines without secrets: at DEBUG it writes whole requests and answers."""

from __future__ import annotations

import logging
import re

from flowstone.records.redaction import MASK, redact

#: Tokens and keys that this process may never have seen before, where the SDK writes them.
_FIELDS = re.compile(
    r"""(?ix)
    ( x-amz-security-token ['"]? \s* [:=]\s* b?['"]?         # a header, a parameter of a URL
    | <(?:secretaccesskey|sessiontoken|token-0)>             # an answer of STS or S3 in XML
    | ['"](?:secretaccesskey|sessiontoken|token|accesstoken|refreshtoken|clientsecret
        |tokencode)['"] \s*:\s* b?['"]                        # an answer in JSON, a dict
    | tokencode=
    )
    [^'"&<>\s\\]+
    """
)
_LOGGERS = ("boto3", "botocore", "s3transfer", "urllib3")


class _Quiet(logging.Filter):
    """Rewrites a record; a filter, because the SDK's records go to handlers that are not ours."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact_line(record.getMessage()), None
        return True


_quiet = _Quiet()


def redact_line(text: str) -> str:
    """Return the text without the secrets that are known, nor those that stand where AWS's do."""
    # By place first: a known secret may be a word that the places are found by.
    return redact(_FIELDS.sub(rf"\1{MASK}", text))


def keep_secrets() -> None:
    """Make every logger of the SDK that exists by now leave secrets out; do it again at will."""
    for name in tuple(logging.root.manager.loggerDict):
        if name.partition(".")[0] in _LOGGERS:
            # A filter works on its own logger only, not on those below.
            logging.getLogger(name).addFilter(_quiet)
