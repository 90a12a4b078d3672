"""Webhook, under the name of its module in Prefect."""

from flowstone.blocks.notifiers.webhook import Webhook

__all__ = ["Webhook"]
