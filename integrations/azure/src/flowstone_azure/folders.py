"""Folders that are stored as objects, by hierarchical namespaces and by Hadoop.

They are empty objects with the name of the folder, marked by their metadata.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.blocks.object_stores import ObjectInfo

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime


class FolderKey(str):
    """The key of a folder, with a trailing slash that the blob's name does not have."""

    __slots__ = ()

    @property
    def blob(self) -> str:
        """The name of the folder's blob."""
        return self.removesuffix("/")

    @property
    def depth(self) -> int:
        return self.count("/")


def is_marked(metadata: Mapping[str, str] | None) -> bool:
    """Return whether an object with this metadata is a folder."""
    # Names are case-insensitive, but their case is kept.
    found = {name.lower(): value for name, value in (metadata or {}).items()}
    return found.get("hdi_isfolder", "").lower() == "true"


def make_folder(name: str, modified: datetime) -> ObjectInfo:
    """Return the `ObjectInfo` of a folder."""
    return ObjectInfo(FolderKey(f"{name}/"), 0, modified)


def put_folders_last(infos: Iterable[ObjectInfo]) -> Iterator[ObjectInfo]:
    """Reorder a listing so that each folder comes after its content, as deleting it requires."""
    open_folders: list[ObjectInfo] = []
    for info in infos:
        # `a-b` comes between the folder `a` and its content.
        while open_folders and not info.path.startswith(open_folders[-1].path):
            if info.path < open_folders[-1].path:
                break
            yield open_folders.pop()
        if isinstance(info.path, FolderKey):
            open_folders.append(info)
        else:
            yield info
    yield from reversed(open_folders)
