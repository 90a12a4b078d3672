"""One attempt to send a message to a server, with a timeout for the whole attempt."""

from __future__ import annotations

import smtplib
from contextlib import suppress
from typing import TYPE_CHECKING

from flowstone.blocks.notifiers import deadline, hang_up
from flowstone_email.credentials import EmailServerCredentials, create_server, log_in
from flowstone_email.errors import FAILURES, translate

if TYPE_CHECKING:
    from collections.abc import Collection
    from email.message import EmailMessage


def send_message(
    message: EmailMessage, login: EmailServerCredentials, *, seconds: float, where: str
) -> Collection[str]:
    """Send a message; return the addresses that the server refused, if it accepted others.

    Args:
        message: the message with its addresses.
        login: the credentials of the server.
        seconds: the timeout of the whole attempt, in seconds.
        where: the mailboxes and the server, for messages.

    Raises:
        NotificationUnsent: it certainly did not arrive.
        NotificationDenied: the credentials were refused.
        NotificationFailed: it was refused, or may have arrived.
    """
    login = login.model_copy(update={"timeout_seconds": seconds})
    server, was_sending = create_server(login), False
    with deadline(seconds, lambda: hang_up(server.sock)) as over:
        try:
            log_in(server, login)
            was_sending = True
            refused = server.send_message(message)
            with suppress(smtplib.SMTPException, OSError):
                server.quit()
        except FAILURES as error:
            late = seconds if over.is_set() or isinstance(error, TimeoutError) else None
            failure = translate(where, error, was_sending=was_sending, late=late)
        else:
            return refused
        finally:
            server.close()
    raise failure  # outside any `except`: the server's message may show a secret
