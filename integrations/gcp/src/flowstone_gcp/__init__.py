"""Google Cloud for Flowstone: Cloud Storage, BigQuery, Secret Manager, Cloud Run, and tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.plugins import lazy_exports

if TYPE_CHECKING:
    from flowstone_gcp.bigquery import BigQueryWarehouse
    from flowstone_gcp.bigquery_tasks import (
        abigquery_create_table,
        abigquery_insert_stream,
        abigquery_load_cloud_storage,
        abigquery_load_file,
        abigquery_query,
        bigquery_create_table,
        bigquery_insert_stream,
        bigquery_load_cloud_storage,
        bigquery_load_file,
        bigquery_query,
    )
    from flowstone_gcp.bucket_tasks import acloud_storage_create_bucket, cloud_storage_create_bucket
    from flowstone_gcp.cloud_run import CloudRunJob, SecretKeySelector
    from flowstone_gcp.cloud_storage import GcsBucket
    from flowstone_gcp.cloud_storage_tasks import (
        acloud_storage_copy_blob,
        acloud_storage_download_blob_as_bytes,
        acloud_storage_download_blob_to_file,
        acloud_storage_upload_blob_from_dataframe,
        acloud_storage_upload_blob_from_file,
        acloud_storage_upload_blob_from_string,
        cloud_storage_copy_blob,
        cloud_storage_download_blob_as_bytes,
        cloud_storage_download_blob_to_file,
        cloud_storage_upload_blob_from_dataframe,
        cloud_storage_upload_blob_from_file,
        cloud_storage_upload_blob_from_string,
    )
    from flowstone_gcp.credentials import GcpCredentials
    from flowstone_gcp.dataframes import DataFrameSerializationFormat
    from flowstone_gcp.secret_manager import GcpSecret, GcpSecrets
    from flowstone_gcp.secret_manager_tasks import (
        acreate_secret,
        adelete_secret,
        adelete_secret_version,
        aread_secret,
        aupdate_secret,
        create_secret,
        delete_secret,
        delete_secret_version,
        read_secret,
        update_secret,
    )

__all__ = [
    "BigQueryWarehouse",
    "CloudRunJob",
    "DataFrameSerializationFormat",
    "GcpCredentials",
    "GcpSecret",
    "GcpSecrets",
    "GcsBucket",
    "SecretKeySelector",
    "abigquery_create_table",
    "abigquery_insert_stream",
    "abigquery_load_cloud_storage",
    "abigquery_load_file",
    "abigquery_query",
    "acloud_storage_copy_blob",
    "acloud_storage_create_bucket",
    "acloud_storage_download_blob_as_bytes",
    "acloud_storage_download_blob_to_file",
    "acloud_storage_upload_blob_from_dataframe",
    "acloud_storage_upload_blob_from_file",
    "acloud_storage_upload_blob_from_string",
    "acreate_secret",
    "adelete_secret",
    "adelete_secret_version",
    "aread_secret",
    "aupdate_secret",
    "bigquery_create_table",
    "bigquery_insert_stream",
    "bigquery_load_cloud_storage",
    "bigquery_load_file",
    "bigquery_query",
    "cloud_storage_copy_blob",
    "cloud_storage_create_bucket",
    "cloud_storage_download_blob_as_bytes",
    "cloud_storage_download_blob_to_file",
    "cloud_storage_upload_blob_from_dataframe",
    "cloud_storage_upload_blob_from_file",
    "cloud_storage_upload_blob_from_string",
    "create_secret",
    "delete_secret",
    "delete_secret_version",
    "read_secret",
    "update_secret",
]

if not TYPE_CHECKING:
    # Lazy, so that a bucket does not load the task engine, nor this import pydantic.
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".bigquery": ("BigQueryWarehouse",),
            ".bigquery_tasks": (
                "abigquery_create_table",
                "abigquery_insert_stream",
                "abigquery_load_cloud_storage",
                "abigquery_load_file",
                "abigquery_query",
                "bigquery_create_table",
                "bigquery_insert_stream",
                "bigquery_load_cloud_storage",
                "bigquery_load_file",
                "bigquery_query",
            ),
            ".bucket_tasks": (
                "acloud_storage_create_bucket",
                "cloud_storage_create_bucket",
            ),
            ".cloud_run": (
                "CloudRunJob",
                "SecretKeySelector",
            ),
            ".cloud_storage": ("GcsBucket",),
            ".cloud_storage_tasks": (
                "acloud_storage_copy_blob",
                "acloud_storage_download_blob_as_bytes",
                "acloud_storage_download_blob_to_file",
                "acloud_storage_upload_blob_from_dataframe",
                "acloud_storage_upload_blob_from_file",
                "acloud_storage_upload_blob_from_string",
                "cloud_storage_copy_blob",
                "cloud_storage_download_blob_as_bytes",
                "cloud_storage_download_blob_to_file",
                "cloud_storage_upload_blob_from_dataframe",
                "cloud_storage_upload_blob_from_file",
                "cloud_storage_upload_blob_from_string",
            ),
            ".credentials": ("GcpCredentials",),
            ".dataframes": ("DataFrameSerializationFormat",),
            ".secret_manager": (
                "GcpSecret",
                "GcpSecrets",
            ),
            ".secret_manager_tasks": (
                "acreate_secret",
                "adelete_secret",
                "adelete_secret_version",
                "aread_secret",
                "aupdate_secret",
                "create_secret",
                "delete_secret",
                "delete_secret_version",
                "read_secret",
                "update_secret",
            ),
        },
    )
