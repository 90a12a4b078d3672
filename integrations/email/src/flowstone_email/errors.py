"""What an SMTP server's answers mean to who sends a note."""

from __future__ import annotations

import smtplib

from flowstone.errors import (
    CredentialsError,
    NotificationDenied,
    NotificationFailed,
    NotificationUnsent,
)
from flowstone.records.redaction import redact

#: What may go wrong in a conversation with a server.
FAILURES = (CredentialsError, smtplib.SMTPException, OSError, ValueError)
#: The first digit of an answer that says "not now": RFC 5321, 4.2.1.
NOT_NOW = 4


def translate(
    where: str, error: Exception, *, was_sending: bool, late: float | None
) -> NotificationFailed:
    """Return Flowstone's error for what went wrong: what did certainly not arrive is told apart.

    Args:
        where: the mailboxes and the server; it begins the message.
        error: one of `FAILURES`.
        was_sending: whether the message was on its way.
        late: the seconds that there were, where these have passed.
    """
    if isinstance(error, CredentialsError):
        return NotificationDenied(where, error.problem, error.remedy)
    problem = describe(error) if late is None else f"it took longer than {late:g} s"
    code = find_code(error)
    if code is None and was_sending:
        remedy = "Look there whether it has arrived before you send it again."
        return NotificationFailed(where, f"no answer: {problem}", remedy)
    if code is None or code // 100 == NOT_NOW:
        remedy = "Is the server up, and `server` right? Look at its port and certificate, too."
        return NotificationUnsent(where, problem, remedy, code)
    return NotificationFailed(where, problem, "Look at what the server says of it.", code)


def find_code(error: Exception) -> int | None:
    """Return the server's answer; of several recipients the one that is worst to fix."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return max(code for code, _ in error.recipients.values())
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return 550
    return error.smtp_code if isinstance(error, smtplib.SMTPResponseException) else None


def describe(error: Exception) -> str:
    """Return what the server has said, on one line; secrets, which it may quote, are masked."""
    return redact(_word(error))


def _word(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        answers = {_quote(code, text) for code, text in error.recipients.values()}
        return f"no address was taken: {'; '.join(sorted(answers))}"
    if isinstance(error, smtplib.SMTPResponseException):
        return _quote(error.smtp_code, error.smtp_error)
    return str(getattr(error, "strerror", None) or error) or type(error).__name__


def _quote(code: int, text: bytes | str) -> str:
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return f"it answered {code}: {' '.join(words.splitlines())}"
