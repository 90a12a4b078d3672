"""Slack for Flowstone: notes and messages in channels, by an incoming webhook or a bot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.plugins.exports import lazy_exports

if TYPE_CHECKING:
    from flowstone_slack.credentials import SlackCredentials
    from flowstone_slack.messages import (
        asend_chat_message,
        asend_incoming_webhook_message,
        send_chat_message,
        send_incoming_webhook_message,
    )
    from flowstone_slack.notifier import SlackWebhook

__all__ = [
    "SlackCredentials",
    "SlackWebhook",
    "asend_chat_message",
    "asend_incoming_webhook_message",
    "send_chat_message",
    "send_incoming_webhook_message",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".credentials": ("SlackCredentials",),
            ".messages": (
                "asend_chat_message",
                "asend_incoming_webhook_message",
                "send_chat_message",
                "send_incoming_webhook_message",
            ),
            ".notifier": ("SlackWebhook",),
        },
    )
