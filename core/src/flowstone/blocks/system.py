"""Built-in blocks, under the name that users look for them by."""

from flowstone.blocks.secret import Secret

__all__ = ["Secret"]
