"""The collection of this package; importing it does not load Azure's SDK."""

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
            "azure-container-instance": (
                "flowstone_azure.container_instances:AzureContainerInstance"
            ),
            "azure-container-instance-credentials": (
                "flowstone_azure.entra_credentials:AzureContainerInstanceCredentials"
            ),
            "azure-credentials": "flowstone_azure.entra_credentials:AzureCredentials",
            "azure-keyvault": "flowstone_azure.key_vault:AzureKeyVault",
            "azure-keyvault-secret": "flowstone_azure.key_vault:AzureKeyVaultSecret",
        },
        schemes={
            "abfss": "flowstone_azure.blob_storage:AzureBlobStorageContainer",
            "az": "flowstone_azure.blob_storage:AzureBlobStorageContainer",
        },
        secret_providers={"azure-keyvault": "flowstone_azure.key_vault:AzureKeyVault"},
        tasks={
            "blob_storage_download": "flowstone_azure.blob_storage_tasks:blob_storage_download",
            "blob_storage_list": "flowstone_azure.blob_storage_tasks:blob_storage_list",
            "blob_storage_upload": "flowstone_azure.blob_storage_tasks:blob_storage_upload",
            "key_vault_delete_secret": "flowstone_azure.key_vault_tasks:key_vault_delete_secret",
            "key_vault_read_secret": "flowstone_azure.key_vault_tasks:key_vault_read_secret",
            "key_vault_write_secret": "flowstone_azure.key_vault_tasks:key_vault_write_secret",
        },
    )
