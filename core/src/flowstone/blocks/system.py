"""Built-in blocks, under the name that users look for them by."""

from flowstone.blocks.notifiers.webhook import Webhook
from flowstone.blocks.secret_providers.secret import Secret

__all__ = ["Secret", "Webhook"]
