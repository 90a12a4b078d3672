"""What this package offers Flowstone; it loads nothing of Azure's."""

from flowstone.plugins import Collection, hookimpl


@hookimpl
def collection() -> Collection:
    return Collection(
        blocks={
            "azure-blob-storage-container": (
                "flowstone_azure.blob_storage:AzureBlobStorageContainer"
            ),
            "azure-blob-storage-credentials": (
                "flowstone_azure.credentials:AzureBlobStorageCredentials"
            ),
        },
        schemes={
            "abfss": "flowstone_azure.blob_storage:AzureBlobStorageContainer",
            "az": "flowstone_azure.blob_storage:AzureBlobStorageContainer",
        },
        tasks={
            "blob_storage_download": "flowstone_azure.blob_storage_tasks:blob_storage_download",
            "blob_storage_list": "flowstone_azure.blob_storage_tasks:blob_storage_list",
            "blob_storage_upload": "flowstone_azure.blob_storage_tasks:blob_storage_upload",
        },
    )
