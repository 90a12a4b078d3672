"""A real SMTP server of this machine, with TLS and logins, that takes what it is told to take."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from threading import Thread
from typing import Any, Literal

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from flowstone_testing.certificates import make_certificate
from flowstone_testing.desks import Script

Way = Literal["SSL", "STARTTLS", "INSECURE"]


class MailDesk(Script):
    def __init__(self, password: str) -> None:
        super().__init__()
        self.password = password
        self.port = 0
        self.mails: list[tuple[list[str], EmailMessage]] = []
        self.logins = 0

    def login(self, server: Any, session: Any, envelope: Any, way: str, given: Any) -> AuthResult:
        assert isinstance(given, LoginPassword)
        self.logins += 1
        good = given.password.decode() == self.password
        # It quotes what it got, as some services do.
        said = f"535 5.7.8 not {given.password.decode()}"
        return AuthResult(success=good, handled=good, message=None if good else said)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        conduct = self.next()
        if conduct == "silent":
            await asyncio.Event().wait()  # until the server is closed
        if conduct == "busy":
            return "451 4.7.1 try later"
        if conduct != "takes":
            return "550 5.7.1 not from you"
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        text = mail.get_body(("plain", "html"))
        assert text is not None
        self.mails.append((envelope.rcpt_tos, mail))
        content = text.get_content().replace("\r\n", "\n")  # as mail has its lines
        self.keep(f"{mail['Subject']}\n{content}")
        return "250 OK"


@contextmanager
def mail_desk(folder: Path, way: Way, password: str, login: bool = True) -> Iterator[MailDesk]:
    desk = MailDesk(password)
    tls, loop = make_certificate(folder), asyncio.new_event_loop()

    def serve() -> SMTP:
        return SMTP(
            desk,
            hostname="mail.test",
            loop=loop,
            authenticator=desk.login if login else None,
            auth_required=login,
            auth_require_tls=way == "STARTTLS",
            tls_context=tls if way == "STARTTLS" else None,
            require_starttls=way == "STARTTLS",
        )

    listening = loop.create_server(serve, "127.0.0.1", 0, ssl=tls if way == "SSL" else None)
    server = loop.run_until_complete(listening)
    thread = Thread(target=loop.run_forever, daemon=True)
    thread.start()
    desk.port = server.sockets[0].getsockname()[1]
    try:
        yield desk
    finally:

        async def close() -> None:
            server.close()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(close(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
