"""Server-side copies within an account."""

from __future__ import annotations

from time import sleep
from typing import TYPE_CHECKING, Unpack

from azure.core import MatchConditions

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient

    from flowstone_azure.blob_settings import CopyGiven

COPY_POLL_SECONDS = 0.5


def copy_by_service(
    client: BlobClient, url: str, etag: str | None, **options: Unpack[CopyGiven]
) -> str:
    """Copy an object on the server, wait for the copy, and return its status: ``success``.

    Args:
        client: the client of the new object.
        url: the URL of the source, which the service must be able to read.
        etag: the etag of the source; the copy fails if the source has changed.
        **options: other arguments of the SDK's ``start_copy_from_url``.
    """
    started = client.start_copy_from_url(
        url,
        source_etag=f'"{etag}"',
        source_match_condition=MatchConditions.IfNotModified,
        **options,
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
