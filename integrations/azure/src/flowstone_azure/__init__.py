"""Azure for Flowstone: Blob Storage, Key Vault, Container Instances, and tasks."""

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
    from flowstone_azure.container_instances import AzureContainerInstance, AzureContainerRegistry
    from flowstone_azure.credentials import AzureBlobStorageCredentials
    from flowstone_azure.entra_credentials import (
        AzureContainerInstanceCredentials,
        AzureCredentials,
    )
    from flowstone_azure.key_vault import AzureKeyVault, AzureKeyVaultSecret
    from flowstone_azure.key_vault_tasks import (
        akey_vault_delete_secret,
        akey_vault_read_secret,
        akey_vault_write_secret,
        key_vault_delete_secret,
        key_vault_read_secret,
        key_vault_write_secret,
    )

__all__ = [
    "AzureBlobStorageContainer",
    "AzureBlobStorageCredentials",
    "AzureContainerInstance",
    "AzureContainerInstanceCredentials",
    "AzureContainerRegistry",
    "AzureCredentials",
    "AzureKeyVault",
    "AzureKeyVaultSecret",
    "ablob_storage_download",
    "ablob_storage_list",
    "ablob_storage_upload",
    "akey_vault_delete_secret",
    "akey_vault_read_secret",
    "akey_vault_write_secret",
    "blob_storage_download",
    "blob_storage_list",
    "blob_storage_upload",
    "key_vault_delete_secret",
    "key_vault_read_secret",
    "key_vault_write_secret",
]

if not TYPE_CHECKING:
    # Lazy, so that a container does not load the task engine, nor this import pydantic.
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
            ".container_instances": (
                "AzureContainerInstance",
                "AzureContainerRegistry",
            ),
            ".credentials": ("AzureBlobStorageCredentials",),
            ".entra_credentials": (
                "AzureContainerInstanceCredentials",
                "AzureCredentials",
            ),
            ".key_vault": (
                "AzureKeyVault",
                "AzureKeyVaultSecret",
            ),
            ".key_vault_tasks": (
                "akey_vault_delete_secret",
                "akey_vault_read_secret",
                "akey_vault_write_secret",
                "key_vault_delete_secret",
                "key_vault_read_secret",
                "key_vault_write_secret",
            ),
        },
    )
