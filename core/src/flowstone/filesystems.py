"""Directories as object stores, under the name that users look for them by."""

from flowstone.blocks import LocalDirectory as LocalFileSystem

__all__ = ["LocalFileSystem"]
