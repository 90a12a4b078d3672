"""Blobs of Cloud Storage as tasks: upload, download and copy, each with an async version.

If a bucket is passed by name, names of blobs are full names and sent to Cloud Storage unchanged. If
it is passed as a `GcsBucket`, its credentials are used, and they are paths in its folder, as in its
methods. Both accept ``gs://bucket/name`` for blobs in that bucket.
"""

# ruff: noqa: PLR0913 - the parameters are those that users know

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from flowstone import make_async_twin, record_measures, task
from flowstone.blocks.local_files import open_atomically
from flowstone.blocks.object_stores.paths import local_path
from flowstone_gcp.cloud_storage_arguments import (
    Bucket,
    EncryptionKey,
    Timeout,
    make_blob_key,
    open_source,
    reach_bucket,
    send_blob,
    shape_blob,
)
from flowstone_gcp.credentials import GcpCredentials
from flowstone_gcp.dataframes import DataFrameSerializationFormat, find_format, serialize


@task
def cloud_storage_download_blob_as_bytes(
    bucket: Bucket,
    blob: str,
    gcp_credentials: GcpCredentials | None = None,
    chunk_size: int | None = None,
    encryption_key: EncryptionKey | None = None,
    timeout: Timeout = 60,
    project: str | None = None,
    **download_kwargs: Any,
) -> bytes:
    """Download an object, and return its content as it is stored.

    Args:
        bucket: the bucket's name, or a `GcsBucket`.
        blob: the object.
        gcp_credentials: the credentials; by default the `GcsBucket`'s, or what the SDK finds.
        chunk_size: bytes per request, a multiple of 256 KiB; by default, one request for all.
        encryption_key: the customer-supplied key of the object, of 32 bytes.
        timeout: seconds to wait for the response to each request.
        project: the project, instead of that of the credentials.
        **download_kwargs: other arguments of `google.cloud.storage.Blob.download_as_bytes`.

    Raises:
        ObjectMissing: there is no such object.
        StorageError: the request failed.
        CredentialsError: no credentials were found, or they were refused.

    Example:
        content = cloud_storage_download_blob_as_bytes(bucket, blob)
    """
    provider = reach_bucket(bucket, gcp_credentials, project)
    target = BytesIO()
    options = {"timeout": timeout, **download_kwargs}
    key, shape = make_blob_key(provider, bucket, blob), shape_blob(chunk_size, encryption_key)
    provider.retry_refused(lambda: provider.fetch(key, target, shape, options), target)
    content = target.getvalue()
    record_measures(bytes_read=len(content), objects_read=1)
    return content


@task
def cloud_storage_download_blob_to_file(
    bucket: Bucket,
    blob: str,
    path: str | Path,
    gcp_credentials: GcpCredentials | None = None,
    chunk_size: int | None = None,
    encryption_key: EncryptionKey | None = None,
    timeout: Timeout = 60,
    project: str | None = None,
    **download_kwargs: Any,
) -> str:
    """Download an object to a local file, whole or not at all; return the file's path.

    Args:
        bucket: the bucket's name, or a `GcsBucket`.
        blob: the object.
        path: a file, or a directory that exists, in which it gets the object's name.
        gcp_credentials: the credentials; by default the `GcsBucket`'s, or what the SDK finds.
        chunk_size: bytes per request, a multiple of 256 KiB; by default, one request for all.
        encryption_key: the customer-supplied key of the object, of 32 bytes.
        timeout: seconds to wait for the response to each request.
        project: the project, instead of that of the credentials.
        **download_kwargs: other arguments of `google.cloud.storage.Blob.download_to_file`.

    Raises:
        ObjectMissing: there is no such object.
        StorageError: the request failed, or the file can't be written.
        CredentialsError: no credentials were found, or they were refused.

    Example:
        path = cloud_storage_download_blob_to_file(bucket, blob, path)
    """
    provider = reach_bucket(bucket, gcp_credentials, project)
    key, target = make_blob_key(provider, bucket, blob), Path(path)
    if target.is_dir():
        target = local_path(target, key.rpartition("/")[2])
    options = {"timeout": timeout, **download_kwargs}
    with open_atomically(target) as file:
        shape = shape_blob(chunk_size, encryption_key)
        provider.retry_refused(lambda: provider.fetch(key, file, shape, options), file)
    record_measures(bytes_read=target.stat().st_size, objects_read=1)
    return str(target)


