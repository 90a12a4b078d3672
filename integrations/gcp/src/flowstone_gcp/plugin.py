"""What this package offers Flowstone; it loads nothing of Google's."""

from flowstone.plugins import Collection, hookimpl


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
        tasks={
            name: f"flowstone_gcp.{module}:{name}"
            for name, module in (
                ("bigquery_create_table", "bigquery_tasks"),
                ("bigquery_insert_stream", "bigquery_tasks"),
                ("bigquery_load_cloud_storage", "bigquery_tasks"),
                ("bigquery_load_file", "bigquery_tasks"),
                ("bigquery_query", "bigquery_tasks"),
                ("cloud_storage_copy_blob", "cloud_storage_tasks"),
                ("cloud_storage_create_bucket", "bucket_tasks"),
                ("cloud_storage_download_blob_as_bytes", "cloud_storage_tasks"),
                ("cloud_storage_download_blob_to_file", "cloud_storage_tasks"),
                ("cloud_storage_upload_blob_from_dataframe", "cloud_storage_tasks"),
                ("cloud_storage_upload_blob_from_file", "cloud_storage_tasks"),
                ("cloud_storage_upload_blob_from_string", "cloud_storage_tasks"),
                ("create_secret", "secret_manager_tasks"),
                ("delete_secret", "secret_manager_tasks"),
                ("delete_secret_version", "secret_manager_tasks"),
                ("read_secret", "secret_manager_tasks"),
                ("update_secret", "secret_manager_tasks"),
            )
        },
    )
