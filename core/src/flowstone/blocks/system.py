"""Built-in blocks, under their module name in Prefect."""

from flowstone.blocks.notifiers.webhook import Webhook
from flowstone.blocks.secret_providers.secret import Secret

__all__ = ["Secret", "Webhook"]