@task
def cloud_storage_upload_blob_from_string(
    data: str | bytes,
    bucket: Bucket,
    blob: str,
    gcp_credentials: GcpCredentials | None = None,
    content_type: str | None = None,
    chunk_size: int | None = None,
    encryption_key: EncryptionKey | None = None,
    timeout: Timeout = 60,
    project: str | None = None,
    **upload_kwargs: Any,
) -> str:
    """Upload text or bytes as an object, and return its name.

    Args:
        data: the content; a string is encoded as UTF-8.
        bucket: the bucket's name, or a `GcsBucket`.
        blob: the object.
        gcp_credentials: the credentials; by default the `GcsBucket`'s, or what the SDK finds.
        content_type: the content type, such as ``text/csv``; by default derived from the name.
        chunk_size: bytes per request, a multiple of 256 KiB.
        encryption_key: a customer-supplied key to encrypt the object with, of 32 bytes.
        timeout: seconds to wait for the response to each request.
        project: the project, instead of that of the credentials.
        **upload_kwargs: other arguments of `google.cloud.storage.Blob.upload_from_file`.

    Raises:
        StorageError: the request failed; see the subclasses `BucketMissing`, `AccessDenied` and
            `Unreachable`.
        CredentialsError: no credentials were found, or they were refused.

    Example:
        blob = cloud_storage_upload_blob_from_string(b"name,country", bucket, "cities.csv")
    """
    content = data.encode() if isinstance(data, str) else data
    provider = reach_bucket(bucket, gcp_credentials, project)
    send_blob(
        provider,
        make_blob_key(provider, bucket, blob),
        BytesIO(content),
        shape_blob(chunk_size, encryption_key),
        {"content_type": content_type, "timeout": timeout, **upload_kwargs},
    )
    return blob


@task
def cloud_storage_upload_blob_from_file(
    file: str | Path | BinaryIO,
    bucket: Bucket,
    blob: str,
    gcp_credentials: GcpCredentials | None = None,
    content_type: str | None = None,
    chunk_size: int | None = None,
    encryption_key: EncryptionKey | None = None,
    timeout: Timeout = 60,
    project: str | None = None,
    **upload_kwargs: Any,
) -> str:
    """Upload a local file, or an open one from its current position; return the object's name.

    Args:
        file: a path, or an open binary file.
        bucket: the bucket's name, or a `GcsBucket`.
        blob: the object.
        gcp_credentials: the credentials; by default the `GcsBucket`'s, or what the SDK finds.
        content_type: the content type, such as ``text/csv``; by default derived from the name.
        chunk_size: bytes per request, a multiple of 256 KiB.
        encryption_key: a customer-supplied key to encrypt the object with, of 32 bytes.
        timeout: seconds to wait for the response to each request.
        project: the project, instead of that of the credentials.
        **upload_kwargs: other arguments of `google.cloud.storage.Blob.upload_from_file`.

    Raises:
        StorageError: the request failed, or there is no such file.
        CredentialsError: no credentials were found, or they were refused.

    Example:
        blob = cloud_storage_upload_blob_from_file(file, bucket, "cities.csv")
    """
    provider = reach_bucket(bucket, gcp_credentials, project)
    key, shape = make_blob_key(provider, bucket, blob), shape_blob(chunk_size, encryption_key)
    options = {"content_type": content_type, "timeout": timeout, **upload_kwargs}
    with open_source(file) as source:
        send_blob(provider, key, source, shape, options)
    return blob


