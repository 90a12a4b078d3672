"""Variables, under the name that users look for them by."""

from flowstone.blocks.variable import Variable

__all__ = ["Variable"]
