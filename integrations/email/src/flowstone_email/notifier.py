"""EmailNotifier: notes as mail."""

from __future__ import annotations

import asyncio
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from flowstone.blocks.notifiers import Note, Notifier, NotifierProvider, cut
from flowstone.errors import NotificationFailed, NotificationInvalid
from flowstone_email.credentials import EmailServerCredentials
from flowstone_email.sending import send_message

if TYPE_CHECKING:
    from collections.abc import Collection

#: Maximum length of a subject that is taken from the first line.
FIRST_LINE = 80


class EmailNotifier(Notifier):
    """Sends notes by mail, as text and optionally also as HTML."""

    _description: ClassVar[str | None] = "Notes by mail."
    _code_example: ClassVar[str | None] = (
        'server = EmailServerCredentials(smtp_server="mail.example.org")\n'
        'EmailNotifier(server=server, email_to=["us@example.org"]).save("us")'
    )

    server: EmailServerCredentials = Field(
        default_factory=EmailServerCredentials, description="The server that sends the mail."
    )
    email_from: str | None = Field(
        default=None, description="The sender address; by default the server's username."
    )
    email_to: list[str] = Field(default_factory=list, description="The recipients' addresses.")

    def send(self, body: str, subject: str | None = None, html: str | None = None) -> None:
        """Send a note like `notify`, with an HTML version for mail clients that support it.

        Args:
            body: the text, which is truncated with a mark if it is very long.
            subject: one line; by default the first line of the body.
            html: a complete page; sent unchanged, except that secrets are masked.

        Raises:
            NotificationFailed: see `notify`.
        """
        self.send_note(Note(body, subject, html))

    async def asend(self, body: str, subject: str | None = None, html: str | None = None) -> None:
        """Async version of `send`."""
        await asyncio.to_thread(self.send, body, subject, html)

    def make_provider(self) -> SmtpProvider:
        """Return the provider for the mailboxes."""
        return SmtpProvider(self)


class SmtpProvider(NotifierProvider):
    """Mailboxes, by an SMTP server."""

    max_body_length = 500_000

    def __init__(self, notifier: EmailNotifier) -> None:
        self._notifier = notifier

    @property
    def where(self) -> str:
        name, server = self._notifier.name, self._notifier.server
        return f"mail{f' {name!r}' if name else ''} by {server.host()}:{server.port()}"

    def deliver(self, note: Note) -> None:
        notifier = self._notifier
        self._check_all_taken(
            send_message(
                self._write(note),
                notifier.server,
                seconds=notifier.timeout_seconds,
                where=self.where,
            )
        )

    def _check_all_taken(self, refused: Collection[str]) -> None:
        if refused:
            problem = f"{len(refused)} of {len(self._notifier.email_to)} addresses were refused"
            raise NotificationFailed(self.where, problem, "Check `email_to`.")

    def _write(self, note: Note) -> EmailMessage:
        notifier = self._notifier
        sender = notifier.email_from or notifier.server.username
        if not (sender and notifier.email_to):
            problem = "it has no sender or no recipients"
            raise NotificationInvalid(self.where, problem, "Set `email_from` and `email_to`.")
        first = note.body.strip().splitlines() or ["(nothing)"]
        message = EmailMessage()
        try:
            # A line break in one of them would begin another header; `email` refuses it.
            message["Subject"] = note.subject or cut(first[0], FIRST_LINE)
            message["From"], message["To"] = sender, ", ".join(notifier.email_to)
            message["Date"], message["Message-ID"] = formatdate(), make_msgid()
        except (ValueError, IndexError) as error:
            problem = f"an address or the subject can't be sent: {error}"
        else:
            message.set_content(note.body)
            if note.html is not None:
                message.add_alternative(note.html, subtype="html")
            return message
        raise NotificationInvalid(self.where, problem, "Check `email_from` and `email_to`.")
