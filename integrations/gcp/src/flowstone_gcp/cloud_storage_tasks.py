"""Cloud Storage as tasks: upload, download, copy, create a bucket, each with an async twin.

A bucket is a name, and then names of blobs are whole and go to Cloud Storage as they are; or it is
a `GcsBucket`, which brings its login, and then they are paths in its folder, by the rules of its
methods. The bucket's own ``gs://bucket/name`` is understood in both.
"""

# ruff: noqa: ASYNC109, PLR0913 - the parameters are those that users know

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import SecretStr

from flowstone import record_measures, task
from flowstone.blocks.local_files import open_atomically, translate_read_error
from flowstone.blocks.object_stores.paths import local_path
from flowstone_gcp.cloud_storage import GcsBucket, GcsProvider
from flowstone_gcp.credentials import GcpCredentials

Bucket = str | GcsBucket
EncryptionKey = str | bytes | SecretStr
Timeout = float | tuple[float, float]


@task
def cloud_storage_create_bucket(
    bucket: str,
    gcp_credentials: GcpCredentials | None = None,
    project: str | None = None,
    location: str | None = None,
    **create_kwargs: Any,
) -> str:
    """Create a bucket, and return its name.

    Args:
        bucket: the name, which nobody else in the world has.
        gcp_credentials: the login; by default application default credentials.
        project: where to create it; by default the login's.
        location: where it is: ``EU``, ``europe-west1``; Google's default otherwise.
        **create_kwargs: further arguments of `google.cloud.storage.Client.create_bucket`.

    Raises:
        StorageError: there is such a bucket, or Cloud Storage refused.
        CredentialsError: there is no login, or it was refused.

    Example:
        cloud_storage_create_bucket(bucket, gcp_credentials, location="EU")
    """
    provider = _reach(bucket, gcp_credentials, project)
    provider.create(location, create_kwargs)
    return provider.bucket


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
        gcp_credentials: the login; by default the `GcsBucket`'s, or what the SDK finds.
        chunk_size: bytes in one request, a multiple of 256 KiB; all of them by default.
        encryption_key: the customer's key that the object is encrypted with, of 32 bytes.
        timeout: seconds that each request may wait for an answer.
        project: in place of the login's.
        **download_kwargs: further arguments of `google.cloud.storage.Blob.download_as_bytes`.

    Raises:
        ObjectMissing: there is no such object.
        StorageError: Cloud Storage refused.
        CredentialsError: there is no login, or it was refused.

    Example:
        content = cloud_storage_download_blob_as_bytes(bucket, blob)
    """
    provider = _reach(bucket, gcp_credentials, project)
    target = BytesIO()
    options = {"timeout": timeout, **download_kwargs}
    provider.fetch(
        _make_key(provider, bucket, blob), target, _shape(chunk_size, encryption_key), options
    )
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
        gcp_credentials: the login; by default the `GcsBucket`'s, or what the SDK finds.
        chunk_size: bytes in one request, a multiple of 256 KiB; all of them by default.
        encryption_key: the customer's key that the object is encrypted with, of 32 bytes.
        timeout: seconds that each request may wait for an answer.
        project: in place of the login's.
        **download_kwargs: further arguments of `google.cloud.storage.Blob.download_to_file`.

    Raises:
        ObjectMissing: there is no such object.
        StorageError: Cloud Storage refused, or the file can't be written.
        CredentialsError: there is no login, or it was refused.

    Example:
        path = cloud_storage_download_blob_to_file(bucket, blob, "cities.csv")
    """
    provider = _reach(bucket, gcp_credentials, project)
    key, target = _make_key(provider, bucket, blob), Path(path)
    if target.is_dir():
        target = local_path(target, key.rpartition("/")[2])
    options = {"timeout": timeout, **download_kwargs}
    with open_atomically(target) as file:
        provider.fetch(key, file, _shape(chunk_size, encryption_key), options)
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
    """Upload a text or bytes as an object, and return its name.

    Args:
        data: the content; a text is encoded as UTF-8.
        bucket: the bucket's name, or a `GcsBucket`.
        blob: the object.
        gcp_credentials: the login; by default the `GcsBucket`'s, or what the SDK finds.
        content_type: as ``text/csv``; by default what the object's name says.
        chunk_size: bytes in one request, a multiple of 256 KiB.
        encryption_key: a key of the customer's to encrypt the object with, of 32 bytes.
        timeout: seconds that each request may wait for an answer.
        project: in place of the login's.
        **upload_kwargs: further arguments of `google.cloud.storage.Blob.upload_from_file`.

    Raises:
        StorageError: Cloud Storage refused; `BucketMissing`, `AccessDenied`, `Unreachable` are its
            kinds.
        CredentialsError: there is no login, or it was refused.

    Example:
        blob = cloud_storage_upload_blob_from_string(b"name,country", bucket, "cities.csv")
    """
    content = data.encode() if isinstance(data, str) else data
    provider = _reach(bucket, gcp_credentials, project)
    _send(
        provider,
        _make_key(provider, bucket, blob),
        BytesIO(content),
        _shape(chunk_size, encryption_key),
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
    """Upload a local file, or an open one from where it stands, and return the object's name.

    Args:
        file: a path, or a binary file.
        bucket: the bucket's name, or a `GcsBucket`.
        blob: the object.
        gcp_credentials: the login; by default the `GcsBucket`'s, or what the SDK finds.
        content_type: as ``text/csv``; by default what the object's name says.
        chunk_size: bytes in one request, a multiple of 256 KiB.
        encryption_key: a key of the customer's to encrypt the object with, of 32 bytes.
        timeout: seconds that each request may wait for an answer.
        project: in place of the login's.
        **upload_kwargs: further arguments of `google.cloud.storage.Blob.upload_from_file`.

    Raises:
        StorageError: Cloud Storage refused, or there is no such file.
        CredentialsError: there is no login, or it was refused.

    Example:
        blob = cloud_storage_upload_blob_from_file("cities.csv", bucket, "cities.csv")
    """
    provider = _reach(bucket, gcp_credentials, project)
    key, shape = _make_key(provider, bucket, blob), _shape(chunk_size, encryption_key)
    options = {"content_type": content_type, "timeout": timeout, **upload_kwargs}
    with _open(file) as source:
        _send(provider, key, source, shape, options)
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
    """Copy an object within Cloud Storage, and return its new name; no content comes by here.

    Args:
        source_bucket: the bucket's name, or a `GcsBucket`.
        dest_bucket: the bucket to copy to, likewise.
        source_blob: the object.
        gcp_credentials: the login; by default the `GcsBucket`'s, or what the SDK finds.
        dest_blob: the new name; the same one by default.
        timeout: seconds that each request may wait for an answer.
        project: in place of the login's.
        **copy_kwargs: further arguments of `google.cloud.storage.Blob.rewrite`.

    Raises:
        ObjectMissing: there is no such object.
        StorageError: Cloud Storage refused.
        CredentialsError: there is no login, or it was refused.

    Example:
        cloud_storage_copy_blob(source_bucket, dest_bucket, source_blob, dest_blob="copy")
    """
    source = _reach(source_bucket, gcp_credentials, project)
    target = _reach(dest_bucket, gcp_credentials or source.credentials, project)
    name = source_blob if dest_blob is None else dest_blob
    key, new_key = (
        _make_key(source, source_bucket, source_blob),
        _make_key(target, dest_bucket, name),
    )
    target.rewrite(source, key, new_key, {"timeout": timeout, **copy_kwargs})
    record_measures(objects_written=1)
    return name


@task
async def acloud_storage_create_bucket(
    bucket: str,
    gcp_credentials: GcpCredentials | None = None,
    project: str | None = None,
    location: str | None = None,
    **create_kwargs: Any,
) -> str:
    """Do as `cloud_storage_create_bucket`, and let other coroutines run meanwhile."""
    return await asyncio.to_thread(
        cloud_storage_create_bucket.fn, bucket, gcp_credentials, project, location, **create_kwargs
    )


@task
async def acloud_storage_download_blob_as_bytes(
    bucket: Bucket,
    blob: str,
    gcp_credentials: GcpCredentials | None = None,
    chunk_size: int | None = None,
    encryption_key: EncryptionKey | None = None,
    timeout: Timeout = 60,
    project: str | None = None,
    **download_kwargs: Any,
) -> bytes:
    """Do as `cloud_storage_download_blob_as_bytes`, and let other coroutines run meanwhile."""
    return await asyncio.to_thread(
        cloud_storage_download_blob_as_bytes.fn,
        bucket,
        blob,
        gcp_credentials,
        chunk_size,
        encryption_key,
        timeout,
        project,
        **download_kwargs,
    )


@task
async def acloud_storage_download_blob_to_file(
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
    """Do as `cloud_storage_download_blob_to_file`, and let other coroutines run meanwhile."""
    return await asyncio.to_thread(
        cloud_storage_download_blob_to_file.fn,
        bucket,
        blob,
        path,
        gcp_credentials,
        chunk_size,
        encryption_key,
        timeout,
        project,
        **download_kwargs,
    )


@task
async def acloud_storage_upload_blob_from_string(
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
    """Do as `cloud_storage_upload_blob_from_string`, and let other coroutines run meanwhile."""
    return await asyncio.to_thread(
        cloud_storage_upload_blob_from_string.fn,
        data,
        bucket,
        blob,
        gcp_credentials,
        content_type,
        chunk_size,
        encryption_key,
        timeout,
        project,
        **upload_kwargs,
    )


@task
async def acloud_storage_upload_blob_from_file(
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
    """Do as `cloud_storage_upload_blob_from_file`, and let other coroutines run meanwhile."""
    return await asyncio.to_thread(
        cloud_storage_upload_blob_from_file.fn,
        file,
        bucket,
        blob,
        gcp_credentials,
        content_type,
        chunk_size,
        encryption_key,
        timeout,
        project,
        **upload_kwargs,
    )


@task
async def acloud_storage_copy_blob(
    source_bucket: Bucket,
    dest_bucket: Bucket,
    source_blob: str,
    gcp_credentials: GcpCredentials | None = None,
    dest_blob: str | None = None,
    timeout: Timeout = 60,
    project: str | None = None,
    **copy_kwargs: Any,
) -> str:
    """Do as `cloud_storage_copy_blob`, and let other coroutines run meanwhile."""
    return await asyncio.to_thread(
        cloud_storage_copy_blob.fn,
        source_bucket,
        dest_bucket,
        source_blob,
        gcp_credentials,
        dest_blob,
        timeout,
        project,
        **copy_kwargs,
    )


def _reach(
    bucket: Bucket, login: GcpCredentials | None = None, project: str | None = None
) -> GcsProvider:
    if isinstance(bucket, str):
        bucket = GcsBucket(bucket=bucket)
    if login is not None or project is not None:
        login = login or bucket.gcp_credentials
        if project is not None:
            login = login.model_copy(update={"project": project})
        bucket = bucket.model_copy(update={"gcp_credentials": login})
    return bucket.make_provider()


def _make_key(provider: GcsProvider, bucket: Bucket, path: str) -> str:
    if isinstance(bucket, GcsBucket) or path.startswith("gs://"):
        return provider.make_key(path)
    return path


def _shape(chunk_size: int | None, encryption_key: EncryptionKey | None) -> dict[str, Any]:
    """Return what the SDK wants to know of a blob before it is up or down."""
    key = encryption_key
    if isinstance(key, SecretStr):
        key = key.get_secret_value()
    content = key.encode() if isinstance(key, str) else key
    found = {"chunk_size": chunk_size, "encryption_key": content}
    return {name: value for name, value in found.items() if value is not None}


@contextmanager
def _open(file: str | Path | BinaryIO) -> Iterator[BinaryIO]:
    """Open a file by its path; one that is open already is left so."""
    if not isinstance(file, (str, Path)):
        yield file
        return
    with ExitStack() as stack:
        try:
            opened = stack.enter_context(Path(file).open("rb"))
        except OSError as error:
            raise translate_read_error(Path(file), error) from error
        yield opened


def _send(
    provider: GcsProvider,
    key: str,
    file: BinaryIO,
    shape: dict[str, Any],
    options: dict[str, Any],
) -> None:
    """Upload from where the file stands, and record how much that was."""
    size = None
    if file.seekable():
        start = file.tell()
        size = file.seek(0, os.SEEK_END) - start
        file.seek(start)
    written = provider.send(key, file, size, shape, options)
    record_measures(bytes_written=written, objects_written=1)
