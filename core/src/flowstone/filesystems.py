"""Object stores, under the names that they have in Prefect."""

from flowstone.blocks import LocalDirectory as LocalFileSystem
from flowstone.blocks import NullFileSystem, RemoteFileSystem

__all__ = ["LocalFileSystem", "NullFileSystem", "RemoteFileSystem"]
