"""Built-in blocks, under the name that users look for them by."""

from flowstone.blocks.secret import Secret
from flowstone.blocks.webhook import Webhook

__all__ = ["Secret", "Webhook"]
