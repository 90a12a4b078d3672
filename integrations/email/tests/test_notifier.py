"""Mail by a real SMTP server: with and without TLS, with and without credentials."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from click.testing import CliRunner
from tests.services.mail import MailDesk, mail_desk

from flowstone.cli.app import flowstone
from flowstone.context.current import Services, use_services
from flowstone.errors import (
    NotificationDenied,
    NotificationFailed,
    NotificationInvalid,
    NotificationUnsent,
)
from flowstone.ports import Clock
from flowstone.secrets.resolver import MOMENT, Resolver
from flowstone_email import EmailNotifier, EmailServerCredentials
from flowstone_testing.conformance.notifier import HastyClock

from .logins import PASSWORD, login

# The server warns about logins without TLS, although it uses TLS from the start.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while")


class Later:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def services(flowstone_services: Services) -> Services:
    return flowstone_services


@pytest.fixture
def later(services: Services) -> Iterator[Later]:
    """Return the clock for the age of secrets that were read."""
    clock = Later()
    ticking = cast("Clock", clock)
    with use_services(replace(services, clock=ticking, references=Resolver(ticking, 3600))):
        yield clock


@pytest.fixture
def hasty(services: Services) -> Iterator[HastyClock]:
    clock = HastyClock()
    with use_services(replace(services, clock=clock)):
        yield clock


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[MailDesk]:
    with mail_desk(tmp_path, "SSL", PASSWORD) as desk:
        yield desk


def notifier(desk: MailDesk, **fields: object) -> EmailNotifier:
    given = {"server": login(desk.port), "email_to": ["a@example.org", "b@example.org"]}
    return EmailNotifier(**{**given, **fields})


def test_a_mail_has_what_mails_have(desk: MailDesk, services: Services) -> None:
    notifier(desk, email_from="We <we@example.org>").send(
        "the text", subject="Zwölf", html="<p>the page</p>"
    )
    [(to, mail)] = desk.mails
    assert to == ["a@example.org", "b@example.org"]
    assert mail["From"] == "We <we@example.org>"
    assert mail["To"] == "a@example.org, b@example.org"
    assert mail["Date"]
    assert mail["Message-ID"]
    assert mail.get_content_type() == "multipart/alternative"
    parts = [part.get_content_type() for part in mail.iter_parts()]
    assert parts == ["text/plain", "text/html"]
    assert desk.logins == 1


def test_the_first_line_is_the_subject_where_there_is_none(
    desk: MailDesk, services: Services
) -> None:
    notifier(desk).notify("first line\nsecond line")
    [(_, mail)] = desk.mails
    assert mail["Subject"] == "first line"


@pytest.mark.parametrize(
    "fields",
    [
        {"email_from": "a@example.org\r\nBcc: evil@example.org"},
        {"email_to": ["a@example.org\nBcc: evil@example.org"]},
        {"email_to": []},
        {"server": EmailServerCredentials(smtp_server="127.0.0.1", smtp_port=1)},
    ],
)
def test_a_header_can_not_be_smuggled_in(
    desk: MailDesk, services: Services, fields: dict[str, object]
) -> None:
    with pytest.raises(NotificationInvalid):
        notifier(desk, **fields).notify("a")
    assert not desk.tries()


def test_a_wrong_password_is_not_tried_again(desk: MailDesk, services: Services) -> None:
    wrong = f"wrong-{secrets.token_hex(12)}"
    with pytest.raises(NotificationFailed, match="535") as caught:
        notifier(desk, server=login(desk.port, password=wrong)).notify("a")
    assert not isinstance(caught.value, NotificationUnsent)
    assert wrong not in str(caught.value)
    assert desk.logins <= 2  # smtplib tries two mechanisms, once each


def test_a_certificate_that_nobody_trusts_is_refused(desk: MailDesk, hasty: HastyClock) -> None:
    server = login(desk.port).model_copy(update={"verify": True})
    with pytest.raises(NotificationUnsent, match="certificate"):
        notifier(desk, server=server, timeout_seconds=5).notify("a")


def test_without_login_and_tls(tmp_path: Path, services: Services) -> None:
    with mail_desk(tmp_path, "INSECURE", PASSWORD, login=False) as desk:
        server = EmailServerCredentials(
            smtp_server="127.0.0.1", smtp_port=desk.port, smtp_type="INSECURE"
        )
        notifier(desk, server=server, email_from="a@b.org").notify("plainly")
        assert len(desk.mails) == 1


def test_servers_are_known_by_short_names() -> None:
    server = EmailServerCredentials(smtp_server="GMAIL", smtp_type="STARTTLS")
    assert (server.host(), server.port()) == ("smtp.gmail.com", 587)


def test_mail_goes_out_with_the_new_password(
    desk: MailDesk, later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOWSTONE_TEST_MAIL", f"old-{PASSWORD}")
    server = login(desk.port, password="env:FLOWSTONE_TEST_MAIL")
    notifier = EmailNotifier(server=server, email_to=["us@example.org"])
    with pytest.raises(NotificationDenied, match="535"):
        notifier.notify("one")
    later.now += MOMENT + 1
    monkeypatch.setenv("FLOWSTONE_TEST_MAIL", PASSWORD)
    notifier.notify("two")
    assert len(desk.received()) == 1


def test_the_command_line_knows_a_notifier_and_its_server(services: Services) -> None:
    EmailServerCredentials().save("mail")
    EmailNotifier(server=EmailServerCredentials.load("mail"), email_to=["a@b.org"]).save("us")

    def conditions() -> dict[str, str]:
        listed = CliRunner().invoke(flowstone, ["block", "ls", "--json"], catch_exceptions=False)
        return {each["block"]: each["condition"] for each in json.loads(listed.stdout)}

    assert conditions() == {"email-notifier/us": "ok", "email-server-credentials/mail": "ok"}
    EmailServerCredentials.delete("mail")
    gone = "it refers to email-server-credentials/mail, which is not saved"
    assert conditions() == {"email-notifier/us": gone}
