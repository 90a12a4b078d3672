"""Email for Flowstone: credentials of an SMTP server, and notes that it sends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.plugins.exports import lazy_exports

if TYPE_CHECKING:
    from flowstone_email.credentials import EmailServerCredentials
    from flowstone_email.message import aemail_send_message, email_send_message
    from flowstone_email.notifier import EmailNotifier

__all__ = [
    "EmailNotifier",
    "EmailServerCredentials",
    "aemail_send_message",
    "email_send_message",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".credentials": ("EmailServerCredentials",),
            ".message": ("aemail_send_message", "email_send_message"),
            ".notifier": ("EmailNotifier",),
        },
    )
