"""Slack for Flowstone: notes in a channel, by an incoming webhook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.plugins.exports import lazy_exports

if TYPE_CHECKING:
    from flowstone_slack.notifier import SlackWebhook

__all__ = ["SlackWebhook"]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(__name__, {".notifier": ("SlackWebhook",)})
