"""Translation of an SMTP server's responses to errors of Flowstone."""

from __future__ import annotations

import smtplib

from flowstone.errors import (
    CredentialsError,
    NotificationDenied,
    NotificationFailed,
    NotificationUnsent,
)
from flowstone.records.redaction import redact

#: Errors of a conversation with a server.
FAILURES = (CredentialsError, smtplib.SMTPException, OSError, ValueError)
#: The first digit of a response that means "retry later": RFC 5321, 4.2.1.
NOT_NOW = 4


def translate(
    where: str, error: Exception, *, was_sending: bool, late: float | None
) -> NotificationFailed:
    """Return the error for a failure; it tells whether the mail certainly did not arrive.

    Args:
        where: the mailboxes and the server, as the prefix of the message.
        error: one of `FAILURES`.
        was_sending: whether the message was being sent.
        late: the timeout in seconds, if it has passed.
    """
    if isinstance(error, CredentialsError):
        return NotificationDenied(where, error.problem, error.remedy)
    problem = describe(error) if late is None else f"it took longer than {late:g} s"
    code = find_code(error)
    if code is None and was_sending:
        remedy = "Check there whether it has arrived before you send it again."
        return NotificationFailed(where, f"no answer: {problem}", remedy)
    if code is None or code // 100 == NOT_NOW:
        remedy = "Check that the server is up, and `server`, its port and its certificate."
        return NotificationUnsent(where, problem, remedy, code)
    return NotificationFailed(where, problem, "See what the server reports.", code)


def find_code(error: Exception) -> int | None:
    """Return the code of the server's response; for several recipients, the most severe one."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return max(code for code, _ in error.recipients.values())
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return 550
    return error.smtp_code if isinstance(error, smtplib.SMTPResponseException) else None


def describe(error: Exception) -> str:
    """Return the server's message as one line, with secrets, which it may quote, masked."""
    return redact(_word(error))


def _word(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        answers = {_quote(code, text) for code, text in error.recipients.values()}
        return f"no address was accepted: {'; '.join(sorted(answers))}"
    if isinstance(error, smtplib.SMTPResponseException):
        return _quote(error.smtp_code, error.smtp_error)
    return str(getattr(error, "strerror", None) or error) or type(error).__name__


def _quote(code: int, text: bytes | str) -> str:
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return f"it answered {code}: {' '.join(words.splitlines())}"
