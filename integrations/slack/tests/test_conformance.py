from __future__ import annotations

import html
import json
import secrets
from collections.abc import Iterator, Sequence

import pytest

from flowstone.blocks import Block, Notifier
from flowstone_slack import SlackWebhook
from flowstone_testing.conformance.blocks import BlockSuite
from flowstone_testing.conformance.notifier import NotifierSuite
from flowstone_testing.conformance.plugins import PluginSuite
from flowstone_testing.desks import PATIENCE, Desk, WebDesk, web_desk
from flowstone_testing.ports import reserve_closed_port


def secret_path() -> str:
    first, second, third = (f"canary-{secrets.token_hex(12)}" for _ in range(3))
    return f"/services/{first}/{second}?token={third}"


def nowhere() -> str:
    """Return an address where nobody listens."""
    return f"http://127.0.0.1:{reserve_closed_port()}"


class TestSlackPlugin(PluginSuite):
    plugin = "slack"
    package = "flowstone_slack"
    sdks = ()


class TestSlackWebhookBlock(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[Block]:
        return [SlackWebhook(url=f"https://hooks.slack.com{secret_path()}", verify=False)]


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
