from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

import pytest
from tests.services.vendors import Vendors, open_vendors

from flowstone.blocks import Block, Notifier
from flowstone_testing.conformance.blocks import BlockSuite
from flowstone_testing.conformance.notifier import NotifierSuite
from flowstone_testing.conformance.plugins import PluginSuite
from flowstone_testing.ports import reserve_closed_port

from .samples import (
    make_apprise,
    make_custom,
    make_discord,
    make_mattermost,
    make_opsgenie,
    make_pagerduty,
    make_sendgrid,
    make_teams,
    make_twilio,
)


class TestNotifyPlugin(PluginSuite):
    plugin = "notify"
    package = "flowstone_notify"
    sdks = ("apprise", "requests")


class TestNotifyBlocks(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[Block]:
        return [
            make_apprise(8065),
            make_custom("https://chat.example.org"),
            make_discord(),
            make_mattermost(8066, secure=True),
            make_opsgenie(),
            make_pagerduty(),
            make_sendgrid(),
            make_teams(),
            make_twilio(),
        ]


class ReachedByProxy:
    """Services on the internet, all simulated by a proxy."""

    @pytest.fixture
    def desk(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vendors]:
        with open_vendors() as vendors:
            for name, value in vendors.environment.items():
                monkeypatch.setenv(name, value)
            yield vendors

    @pytest.fixture
    def absent(self, monkeypatch: pytest.MonkeyPatch) -> Notifier:
        for name in ("HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{reserve_closed_port()}")
        return self.make()

    @pytest.fixture
    def notifier(self) -> Notifier:
        return self.make()

    def make(self) -> Notifier:
        raise NotImplementedError


class TestDiscordWebhook(ReachedByProxy, NotifierSuite):
    def make(self) -> Notifier:
        return make_discord()


class TestMicrosoftTeamsWebhook(ReachedByProxy, NotifierSuite):
    def make(self) -> Notifier:
        return make_teams()


class TestOpsgenieWebhook(ReachedByProxy, NotifierSuite):
    def make(self) -> Notifier:
        return make_opsgenie()


class TestPagerDutyWebHook(ReachedByProxy, NotifierSuite):
    def make(self) -> Notifier:
        return make_pagerduty()


class TestSendgridEmail(ReachedByProxy, NotifierSuite):
    def make(self) -> Notifier:
        return make_sendgrid()


class TestTwilioSMS(ReachedByProxy, NotifierSuite):
    def make(self) -> Notifier:
        return make_twilio()


class ReachedAtHome:
    """Self-hosted services, on this machine."""

    @pytest.fixture
    def desk(self) -> Iterator[Vendors]:
        with open_vendors() as vendors:
            yield vendors

    @pytest.fixture
    def notifier(self, desk: Vendors) -> Notifier:
        return self.make(urlsplit(desk.url).port or 0)

    @pytest.fixture
    def absent(self) -> Notifier:
        return self.make(reserve_closed_port())

    def make(self, port: int) -> Notifier:
        raise NotImplementedError


class TestMattermostWebhook(ReachedAtHome, NotifierSuite):
    def make(self, port: int) -> Notifier:
        return make_mattermost(port)


class TestAppriseNotifier(ReachedAtHome, NotifierSuite):
    def make(self, port: int) -> Notifier:
        return make_apprise(port)


class TestCustomWebhook(ReachedAtHome, NotifierSuite):
    def make(self, port: int) -> Notifier:
        return make_custom(f"http://127.0.0.1:{port}")
