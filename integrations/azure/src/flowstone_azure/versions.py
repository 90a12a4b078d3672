"""Old versions of objects, in accounts that store them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.blocks.object_stores import ObjectVersion
from flowstone.errors import ObjectMissing
from flowstone_azure.errors import read_code
from flowstone_azure.listings import strip_quotes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from azure.storage.blob import BlobProperties

    from flowstone.errors import StorageError

#: Azure's error codes for a version that does not exist or is not a timestamp.
_NO_VERSION = {"InvalidInput", "InvalidQueryParameterValue", "OutOfRangeQueryParameterValue"}


def is_no_version(error: StorageError) -> bool:
    """Return whether an error says that there is no such version."""
    return isinstance(error, ObjectMissing) or read_code(error.__cause__) in _NO_VERSION


def sort_versions(items: Iterable[BlobProperties]) -> Iterator[ObjectVersion]:
    """Yield the versions of an object, newest first.

    Objects written while versioning was disabled have no version id, and are omitted.
    """
    found = [(bool(item.is_current_version), str(item.version_id or ""), item) for item in items]
    # A version id is the time at which it was written; all ids have the same length.
    found.sort(key=lambda each: each[:2], reverse=True)
    for is_current, version, item in found:
        if not version:
            continue
        yield ObjectVersion(
            item.name,
            version,
            item.last_modified,
            item.size,
            strip_quotes(item.etag),
            is_current=is_current,
        )
