"""EmailServerCredentials: a login to an SMTP server, and how a connection is opened with it."""

from __future__ import annotations

import smtplib
from socket import gethostname
from typing import ClassVar, Literal

from pydantic import Field, SecretStr

from flowstone.blocks import Credentials
from flowstone.blocks.notifiers import trust
from flowstone.errors import CredentialsError, Unreachable
from flowstone_email.errors import describe

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
#: What a server says first when it is there: RFC 5321, 4.2.3.
READY = 220


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
            Unreachable: the server can't be reached, or its certificate is wrong.
        """
        server = create_server(self)
        try:
            log_in(server, self)
        except OSError as error:  # an error of smtplib is one, too
            server.close()
            remedy = "Is the server up, and `smtp_server` right? Look at its port and certificate."
            raise Unreachable(f"{self.host()}:{self.port()}", describe(error), remedy) from error
        except BaseException:
            server.close()
            raise
        return server

    def get_server(self) -> smtplib.SMTP:
        """Do as `client`, under the name that many know it by."""
        return self.client()

    def _check(self) -> str:
        with self.client() as server:
            server.noop()
        return f"{self.username or 'anybody'} may send by {self.host()}:{self.port()}"


def create_server(login: EmailServerCredentials) -> smtplib.SMTP:
    """Return a server that is not connected yet, so that another thread can break it off."""
    own, seconds = gethostname(), login.timeout_seconds
    server: smtplib.SMTP
    if login.smtp_type == "SSL":
        context = trust(login.verify)
        server = smtplib.SMTP_SSL(local_hostname=own, timeout=seconds, context=context)
    else:
        server = smtplib.SMTP(local_hostname=own, timeout=seconds)
    # `connect` forgets whom the certificate is to be of; only the constructor, which would connect
    # at once, remembers.
    server._host = login.host()  # type: ignore[attr-defined]  # noqa: SLF001 - smtplib's
    return server


def log_in(server: smtplib.SMTP, login: EmailServerCredentials) -> None:
    """Connect a server, and log in.

    Raises:
        CredentialsError: the login was refused.
        OSError: the server can't be reached, or its certificate is wrong.
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
    remedy = "Look at `username`, `password` and `smtp_type`; some servers want an app password."
    raise CredentialsError(f"{login.host()}:{login.port()}", problem, remedy)
