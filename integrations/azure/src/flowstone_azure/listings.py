"""Conversion of Azure's listings into objects and folders."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING, TypeVar

from flowstone.blocks.object_stores import FolderInfo, ObjectInfo
from flowstone_azure.folders import is_marked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from azure.core.paging import ItemPaged
    from azure.storage.blob import BlobPrefix, BlobProperties

T = TypeVar("T")


def read_pages(
    start: Callable[[], ItemPaged[T]], translate_errors: Callable[[], AbstractContextManager[None]]
) -> Iterator[list[T]]:
    """Yield a listing page by page, lazily, with the errors of each request translated."""
    with translate_errors():
        pages = start().by_page()
    while True:
        with translate_errors():
            page = next(pages, None)
            items = [] if page is None else list(page)
        if page is None:
            return
        yield items


def describe(found: BlobProperties) -> ObjectInfo:
    """Return the `ObjectInfo` of a blob, with its tier unless that is the account's default."""
    tier = None if found.blob_tier_inferred else found.blob_tier
    digest = found.content_settings.content_md5
    return ObjectInfo(
        found.name,
        found.size,
        found.last_modified,
        strip_quotes(found.etag),
        content_type=found.content_settings.content_type,
        # Names are case-insensitive, but their case is kept.
        metadata={name.lower(): value or "" for name, value in (found.metadata or {}).items()},
        storage_class=None if tier is None else str(getattr(tier, "value", tier)),
        version=found.version_id,
        md5=bytes(digest) if digest else None,
    )


def strip_quotes(etag: str | None) -> str | None:
    return etag.strip('"') if etag else None


def merge_level(
    pages: Iterable[list[BlobProperties | BlobPrefix]],
) -> Iterator[ObjectInfo | FolderInfo]:
    """Yield one level ordered by key, each folder once, whether listed as prefix, blob or both.

    `a-b` sorts before the folder `a/`, but some accounts list the folder first. So folders are
    held back until a later name is listed.
    """
    waiting: list[str] = []
    for page in pages:
        for item in sorted(page, key=lambda each: each.name):
            info = _describe_either(item)
            while waiting and waiting[0] < item.name.removesuffix("/"):
                yield FolderInfo(heappop(waiting))
            if isinstance(info, ObjectInfo):
                yield info
            elif info.path not in waiting:
                heappush(waiting, info.path)
    while waiting:
        yield FolderInfo(heappop(waiting))


def _describe_either(item: BlobProperties | BlobPrefix) -> ObjectInfo | FolderInfo:
    from azure.storage.blob import BlobPrefix  # loaded with the first client

    if isinstance(item, BlobPrefix):
        return FolderInfo(item.name)
    return FolderInfo(f"{item.name}/") if is_marked(item.metadata) else describe(item)
