"""Object stores: the interface for users, the provider behind it, and local directories."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.plugins.exports import lazy_exports

if TYPE_CHECKING:
    from flowstone.blocks.object_stores.bodies import ObjectBody
    from flowstone.blocks.object_stores.cursors import reset_cursor
    from flowstone.blocks.object_stores.local import LocalDirectory, LocalProvider
    from flowstone.blocks.object_stores.object_options import (
        EncryptionKey,
        Tags,
        read_encryption_key,
    )
    from flowstone.blocks.object_stores.object_store import ObjectStore
    from flowstone.blocks.object_stores.parallel import map_in_threads, send_in_parts
    from flowstone.blocks.object_stores.paths import (
        ExactKey,
        FolderInfo,
        ObjectInfo,
        ObjectPath,
        ObjectVersion,
        folder_key,
        object_key,
    )
    from flowstone.blocks.object_stores.provider import ObjectStoreProvider
    from flowstone.blocks.object_stores.resuming import CHUNK_BYTES
    from flowstone.blocks.object_stores.small_objects import (
        FAST_PARALLEL,
        SMALL_BYTES,
        FastClient,
        FastObject,
        FastTransfers,
        SmallObjects,
        was_loaded_before_fork,
    )
    from flowstone.blocks.object_stores.sync_directions import SyncResult
    from flowstone.blocks.object_stores.writing import WriteOptions

__all__ = [
    "CHUNK_BYTES",
    "FAST_PARALLEL",
    "SMALL_BYTES",
    "EncryptionKey",
    "ExactKey",
    "FastClient",
    "FastObject",
    "FastTransfers",
    "FolderInfo",
    "LocalDirectory",
    "LocalProvider",
    "ObjectBody",
    "ObjectInfo",
    "ObjectPath",
    "ObjectStore",
    "ObjectStoreProvider",
    "ObjectVersion",
    "SmallObjects",
    "SyncResult",
    "Tags",
    "WriteOptions",
    "folder_key",
    "map_in_threads",
    "object_key",
    "read_encryption_key",
    "reset_cursor",
    "send_in_parts",
    "was_loaded_before_fork",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".bodies": ("ObjectBody",),
            ".cursors": ("reset_cursor",),
            ".local": ("LocalDirectory", "LocalProvider"),
            ".object_options": ("EncryptionKey", "Tags", "read_encryption_key"),
            ".object_store": ("ObjectStore",),
            ".parallel": ("map_in_threads", "send_in_parts"),
            ".paths": (
                "ExactKey",
                "FolderInfo",
                "ObjectInfo",
                "ObjectPath",
                "ObjectVersion",
                "folder_key",
                "object_key",
            ),
            ".provider": ("ObjectStoreProvider",),
            ".resuming": ("CHUNK_BYTES",),
            ".small_objects": (
                "FAST_PARALLEL",
                "SMALL_BYTES",
                "FastClient",
                "FastObject",
                "FastTransfers",
                "SmallObjects",
                "was_loaded_before_fork",
            ),
            ".sync_directions": ("SyncResult",),
            ".writing": ("WriteOptions",),
        },
    )
