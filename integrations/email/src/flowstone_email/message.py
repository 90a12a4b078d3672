"""A task that sends mail: HTML, text, attachments and images."""

from __future__ import annotations

import mimetypes
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path
from typing import TYPE_CHECKING

from flowstone import make_async_twin, task
from flowstone.errors import NotificationFailed, NotificationInvalid
from flowstone.records.redaction import redact
from flowstone_email.credentials import EmailServerCredentials
from flowstone_email.sending import send_message

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Addresses = str | list[str] | None


@task
def email_send_message(  # noqa: PLR0913 - as users know it
    subject: str,
    msg: str,
    email_server_credentials: EmailServerCredentials,
    msg_plain: str | None = None,
    email_from: str | None = None,
    email_to: Addresses = None,
    email_to_cc: Addresses = None,
    email_to_bcc: Addresses = None,
    attachments: list[str] | None = None,
    inline_images: dict[str, str] | None = None,
) -> EmailMessage:
    """Send mail and return the message; secrets that this process knows are masked in its text.

    Example:
        message = email_send_message(subject, msg, email_server_credentials, email_to=email_to)

    Args:
        subject: the subject, one line.
        msg: the mail as HTML.
        email_server_credentials: the server that sends it.
        msg_plain: the same as plain text, for mail clients without HTML.
        email_from: the sender; by default the server's username.
        email_to: addresses: a list, or a comma-separated string.
        email_to_cc: addresses that get a visible copy.
        email_to_bcc: addresses that get a hidden copy.
        attachments: paths of files.
        inline_images: paths of images, by the name that the HTML uses, such as
            ``<img src="cid:NAME">``.

    Raises:
        NotificationInvalid: a sender or recipients are missing, a file can't be read, or a header
            has two lines.
        NotificationUnsent: it certainly did not arrive.
        NotificationDenied: the credentials were refused.
        NotificationFailed: it was refused, for all or some addresses, or may have arrived.
    """
    login = email_server_credentials
    where = f"mail by {login.host()}:{login.port()}"
    to = {"To": email_to, "Cc": email_to_cc, "Bcc": email_to_bcc}
    headers = {name: _join(given) for name, given in to.items()}
    sender = email_from or login.username
    if not (sender and any(headers.values())):
        remedy = "Set `email_from`, and one of `email_to`, `email_to_cc` and `email_to_bcc`."
        raise NotificationInvalid(where, "it has no sender or no recipients", remedy)
    message = _write_headers(where, {"Subject": redact(subject), "From": sender, **headers})
    _write_content(message, redact(msg), redact(msg_plain or ""), _read(where, inline_images))
    for name, content, kind in _read(where, {path: path for path in attachments or ()}):
        message.add_attachment(content, maintype=kind[0], subtype=kind[1], filename=Path(name).name)
    refused = send_message(message, login, seconds=login.timeout_seconds, where=where)
    if refused:
        problem = f"{len(refused)} addresses were refused; the others received it"
        raise NotificationFailed(where, problem, "Check the addresses.")
    return message


aemail_send_message = make_async_twin(email_send_message)


def _join(given: Addresses) -> str:
    return given if isinstance(given, str) else ", ".join(given or ())


def _write_headers(where: str, headers: Mapping[str, str]) -> EmailMessage:
    message = EmailMessage()
    try:
        for name, value in headers.items():
            if value:
                message[name] = value  # a line break, which would begin another header, is refused
        message["Date"], message["Message-ID"] = formatdate(), make_msgid()
    except (ValueError, IndexError) as error:
        problem = f"an address or the subject can't be sent: {error}"
    else:
        return message
    raise NotificationInvalid(where, problem, "Check the addresses and the subject.")


def _write_content(message: EmailMessage, html: str, plain: str, images: Iterable[File]) -> None:
    """Write the texts: a mail client shows the last one that it supports, with its images."""
    if plain:
        message.set_content(plain)
    if html or not plain:
        (message.add_alternative if plain else message.set_content)(html, subtype="html")
    for cid, content, (main, sub) in images:
        holder = message.get_body(("html",)) or message
        holder.add_related(
            content, maintype=main, subtype=sub, cid=f"<{cid}>", disposition="inline"
        )


#: The name of a file, its content, and its type in two parts.
File = tuple[str, bytes, tuple[str, str]]


def _read(where: str, paths: Mapping[str, str] | None) -> list[File]:
    return [(name, *_read_file(where, path)) for name, path in (paths or {}).items()]


def _read_file(where: str, path: str) -> tuple[bytes, tuple[str, str]]:
    try:
        content = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        problem = f"{str(path)!r} can't be read: {reason}"
    else:
        kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
        main, _, sub = kind.partition("/")
        return content, (main, sub)
    raise NotificationInvalid(where, problem, "Pass the paths of existing files.")
