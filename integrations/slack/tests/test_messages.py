"""Messages in Slack's format: requests, and Slack's responses."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator

import pytest
from slack_sdk.models.blocks import SectionBlock
from tests.services.slack import Slack, serve_slack

from flowstone import flow
from flowstone.errors import (
    CredentialsError,
    NotificationFailed,
    NotificationInvalid,
    NotificationUnsent,
)
from flowstone.records import redaction
from flowstone_slack import (
    SlackCredentials,
    SlackWebhook,
    asend_chat_message,
    send_chat_message,
    send_incoming_webhook_message,
)
from flowstone_testing.ports import reserve_closed_port

TOKEN = f"xoxb-canary-{secrets.token_hex(12)}"


@pytest.fixture
def slack() -> Iterator[Slack]:
    with serve_slack(TOKEN) as found:
        yield found


@pytest.fixture
def bot(slack: Slack) -> SlackCredentials:
    return SlackCredentials(token=TOKEN, base_url=f"{slack.url}/api")


def test_a_bot_posts_as_users_write_it(slack: Slack, bot: SlackCredentials) -> None:
    @flow
    def tell() -> str:
        answer = send_chat_message(
            slack_credentials=bot,
            channel="#alerts",
            text="*12* rows <https://example.org|are missing>",
            attachments=[{"color": "#f00", "text": "orders"}],
            slack_blocks=[SectionBlock(text="rows")],
        )
        return str(answer["ts"])

    assert tell() == "1503435956.000247"
    assert slack.messages == [
        {
            "channel": "#alerts",
            "text": "*12* rows <https://example.org|are missing>",
            "attachments": [{"color": "#f00", "text": "orders"}],
            "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "rows"}}],
        }
    ]


def test_the_async_twin_is_awaited(slack: Slack, bot: SlackCredentials) -> None:
    answer = asyncio.run(asend_chat_message("#alerts", bot, "12 rows"))
    assert answer["channel"] == "C0123456789"
    assert [each["text"] for each in slack.messages] == ["12 rows"]


def test_a_webhook_posts_blocks(slack: Slack) -> None:
    hook = SlackWebhook(url=f"{slack.url}/services/T0/B0/x1y2z3")
    blocks = [{"type": "divider"}]
    send_incoming_webhook_message(slack_webhook=hook, text="<!here> rows", slack_blocks=blocks)
    hook.notify("a note, as before")
    assert slack.messages == [
        {"text": "<!here> rows", "blocks": blocks},
        {"text": "a note, as before"},
    ]


def test_the_clients_are_those_of_the_sdk(slack: Slack, bot: SlackCredentials) -> None:
    assert bot.get_client().chat_postMessage(channel="#alerts", text="a")["ok"]
    hook = SlackWebhook(url=f"{slack.url}/services/T0/B0/x1y2z3")
    assert hook.get_client().send(text="b").status_code == 200
    assert [each["text"] for each in slack.messages] == ["a", "b"]


def test_secrets_that_are_known_are_masked(slack: Slack, bot: SlackCredentials) -> None:
    secret = f"canary-{secrets.token_hex(12)}"
    redaction.register(secret)
    send_chat_message("#alerts", bot, f"not {secret}", slack_blocks=[{"text": {"a": [secret]}}])
    assert secret not in str(slack.messages)
    assert "not " in slack.messages[0]["text"]


# ---------------------------------------------------------------- what goes wrong


def test_a_token_that_is_not_known(slack: Slack) -> None:
    bot = SlackCredentials(token=f"{TOKEN}-of-before", base_url=f"{slack.url}/api/")
    with pytest.raises(CredentialsError, match=r"invalid_auth.*Check `token`") as caught:
        send_chat_message.fn("#alerts", bot, "a")
    assert TOKEN not in str(caught.value)
    assert not slack.messages


def test_no_token_at_all(slack: Slack, monkeypatch: pytest.MonkeyPatch) -> None:
    bot = SlackCredentials(base_url=f"{slack.url}/api/")
    monkeypatch.delenv("SLACK_BOT_TOKEN", raising=False)
    with pytest.raises(CredentialsError, match="SLACK_BOT_TOKEN"):
        bot.client()
    monkeypatch.setenv("SLACK_BOT_TOKEN", TOKEN)
    assert bot.check().reason == "flow in Ours"


def test_a_channel_that_is_not_there(bot: SlackCredentials) -> None:
    with pytest.raises(NotificationFailed, match=r"channel_not_found.*invite the bot"):
        send_chat_message.fn("#nowhere", bot, "a")


def test_a_busy_slack_says_how_long(slack: Slack, bot: SlackCredentials) -> None:
    slack.asks_for_patience = [30]
    with pytest.raises(NotificationUnsent, match="ratelimited") as caught:
        send_chat_message.fn("#alerts", bot, "a")
    assert caught.value.after == 30
    assert not slack.messages


def test_a_slack_that_is_not_there() -> None:
    bot = SlackCredentials(token=TOKEN, base_url=f"http://127.0.0.1:{reserve_closed_port()}/api/")
    with pytest.raises(NotificationUnsent, match="not reached"):
        send_chat_message.fn("#alerts", bot, "a")


@pytest.mark.parametrize("blocks", [None, [], [{"text": object()}]])
def test_what_is_no_message(
    bot: SlackCredentials, slack: Slack, blocks: list[dict[str, object]]
) -> None:
    with pytest.raises(NotificationInvalid, match="Pass a text, or blocks"):
        send_chat_message.fn("#alerts", bot, None, slack_blocks=blocks)
    assert not slack.messages
