"""Copies that Azure makes by itself, within an account."""

from __future__ import annotations

from time import sleep
from typing import TYPE_CHECKING

from azure.core import MatchConditions

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient

COPY_POLL_SECONDS = 0.5


def copy_by_service(client: BlobClient, url: str, etag: str | None) -> str:
    """Let Azure copy an object, and wait until it has; return how that ended: ``success``.

    Args:
        client: of the new object.
        url: of what is copied, which the service can read.
        etag: of the content; what was changed meanwhile is not copied.
    """
    started = client.start_copy_from_url(
        url,
        source_etag=f'"{etag}"',
        source_match_condition=MatchConditions.IfNotModified,
    )
    status, copy_id = str(started["copy_status"]), str(started["copy_id"])
    try:
        while status == "pending":
            sleep(COPY_POLL_SECONDS)
            status = str(client.get_blob_properties().copy.status)
    except BaseException:
        client.abort_copy(copy_id)
        raise
    return status
