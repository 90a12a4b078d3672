"""Mail, over a real SMTP server: with and without TLS, with and without a login."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from flowstone.blocks import Block, EmailNotifier, EmailServerCredentials, Notifier
from flowstone.context.current import Services, using
from flowstone.errors import (
    NotificationDenied,
    NotificationFailed,
    NotificationInvalid,
    NotificationUnsent,
)
from flowstone.secrets.resolver import MOMENT
from flowstone_testing.conformance.blocks import BlockSuite
from flowstone_testing.conformance.credentials import CredentialsSuite
from flowstone_testing.conformance.notifier import HastyClock, NotifierSuite
from flowstone_testing.desks import Desk

from ..conftest import Later  # noqa: TID252 - what the tests share
from .maildesk import MailDesk, Way, mail_desk

# The server warns that it takes logins without TLS; it has it from the first byte on.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while")

PASSWORD = f"canary-{secrets.token_hex(12)}"


def login(port: int, way: Way = "SSL", password: str = PASSWORD) -> EmailServerCredentials:
    return EmailServerCredentials(
        smtp_server="127.0.0.1",
        smtp_port=port,
        smtp_type=way,
        username="me@example.org",
        password=password,
        verify=False,
    )


class TestLoginBlock(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[Block]:
        return [EmailServerCredentials(), login(25)]


class TestEmailBlock(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[Block]:
        return [EmailNotifier(server=login(25), email_from="a@b.org", email_to=["c@d.org"])]


@pytest.fixture
def free_port() -> int:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


class TestLogin(CredentialsSuite):
    @pytest.fixture
    def port(self, tmp_path: Path) -> Iterator[int]:
        with mail_desk(tmp_path, "SSL", PASSWORD) as desk:
            yield desk.port

    @pytest.fixture
    def good(self, port: int) -> EmailServerCredentials:
        return login(port)

    @pytest.fixture
    def refused(self, port: int) -> EmailServerCredentials:
        return login(port, password=f"wrong-{secrets.token_hex(12)}")

    @pytest.fixture
    def unreachable(self, free_port: int) -> EmailServerCredentials:
        return login(free_port)


class TestEmail(NotifierSuite):
    way: Way = "STARTTLS"

    @pytest.fixture
    def desk(self, tmp_path: Path) -> Iterator[Desk]:
        with mail_desk(tmp_path, self.way, PASSWORD) as desk:
            yield desk

    @pytest.fixture
    def notifier(self, desk: MailDesk) -> Notifier:
        return EmailNotifier(server=login(desk.port, self.way), email_to=["us@example.org"])

    @pytest.fixture
    def absent(self, free_port: int) -> Notifier:
        return EmailNotifier(server=login(free_port, self.way), email_to=["us@example.org"])


class TestEmailOverTls(TestEmail):
    way = "SSL"


@pytest.fixture
def hasty(services: Services) -> Iterator[HastyClock]:
    clock = HastyClock()
    with using(replace(services, clock=clock)):
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
