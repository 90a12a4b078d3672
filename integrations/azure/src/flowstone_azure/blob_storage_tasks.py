"""Tasks for Blob Storage: upload, download and list blobs, each with an async version.

The container is given as a name or as an `AzureBlobStorageContainer`. With a name, blobs are full
names, passed to Azure unchanged. With a block, its credentials are used, and blobs are paths in its
folder, as in its methods.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

from flowstone import make_async_twin, record_measures, task
from flowstone.blocks.object_stores import ExactKey, WriteOptions
from flowstone_azure.blob_storage import AzureBlobStorageContainer
from flowstone_azure.blob_storage_provider import AzureBlobStorageProvider
from flowstone_azure.credentials import AzureBlobStorageCredentials

if TYPE_CHECKING:
    from azure.storage.blob import BlobProperties

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
    """Download a blob and return its content.

    Args:
        container: the container's name, or an `AzureBlobStorageContainer`.
        blob: the blob.
        blob_storage_credentials: the credentials; by default the container's, or the environment's.

    Raises:
        ObjectMissing: there is no such blob.
        StorageError: the request failed.
        CredentialsError: no credentials were found, or they were refused.

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
    """Upload bytes or a string as a blob, and return the blob's name.

    Args:
        data: the content; a string is encoded as UTF-8.
        container: the container's name, or an `AzureBlobStorageContainer`.
        blob_storage_credentials: the credentials; by default the container's, or the environment's.
        blob: the name of the blob; a random name by default.
        overwrite: whether to replace an existing blob.

    Raises:
        ObjectExists: the blob already exists, and `overwrite` is False.
        StorageError: the request failed: `BucketMissing`, `AccessDenied`, `Unreachable`, …
        CredentialsError: no credentials were found, or they were refused.

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
        container: the container's name, or an `AzureBlobStorageContainer`; in that case, names
            are relative to its folder.
        blob_storage_credentials: the credentials; by default the container's, or the environment's.
        name_starts_with: only list blobs whose names start with this prefix.
        include: additional data to list: ``metadata``, ``tags``, ``snapshots``, ``versions``, …
        **kwargs: other arguments of the SDK's ``list_blobs``.

    Raises:
        StorageError: the request failed: `BucketMissing`, `AccessDenied`, `Unreachable`, …
        CredentialsError: no credentials were found, or they were refused.

    Example:
        sizes = {each.name: each.size for each in blob_storage_list(container)}
    """
    provider = _reach(container, blob_storage_credentials)
    folder = provider.make_prefix()
    prefix = f"{folder}{name_starts_with or ''}" or None
    more: str | list[str] | None = [*include] if isinstance(include, list) else include

    def search() -> list[BlobProperties]:
        with provider.translate_errors():
            client = provider.credentials.get_container_client(provider.container)
            return list(client.list_blobs(prefix, include=more, **kwargs))

    found = provider.retry_refused(search)
    for each in found:
        each.name = ExactKey(each.name.removeprefix(folder))
    return found


ablob_storage_download = make_async_twin(blob_storage_download)
ablob_storage_upload = make_async_twin(blob_storage_upload)
ablob_storage_list = make_async_twin(blob_storage_list)


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
