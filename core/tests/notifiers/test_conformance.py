from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence

import pytest

from flowstone.blocks import Block, Notifier, Webhook
from flowstone_testing.conformance.blocks import BlockSuite
from flowstone_testing.conformance.notifier import NotifierSuite
from flowstone_testing.desks import PATIENCE, Desk, WebDesk, web_desk
from flowstone_testing.notes import MemoryDesk, MemoryNotifier
from flowstone_testing.ports import reserve_closed_port


def canary() -> str:
    return f"canary-{secrets.token_hex(12)}"


def secret_path() -> str:
    return f"/services/{canary()}/{canary()}?token={canary()}"


def nowhere() -> str:
    """Return an address where nobody listens."""
    return f"http://127.0.0.1:{reserve_closed_port()}"


class TestWebhookBlock(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[Block]:
        return [
            Webhook(url="https://example.org/hooks"),
            Webhook(
                url=f"https://example.org{secret_path()}",
                headers={"Authorization": canary()},
                method="PUT",
                verify=False,
                allow_private_urls=False,
                timeout_seconds=3,
                template={"text": ["{{subject}}: {{body}}"]},
            ),
        ]


class TestWebhook(NotifierSuite):
    patience = PATIENCE

    @pytest.fixture
    def desk(self) -> Iterator[Desk]:
        with web_desk() as desk:
            yield desk

    @pytest.fixture
    def notifier(self, desk: WebDesk) -> Notifier:
        return Webhook(url=desk.url + secret_path(), headers={"X-Token": canary()})

    @pytest.fixture
    def absent(self) -> Notifier:
        return Webhook(url=nowhere() + secret_path())


class TestMemoryNotifierBlock(BlockSuite):
    in_catalog = False

    @pytest.fixture
    def examples(self) -> Sequence[Block]:
        return [MemoryNotifier(desk="a", token=canary())]


class TestMemoryNotifier(NotifierSuite):
    patience = PATIENCE

    @pytest.fixture
    def desk(self) -> Desk:
        return MemoryDesk("here")

    @pytest.fixture
    def notifier(self, desk: Desk) -> Notifier:
        return MemoryNotifier(desk="here", token=canary())

    @pytest.fixture
    def absent(self) -> Notifier:
        return MemoryNotifier(desk="there", token=canary())
