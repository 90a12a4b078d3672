"""EmailServerCredentials: credentials of an SMTP server, and connections to it."""

from __future__ import annotations

import smtplib
from socket import gethostname
from typing import ClassVar, Literal

from pydantic import Field, SecretStr

from flowstone.blocks import Credentials
from flowstone.blocks.notifiers import trust
from flowstone.errors import CredentialsError, Unreachable
from flowstone_email.errors import describe

#: Default ports by type of connection.
PORTS = {"SSL": 465, "STARTTLS": 587, "INSECURE": 25}
#: Servers with short names.
SERVERS = {
    "aol": "smtp.aol.com",
    "att": "smtp.mail.att.net",
    "comcast": "smtp.comcast.net",
    "gmail": "smtp.gmail.com",
    "icloud": "smtp.mail.me.com",
    "outlook": "smtp-mail.outlook.com",
    "yahoo": "smtp.mail.yahoo.com",
}
#: The greeting of a server: RFC 5321, 4.2.3.
READY = 220


class EmailServerCredentials(Credentials):
    """Credentials of an SMTP server."""

    _description: ClassVar[str | None] = "Credentials of an SMTP server."
    _code_example: ClassVar[str | None] = (
        'EmailServerCredentials(smtp_server="mail.example.org", username="me").save("mail")\n'
        'EmailServerCredentials.load("mail").check()'
    )

    username: str | None = Field(default=None, description="The user name; None for no login.")
    password: SecretStr | None = Field(default=None, description="The password or app password.")
    smtp_server: str = Field(
        default="gmail", description="The host, or a short name: gmail, outlook, yahoo, icloud …"
    )
    smtp_type: Literal["SSL", "STARTTLS", "INSECURE"] = Field(
        default="SSL", description="Whether to use TLS from the start, by STARTTLS, or not at all."
    )
    smtp_port: int | None = Field(
        default=None, description="The port; by default 465, 587 or 25, depending on the type."
    )
    verify: bool = Field(default=True, description="Whether to verify the server's certificate.")
    timeout_seconds: float = Field(
        default=10.0, gt=0, le=600, description="Timeout of a response of the server, in seconds."
    )

    def host(self) -> str:
        """Return the server's host."""
        return SERVERS.get(self.smtp_server.lower(), self.smtp_server)

    def port(self) -> int:
        """Return the server's port."""
        return PORTS[self.smtp_type] if self.smtp_port is None else self.smtp_port

    def client(self) -> smtplib.SMTP:
        """Open a connection and log in; close it, or use it in a `with` block.

        Raises:
            CredentialsError: the credentials were refused.
            Unreachable: the server can't be reached, or its certificate is invalid.
        """
        server = create_server(self)
        try:
            log_in(server, self)
        except OSError as error:  # an error of smtplib is one, too
            server.close()
            remedy = "Check that the server is up, and `smtp_server`, port and certificate."
            raise Unreachable(f"{self.host()}:{self.port()}", describe(error), remedy) from error
        except BaseException:
            server.close()
            raise
        return server

    def get_server(self) -> smtplib.SMTP:
        """Alias of `client`."""
        return self.client()

    def _check(self) -> str:
        with self.client() as server:
            server.noop()
        return f"{self.username or 'anonymous'} at {self.host()}:{self.port()}"


def create_server(login: EmailServerCredentials) -> smtplib.SMTP:
    """Return a server that is not connected yet, so that another thread can abort it."""
    own, seconds = gethostname(), login.timeout_seconds
    server: smtplib.SMTP
    if login.smtp_type == "SSL":
        context = trust(login.verify)
        server = smtplib.SMTP_SSL(local_hostname=own, timeout=seconds, context=context)
    else:
        server = smtplib.SMTP(local_hostname=own, timeout=seconds)
    # `connect` does not set the host name for the certificate; only the constructor does, and it
    # would connect at once.
    server._host = login.host()  # type: ignore[attr-defined]  # noqa: SLF001 - smtplib's
    return server


def log_in(server: smtplib.SMTP, login: EmailServerCredentials) -> None:
    """Connect a server and log in.

    Raises:
        CredentialsError: the credentials were refused.
        OSError: the server can't be reached, or its certificate is invalid.
    """
    code, words = server.connect(login.host(), login.port())
    if code != READY:
        raise smtplib.SMTPConnectError(code, words)
    if login.smtp_type == "STARTTLS":
        server.starttls(context=trust(login.verify))
    if login.username is None:
        return
    try:
        server.login(login.username, login.password.get_secret_value() if login.password else "")
    except (smtplib.SMTPAuthenticationError, smtplib.SMTPNotSupportedError) as error:
        problem = describe(error)
    else:
        return
    remedy = "Check `username`, `password` and `smtp_type`; some servers require an app password."
    raise CredentialsError(f"{login.host()}:{login.port()}", problem, remedy)
