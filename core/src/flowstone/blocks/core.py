"""What blocks derive from, under the name that users look for it by."""

from flowstone.blocks.base import Block

__all__ = ["Block"]
