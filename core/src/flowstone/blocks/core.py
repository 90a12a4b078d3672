"""The base class of blocks, under its module name in Prefect."""

from flowstone.blocks.base import Block

__all__ = ["Block"]
