"""Notifiers: the interface for messages to people, and webhooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.plugins.exports import lazy_exports

if TYPE_CHECKING:
    from flowstone.blocks.notifiers.deadlines import deadline, hang_up, trust
    from flowstone.blocks.notifiers.http import Answer
    from flowstone.blocks.notifiers.http_notifier import HttpNotifier, HttpProvider
    from flowstone.blocks.notifiers.note import Note, cut
    from flowstone.blocks.notifiers.notifier import Notifier
    from flowstone.blocks.notifiers.provider import NotifierProvider
    from flowstone.blocks.notifiers.webhook import Webhook

__all__ = [
    "Answer",
    "HttpNotifier",
    "HttpProvider",
    "Note",
    "Notifier",
    "NotifierProvider",
    "Webhook",
    "cut",
    "deadline",
    "hang_up",
    "trust",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".deadlines": ("deadline", "hang_up", "trust"),
            ".http": ("Answer",),
            ".http_notifier": ("HttpNotifier", "HttpProvider"),
            ".note": ("Note", "cut"),
            ".notifier": ("Notifier",),
            ".provider": ("NotifierProvider",),
            ".webhook": ("Webhook",),
        },
    )
