"""Object stores, under the names that users look for them by."""

from flowstone.blocks import LocalDirectory as LocalFileSystem
from flowstone.blocks import NullFileSystem, RemoteFileSystem

__all__ = ["LocalFileSystem", "NullFileSystem", "RemoteFileSystem"]
