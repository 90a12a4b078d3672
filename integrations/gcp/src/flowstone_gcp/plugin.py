"""The collection of this package; importing it does not load Google's SDK."""

from flowstone.plugins import Collection, hookimpl

TASKS = {
    "bigquery_tasks": """bigquery_create_table bigquery_insert_stream bigquery_load_cloud_storage
        bigquery_load_file bigquery_query""",
    "bucket_tasks": "cloud_storage_create_bucket",
    "cloud_storage_tasks": """cloud_storage_copy_blob cloud_storage_download_blob_as_bytes
        cloud_storage_download_blob_to_file cloud_storage_upload_blob_from_dataframe
        cloud_storage_upload_blob_from_file cloud_storage_upload_blob_from_string""",
    "secret_manager_tasks": "create_secret delete_secret delete_secret_version read_secret"
    " update_secret",
}


@hookimpl
def collection() -> Collection:
    return Collection(
        blocks={
            "bigquery-warehouse": "flowstone_gcp.bigquery:BigQueryWarehouse",
            "cloud-run-job": "flowstone_gcp.cloud_run:CloudRunJob",
            "gcp-credentials": "flowstone_gcp.credentials:GcpCredentials",
            "gcp-secret": "flowstone_gcp.secret_manager:GcpSecret",
            "gcp-secrets": "flowstone_gcp.secret_manager:GcpSecrets",
            "gcs-bucket": "flowstone_gcp.cloud_storage:GcsBucket",
        },
        schemes={"gs": "flowstone_gcp.cloud_storage:GcsBucket"},
        secret_providers={"gcp-secret": "flowstone_gcp.secret_manager:GcpSecrets"},
        tasks=dict(
            sorted(
                (name, f"flowstone_gcp.{module}:{name}")
                for module, names in TASKS.items()
                for name in names.split()
            )
        ),
    )
