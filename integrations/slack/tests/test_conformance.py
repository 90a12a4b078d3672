from __future__ import annotations

import html
import json
import secrets
from collections.abc import Iterator, Mapping, Sequence

import pytest
from tests.services.slack import Slack, serve_slack

from flowstone.blocks import Block, Notifier
from flowstone_slack import SlackCredentials, SlackWebhook
from flowstone_testing.conformance.blocks import BlockSuite
from flowstone_testing.conformance.credentials import CredentialsSuite
from flowstone_testing.conformance.notifier import NotifierSuite
from flowstone_testing.conformance.plugins import PluginSuite
from flowstone_testing.conformance.tasks import Example, TaskSuite
from flowstone_testing.desks import PATIENCE, Desk, WebDesk, web_desk
from flowstone_testing.ports import reserve_closed_port

TOKEN = f"xoxb-canary-{secrets.token_hex(12)}"


def secret_path() -> str:
    first, second, third = (f"canary-{secrets.token_hex(12)}" for _ in range(3))
    return f"/services/{first}/{second}?token={third}"


def nowhere() -> str:
    """Return the address of a closed port."""
    return f"http://127.0.0.1:{reserve_closed_port()}"


class TestSlackPlugin(PluginSuite):
    plugin = "slack"
    package = "flowstone_slack"
    sdks = ("slack_sdk",)


class TestSlackBlocks(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[Block]:
        return [
            SlackWebhook(url=f"https://hooks.slack.com{secret_path()}", verify=False),
            SlackCredentials(token=TOKEN, base_url="https://slack-gov.com/api/", timeout_seconds=5),
        ]


@pytest.fixture
def slack() -> Iterator[Slack]:
    with serve_slack(TOKEN) as found:
        yield found


class TestSlackCredentials(CredentialsSuite):
    @pytest.fixture
    def good(self, slack: Slack) -> SlackCredentials:
        return SlackCredentials(token=TOKEN, base_url=f"{slack.url}/api/")

    @pytest.fixture
    def refused(self, slack: Slack) -> SlackCredentials:
        return SlackCredentials(token=f"{TOKEN}-of-before", base_url=f"{slack.url}/api/")

    @pytest.fixture
    def unreachable(self) -> SlackCredentials:
        return SlackCredentials(token=TOKEN, base_url=f"{nowhere()}/api/")


class TestSlackTasks(TaskSuite):
    plugin = "slack"

    @pytest.fixture
    def examples(self, slack: Slack) -> Mapping[str, Example]:
        bot = SlackCredentials(token=TOKEN, base_url=f"{slack.url}/api/")
        hook = SlackWebhook(url=f"{slack.url}/services/T0/B0/{'x1y2z3' * 4}")
        return {
            "send_chat_message": lambda: {
                "channel": "#alerts",
                "slack_credentials": bot,
                "text": "12 rows are missing",
            },
            "send_incoming_webhook_message": lambda: {"slack_webhook": hook, "text": "12 rows"},
        }


class TestSlackWebhook(NotifierSuite):
    patience = PATIENCE

    @pytest.fixture
    def desk(self) -> Iterator[Desk]:
        with web_desk(lambda body: html.unescape(json.loads(body)["text"])) as desk:
            yield desk

    @pytest.fixture
    def notifier(self, desk: WebDesk) -> Notifier:
        return SlackWebhook(url=desk.url + secret_path())

    @pytest.fixture
    def absent(self) -> Notifier:
        return SlackWebhook(url=nowhere() + secret_path())