@task
def cloud_storage_upload_blob_from_dataframe(
    df: object,
    bucket: Bucket,
    blob: str,
    gcp_credentials: GcpCredentials | None = None,
    serialization_format: str | DataFrameSerializationFormat = (
        DataFrameSerializationFormat.CSV_GZIP
    ),
    chunk_size: int | None = None,
    encryption_key: EncryptionKey | None = None,
    timeout: Timeout = 60,
    project: str | None = None,
    **upload_kwargs: object,
) -> str:
    """Upload a DataFrame as CSV or Parquet, without its index, and return the object's name.

    Args:
        df: a pandas or polars DataFrame.
        bucket: the bucket's name, or a `GcsBucket`.
        blob: the object; it gets the extension of the format, such as ``cities.csv.gz``.
        gcp_credentials: the credentials; by default the `GcsBucket`'s, or what the SDK finds.
        serialization_format: one of the formats, or its name, such as ``parquet_snappy``.
        chunk_size: bytes per request, a multiple of 256 KiB.
        encryption_key: a customer-supplied key to encrypt the object with, of 32 bytes.
        timeout: seconds to wait for the response to each request.
        project: the project, instead of that of the credentials.
        **upload_kwargs: other arguments of `google.cloud.storage.Blob.upload_from_file`.

    Raises:
        StorageError: the request failed, or the DataFrame can't be written in that format.
        CredentialsError: no credentials were found, or they were refused.
        MissingExtra: Parquet from pandas needs pyarrow.

    Example:
        blob = cloud_storage_upload_blob_from_dataframe(df, bucket, "cities.csv.gz")
    """
    kind = find_format(serialization_format)
    provider = reach_bucket(bucket, gcp_credentials, project)
    blob = kind.fix_extension_with(blob)
    key, shape = make_blob_key(provider, bucket, blob), shape_blob(chunk_size, encryption_key)
    options = {"content_type": kind.content_type, "timeout": timeout, **upload_kwargs}
    with serialize(df, kind, f"{provider.where}/{key}") as file:
        send_blob(provider, key, file.content, shape, options)
    return blob


@task
def cloud_storage_copy_blob(
    source_bucket: Bucket,
    dest_bucket: Bucket,
    source_blob: str,
    gcp_credentials: GcpCredentials | None = None,
    dest_blob: str | None = None,
    timeout: Timeout = 60,
    project: str | None = None,
    **copy_kwargs: Any,
) -> str:
    """Copy an object within Cloud Storage, without downloading it, and return its new name.

    Args:
        source_bucket: the bucket's name, or a `GcsBucket`.
        dest_bucket: the bucket to copy to, likewise.
        source_blob: the object.
        gcp_credentials: the credentials; by default the `GcsBucket`'s, or what the SDK finds.
        dest_blob: the new name; the same one by default.
        timeout: seconds to wait for the response to each request.
        project: the project, instead of that of the credentials.
        **copy_kwargs: other arguments of `google.cloud.storage.Blob.rewrite`.

    Raises:
        ObjectMissing: there is no such object.
        StorageError: the request failed.
        CredentialsError: no credentials were found, or they were refused.

    Example:
        cloud_storage_copy_blob(source_bucket, dest_bucket, source_blob, dest_blob="copy")
    """
    source = reach_bucket(source_bucket, gcp_credentials, project)
    target = reach_bucket(dest_bucket, gcp_credentials or source.credentials, project)
    name = source_blob if dest_blob is None else dest_blob
    key, new_key = (
        make_blob_key(source, source_bucket, source_blob),
        make_blob_key(target, dest_bucket, name),
    )
    options = {"timeout": timeout, **copy_kwargs}
    target.retry_refused(lambda: target.rewrite(source, key, new_key, options))
    record_measures(objects_written=1)
    return name


acloud_storage_download_blob_as_bytes = make_async_twin(cloud_storage_download_blob_as_bytes)
acloud_storage_download_blob_to_file = make_async_twin(cloud_storage_download_blob_to_file)
acloud_storage_upload_blob_from_string = make_async_twin(cloud_storage_upload_blob_from_string)
acloud_storage_upload_blob_from_file = make_async_twin(cloud_storage_upload_blob_from_file)
acloud_storage_upload_blob_from_dataframe = make_async_twin(
    cloud_storage_upload_blob_from_dataframe
)
acloud_storage_copy_blob = make_async_twin(cloud_storage_copy_blob)
