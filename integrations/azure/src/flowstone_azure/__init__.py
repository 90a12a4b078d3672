"""Azure for Flowstone: logins, Blob Storage containers as object stores, and tasks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.plugins import lazy_exports

if TYPE_CHECKING:
    from flowstone_azure.blob_storage import AzureBlobStorageContainer
    from flowstone_azure.blob_storage_tasks import (
        ablob_storage_download,
        ablob_storage_list,
        ablob_storage_upload,
        blob_storage_download,
        blob_storage_list,
        blob_storage_upload,
    )
    from flowstone_azure.credentials import AzureBlobStorageCredentials

__all__ = [
    "AzureBlobStorageContainer",
    "AzureBlobStorageCredentials",
    "ablob_storage_download",
    "ablob_storage_list",
    "ablob_storage_upload",
    "blob_storage_download",
    "blob_storage_list",
    "blob_storage_upload",
]

if not TYPE_CHECKING:
    # Who uses a container need not wait for the task engine, nor anybody here for pydantic.
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".blob_storage": ("AzureBlobStorageContainer",),
            ".blob_storage_tasks": (
                "ablob_storage_download",
                "ablob_storage_list",
                "ablob_storage_upload",
                "blob_storage_download",
                "blob_storage_list",
                "blob_storage_upload",
            ),
            ".credentials": ("AzureBlobStorageCredentials",),
        },
    )
