from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from tests.services.mail import MailDesk, Way, mail_desk

from flowstone.blocks import Block, Notifier
from flowstone_email import EmailNotifier, EmailServerCredentials
from flowstone_testing.conformance.blocks import BlockSuite
from flowstone_testing.conformance.credentials import CredentialsSuite
from flowstone_testing.conformance.notifier import NotifierSuite
from flowstone_testing.conformance.plugins import PluginSuite
from flowstone_testing.conformance.tasks import Example, TaskSuite
from flowstone_testing.desks import Desk
from flowstone_testing.ports import reserve_closed_port

from .logins import PASSWORD, login

# The server warns about logins without TLS, although it uses TLS from the start.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while")


class TestEmailPlugin(PluginSuite):
    plugin = "email"
    package = "flowstone_email"
    sdks = ()


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
    return reserve_closed_port()


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


class TestEmailTasks(TaskSuite):
    plugin = "email"

    @pytest.fixture
    def examples(self, tmp_path: Path) -> Iterator[Mapping[str, Example]]:
        with mail_desk(tmp_path, "SSL", PASSWORD) as desk:
            yield {
                "email_send_message": lambda: {
                    "subject": "Orders",
                    "msg": "<b>12 rows</b>",
                    "msg_plain": "12 rows",
                    "email_server_credentials": login(desk.port),
                    "email_to": "us@example.org",
                }
            }


class TestEmailOverTls(TestEmail):
    way = "SSL"
