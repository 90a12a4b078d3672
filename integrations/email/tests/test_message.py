"""The mail task: what arrives, the recipients, and errors."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.services.mail import MailDesk, mail_desk

from flowstone import flow
from flowstone.errors import NotificationDenied, NotificationInvalid
from flowstone.records import redaction
from flowstone_email import aemail_send_message, email_send_message

from .logins import PASSWORD, login

# The server warns about logins without TLS, although it uses TLS from the start.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while")

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(40))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[MailDesk]:
    with mail_desk(tmp_path, "SSL", PASSWORD) as found:
        yield found


def test_mail_as_users_write_it(desk: MailDesk, tmp_path: Path) -> None:
    report, image = tmp_path / "Bericht ü.csv", tmp_path / "chart.png"
    report.write_bytes(b"a,b\r\n1,2\r\n")
    image.write_bytes(PNG)

    @flow
    def tell() -> str:
        message = email_send_message(
            email_server_credentials=login(desk.port),
            subject="Orders — März",
            msg='<b>12 rows</b> <img src="cid:chart">',
            msg_plain="12 rows",
            email_to=["us@example.org", "Them <them@example.org>"],
            email_to_cc="boss@example.org, other@example.org",
            email_to_bcc=["quiet@example.org"],
            attachments=[str(report)],
            inline_images={"chart": str(image)},
        )
        return str(message["Subject"])

    assert tell() == "Orders — März"
    ((recipients, mail),) = desk.mails
    people = ("us", "them", "boss", "other", "quiet")
    assert sorted(recipients) == sorted(f"{name}@example.org" for name in people)
    assert mail["To"] == "us@example.org, Them <them@example.org>"
    assert mail["Cc"] == "boss@example.org, other@example.org"
    assert mail["Bcc"] is None
    assert mail["From"] == "me@example.org"
    html = mail.get_body(("html",))
    assert html is not None
    assert "<b>12 rows</b>" in html.get_content()
    (attached,) = mail.iter_attachments()
    assert attached.get_filename() == "Bericht ü.csv"
    assert attached.get_payload(decode=True) == b"a,b\r\n1,2\r\n"
    (drawn,) = [part for part in mail.walk() if part["Content-ID"] == "<chart>"]
    assert drawn.get_content_type() == "image/png"
    assert drawn.get_payload(decode=True) == PNG


def test_the_async_twin_is_awaited(desk: MailDesk) -> None:
    sending = aemail_send_message(
        "Orders", "", login(desk.port), msg_plain="only text", email_to="us@example.org"
    )
    asyncio.run(sending)
    assert desk.received() == ["Orders\nonly text\n"]


def test_secrets_that_are_known_are_masked(desk: MailDesk) -> None:
    secret = f"canary-{secrets.token_hex(12)}"
    redaction.register(secret)
    email_send_message.fn(
        f"not {secret}", secret, login(desk.port), msg_plain=secret, email_to="us@example.org"
    )
    ((_, mail),) = desk.mails
    assert secret not in mail.as_string()


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({}, "no sender or no recipients"),
        ({"email_to": "a@example.org\r\nBcc: b@example.org"}, "can't be sent"),
        ({"email_to": "a@example.org", "attachments": ["/no/such/file"]}, "No such file"),
        ({"email_to": "a@example.org", "inline_images": {"a": "/no/such.png"}}, "No such file"),
    ],
    ids=["nobody", "header", "attachment", "image"],
)
def test_what_can_not_be_sent(desk: MailDesk, more: dict[str, Any], problem: str) -> None:
    with pytest.raises(NotificationInvalid, match=problem):
        email_send_message.fn("a", "b", login(desk.port), **more)
    assert not desk.logins


def test_a_login_that_is_refused(desk: MailDesk) -> None:
    wrong = f"wrong-{secrets.token_hex(12)}"
    with pytest.raises(NotificationDenied) as caught:
        email_send_message.fn("a", "b", login(desk.port, password=wrong), email_to="a@example.org")
    assert wrong not in str(caught.value)
    assert caught.value.__context__ is None
