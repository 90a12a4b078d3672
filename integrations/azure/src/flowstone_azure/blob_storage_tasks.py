"""Blob Storage as tasks: upload, download and list, each with an async twin.

A container is a name, and then blobs are whole names and go to Azure as they are; or it is an
`AzureBlobStorageContainer`, which brings its login, and then blobs are paths in its folder, by the
rules of its methods.
"""

from __future__ import annotations

import asyncio
from io import BytesIO
from typing import Any, Literal
from uuid import uuid4

from flowstone import record_measures, task
from flowstone.blocks.object_stores import ExactKey, WriteOptions
from flowstone_azure.blob_storage import AzureBlobStorageContainer
from flowstone_azure.blob_storage_provider import AzureBlobStorageProvider
from flowstone_azure.credentials import AzureBlobStorageCredentials

Container = str | AzureBlobStorageContainer
Include = Literal[
    "copy", "deleted", "metadata", "snapshots", "tags", "uncommittedblobs", "versions"
]


@task
def blob_storage_download(
    container: Container,
    blob: str,
    blob_storage_credentials: AzureBlobStorageCredentials | None = None,
) -> bytes:
    """Download a blob, and return its content.

    Args:
        container: the container's name, or an `AzureBlobStorageContainer`.
        blob: the blob.
        blob_storage_credentials: the login; by default the container's, or the environment's.

    Raises:
        ObjectMissing: there is no such blob.
        StorageError: Azure refused.
        CredentialsError: there is no login, or it was refused.

    Example:
        content = blob_storage_download(container, blob)
    """
    provider = _reach(container, blob_storage_credentials)
    content = provider.read(_make_key(provider, container, blob))
    record_measures(bytes_read=len(content), objects_read=1)
    return content


@task
def blob_storage_upload(
    data: bytes | str,
    container: Container,
    blob_storage_credentials: AzureBlobStorageCredentials | None = None,
    blob: str | None = None,
    overwrite: bool = False,
) -> str:
    """Upload bytes to a container, and return the blob's name.

    Args:
        data: the content; a text is encoded as UTF-8.
        container: the container's name, or an `AzureBlobStorageContainer`.
        blob_storage_credentials: the login; by default the container's, or the environment's.
        blob: where to; a random name by default.
        overwrite: whether to write over a blob that is there; else that is an error.

    Raises:
        ObjectExists: there is such a blob, and it is not to be overwritten.
        StorageError: Azure refused; `BucketMissing`, `AccessDenied`, `Unreachable` are its kinds.
        CredentialsError: there is no login, or it was refused.

    Example:
        blob = blob_storage_upload(b"name,country", container, blob="cities.csv")
    """
    provider = _reach(container, blob_storage_credentials)
    content = data.encode() if isinstance(data, str) else data
    blob = uuid4().hex if blob is None else blob
    key = _make_key(provider, container, blob)
    options = WriteOptions(is_new=not overwrite)
    provider.write(key, BytesIO(content), len(content), options)
    record_measures(bytes_written=len(content), objects_written=1)
    return blob


@task
def blob_storage_list(
    container: Container,
    blob_storage_credentials: AzureBlobStorageCredentials | None = None,
    name_starts_with: str | None = None,
    include: Include | list[Include] | None = None,
    **kwargs: Any,
) -> list[Any]:
    """Return the blobs of a container as the SDK's `BlobProperties`: ``name``, ``size`` and so on.

    Args:
        container: the container's name, or an `AzureBlobStorageContainer`, in whose folder the
            names are then.
        blob_storage_credentials: the login; by default the container's, or the environment's.
        name_starts_with: what the names begin with.
        include: what to tell besides: ``metadata``, ``tags``, ``snapshots``, ``versions``, …
        **kwargs: further arguments of the SDK's ``list_blobs``.

    Raises:
        StorageError: Azure refused; `BucketMissing`, `AccessDenied`, `Unreachable` are its kinds.
        CredentialsError: there is no login, or it was refused.

    Example:
        sizes = {each.name: each.size for each in blob_storage_list(container)}
    """
    provider = _reach(container, blob_storage_credentials)
    folder = provider.make_prefix()
    with provider.translate_errors():
        client = provider.credentials.get_container_client(provider.container)
        prefix = f"{folder}{name_starts_with or ''}" or None
        more: str | list[str] | None = [*include] if isinstance(include, list) else include
        found = list(client.list_blobs(prefix, include=more, **kwargs))
    for each in found:
        each.name = ExactKey(each.name.removeprefix(folder))
    return found


@task
async def ablob_storage_download(
    container: Container,
    blob: str,
    blob_storage_credentials: AzureBlobStorageCredentials | None = None,
) -> bytes:
    """Do as `blob_storage_download`, and let other coroutines run meanwhile."""
    return await asyncio.to_thread(
        blob_storage_download.fn, container, blob, blob_storage_credentials
    )


@task
async def ablob_storage_upload(
    data: bytes | str,
    container: Container,
    blob_storage_credentials: AzureBlobStorageCredentials | None = None,
    blob: str | None = None,
    overwrite: bool = False,
) -> str:
    """Do as `blob_storage_upload`, and let other coroutines run meanwhile."""
    return await asyncio.to_thread(
        blob_storage_upload.fn, data, container, blob_storage_credentials, blob, overwrite
    )


@task
async def ablob_storage_list(
    container: Container,
    blob_storage_credentials: AzureBlobStorageCredentials | None = None,
    name_starts_with: str | None = None,
    include: Include | list[Include] | None = None,
    **kwargs: Any,
) -> list[Any]:
    """Do as `blob_storage_list`, and let other coroutines run meanwhile."""
    return await asyncio.to_thread(
        blob_storage_list.fn,
        container,
        blob_storage_credentials,
        name_starts_with,
        include,
        **kwargs,
    )


def _reach(
    container: Container, login: AzureBlobStorageCredentials | None
) -> AzureBlobStorageProvider:
    if isinstance(container, str):
        container = AzureBlobStorageContainer(container_name=container)
    if login is not None:
        container = container.model_copy(update={"credentials": login})
    return container.make_provider()


def _make_key(provider: AzureBlobStorageProvider, container: Container, path: str) -> str:
    if isinstance(container, AzureBlobStorageContainer) or path.startswith("az://"):
        return provider.make_key(path)
    return path
