"""Webhook, under its module name in Prefect."""

from flowstone.blocks.notifiers.webhook import Webhook

__all__ = ["Webhook"]
