"""Mail: a login to an SMTP server, and notes that go out by it."""

from __future__ import annotations

import asyncio
import smtplib
from contextlib import contextmanager, suppress
from dataclasses import replace
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from socket import gethostname
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, SecretStr

from flowstone.blocks.credentials import Credentials
from flowstone.blocks.notifiers.deadlines import deadline, hang_up, trust
from flowstone.blocks.notifiers.notifier import Note, Notifier, clean, cut
from flowstone.errors import (
    CredentialsError,
    NotificationDenied,
    NotificationFailed,
    NotificationInvalid,
    NotificationUnsent,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The ports of the ways to connect.
PORTS = {"SSL": 465, "STARTTLS": 587, "INSECURE": 25}
#: Servers that are known by a short name.
SERVERS = {
    "aol": "smtp.aol.com",
    "att": "smtp.mail.att.net",
    "comcast": "smtp.comcast.net",
    "gmail": "smtp.gmail.com",
    "icloud": "smtp.mail.me.com",
    "outlook": "smtp-mail.outlook.com",
    "yahoo": "smtp.mail.yahoo.com",
}
#: Mail without a subject gets so much of its first line.
FIRST_LINE = 80


class EmailServerCredentials(Credentials):
    """A login to an SMTP server."""

    _description: ClassVar[str | None] = "A login to a mail server that sends."
    _code_example: ClassVar[str | None] = (
        'EmailServerCredentials(smtp_server="mail.example.org", username="me").save("mail")\n'
        'EmailServerCredentials.load("mail").check()'
    )

    username: str | None = Field(default=None, description="Who logs in; None where nobody has to.")
    password: SecretStr | None = Field(default=None, description="The password, or an app's own.")
    smtp_server: str = Field(
        default="gmail", description="The host, or a short name: gmail, outlook, yahoo, icloud …"
    )
    smtp_type: Literal["SSL", "STARTTLS", "INSECURE"] = Field(
        default="SSL", description="Whether TLS comes at once, by STARTTLS, or not at all."
    )
    smtp_port: int | None = Field(
        default=None, description="The port; by default 465, 587 or 25, as the type says."
    )
    verify: bool = Field(default=True, description="Whether the server's certificate is checked.")
    timeout_seconds: float = Field(
        default=10.0, gt=0, le=600, description="How long the server may take to answer."
    )

    def host(self) -> str:
        """Return the server's host."""
        return SERVERS.get(self.smtp_server.lower(), self.smtp_server)

    def port(self) -> int:
        """Return the server's port."""
        return PORTS[self.smtp_type] if self.smtp_port is None else self.smtp_port

    def client(self) -> smtplib.SMTP:
        """Open a connection, logged in; close it, or use it in a `with`.

        Raises:
            CredentialsError: the login was refused.
            OSError: the server can't be reached, or its certificate is wrong.
        """
        server = self._unconnected()
        try:
            self._connect(server)
        except BaseException:
            server.close()
            raise
        return server

    def get_server(self) -> smtplib.SMTP:
        """Do as `client`, under the name that many know it by."""
        return self.client()

    def _unconnected(self) -> smtplib.SMTP:
        own, seconds = gethostname(), self.timeout_seconds
        server: smtplib.SMTP
        if self.smtp_type == "SSL":
            context = trust(self.verify)
            server = smtplib.SMTP_SSL(local_hostname=own, timeout=seconds, context=context)
        else:
            server = smtplib.SMTP(local_hostname=own, timeout=seconds)
        # `connect` forgets whom the certificate is to be of; only the constructor, which would
        # connect before we can break it off, remembers.
        server._host = self.host()  # type: ignore[attr-defined]  # noqa: SLF001
        return server

    def _connect(self, server: smtplib.SMTP) -> None:
        code, said = server.connect(self.host(), self.port())
        if code != 220:
            raise smtplib.SMTPConnectError(code, said)
        if self.smtp_type == "STARTTLS":
            server.starttls(context=trust(self.verify))
        if self.username is None:
            return
        try:
            server.login(self.username, self.password.get_secret_value() if self.password else "")
        except (smtplib.SMTPAuthenticationError, smtplib.SMTPNotSupportedError) as error:
            told = _said(error)
        else:
            return
        remedy = (
            "Look at `username`, `password` and `smtp_type`; some servers want an app password."
        )
        raise CredentialsError(f"{self.host()}:{self.port()}", told, remedy)

    def _check(self) -> str:
        with self.client() as server:
            server.noop()
        return f"{self.username or 'anybody'} may send by {self.host()}:{self.port()}"


class EmailNotifier(Notifier):
    """Sends notes by mail, as text and, where it is given, as HTML beside it."""

    _description: ClassVar[str | None] = "Mail to some people."
    _code_example: ClassVar[str | None] = (
        'server = EmailServerCredentials(smtp_server="mail.example.org")\n'
        'EmailNotifier(server=server, email_to=["us@example.org"]).save("us")'
    )
    _longest_body: ClassVar[int | None] = 500_000

    server: EmailServerCredentials = Field(
        default_factory=EmailServerCredentials, description="The server that sends."
    )
    email_from: str | None = Field(
        default=None, description="Who sends: an address; by default the server's username."
    )
    email_to: list[str] = Field(default_factory=list, description="To whom: addresses.")

    def send(self, body: str, subject: str | None = None, html: str | None = None) -> None:
        """Do as `notify`, with the same as HTML beside it: readers show what they can.

        Args:
            body: the text; of any length, cut with a mark where it is very long.
            subject: one line; by default the first of the body.
            html: a whole page; sent as it is, but for secrets, which are masked.

        Raises:
            NotificationFailed: as `notify` does.
        """
        self._deliver(
            replace(self._note(body, subject), html=None if html is None else clean(html))
        )

    async def asend(self, body: str, subject: str | None = None, html: str | None = None) -> None:
        """Do as `send`, and let other coroutines run meanwhile."""
        await asyncio.to_thread(self.send, body, subject, html)

    def _where(self) -> str:
        named = f" {self.name!r}" if self.name else ""
        return f"mail{named} by {self.server.host()}:{self.server.port()}"

    def _notify(self, note: Note) -> None:
        message = self._message(note)
        with self._told_apart() as conversation:
            server = conversation.server
            self.server._connect(server)  # noqa: SLF001 - one file, one conversation
            conversation.sending = True
            refused = server.send_message(message)
            with suppress(smtplib.SMTPException, OSError):
                server.quit()
        if refused:
            problem = f"{len(refused)} of {len(self.email_to)} addresses were refused"
            raise NotificationFailed(self._where(), problem, "Look at `email_to`.")

    def _message(self, note: Note) -> EmailMessage:
        sender = self.email_from or self.server.username
        if not (sender and self.email_to):
            problem = "it has nobody to send from, or to"
            raise NotificationInvalid(self._where(), problem, "Set `email_from` and `email_to`.")
        first = note.body.strip().splitlines() or ["(nothing)"]
        message = EmailMessage()
        try:
            # A line break in one of these would begin another header; `email` refuses it.
            message["Subject"] = note.subject or cut(first[0], FIRST_LINE)
            message["From"], message["To"] = sender, ", ".join(self.email_to)
            message["Date"], message["Message-ID"] = formatdate(), make_msgid()
        except (ValueError, IndexError) as error:
            problem = f"an address or the subject can't be sent: {error}"
        else:
            message.set_content(note.body)
            if note.html is not None:
                message.add_alternative(note.html, subtype="html")
            return message
        raise NotificationInvalid(self._where(), problem, "Look at `email_from` and `email_to`.")

    @contextmanager
    def _told_apart(self) -> Iterator[_Conversation]:
        """Tell what did certainly not arrive from what may have, within the time there is."""
        account = self.server.model_copy(update={"timeout_seconds": self.timeout_seconds})
        conversation = _Conversation(account._unconnected())  # noqa: SLF001 - one file
        server, seconds = conversation.server, self.timeout_seconds
        with deadline(seconds, lambda: hang_up(server.sock)) as over:
            try:
                yield conversation
            except CredentialsError as error:
                raise NotificationDenied(self._where(), error.problem, error.remedy) from None
            except (smtplib.SMTPException, OSError, ValueError) as error:
                late = over.is_set() or isinstance(error, TimeoutError)
                told = f"it took longer than {seconds:g} s" if late else _said(error)
                raise self._failure(error, told, conversation.sending) from None
            finally:
                server.close()

    def _failure(self, error: Exception, told: str, sending: bool) -> NotificationFailed:
        code = _code(error)
        if code is None and sending:
            remedy = "Look there whether it has arrived before you send it again."
            return NotificationFailed(self._where(), f"no answer: {told}", remedy)
        if code is None or 400 <= code < 500:
            remedy = "Is the server up, and `server` right? Look at its port and certificate, too."
            return NotificationUnsent(self._where(), told, remedy, code)
        return NotificationFailed(self._where(), told, "Look at what the server says of it.", code)


class _Conversation:
    """A connection to a server, and whether a message is on its way."""

    def __init__(self, server: smtplib.SMTP) -> None:
        self.server, self.sending = server, False


def _code(error: Exception) -> int | None:
    """Return the server's answer; of several recipients the one that is worst to mend."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return max(code for code, _ in error.recipients.values())
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return 550
    return error.smtp_code if isinstance(error, smtplib.SMTPResponseException) else None


def _said(error: Exception) -> str:
    """Return what the server has said, on one line."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        answers = {_line(code, text) for code, text in error.recipients.values()}
        return f"no address was taken: {'; '.join(sorted(answers))}"
    if isinstance(error, smtplib.SMTPResponseException):
        return _line(error.smtp_code, error.smtp_error)
    return str(getattr(error, "strerror", None) or error) or type(error).__name__


def _line(code: int, text: bytes | str) -> str:
    said = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return cut(f"it answered {code}: {' '.join(said.split())}", 300)
