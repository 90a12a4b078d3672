"""Webhook, under the name that users look for it by."""

from flowstone.blocks.notifiers.webhook import Webhook

__all__ = ["Webhook"]
