"""AzureBlobStorageContainer: a container of Azure Blob Storage as an object store."""

from __future__ import annotations

import re
from typing import Any, ClassVar
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from flowstone.blocks.object_stores import ObjectStore
from flowstone.errors import PathInvalid
from flowstone_azure.blob_storage_provider import AzureBlobStorageProvider
from flowstone_azure.credentials import AzureBlobStorageCredentials


class AzureBlobStorageContainer(ObjectStore):
    """A container of Azure Blob Storage, or a folder in one.

    Large objects are uploaded in blocks and downloaded in ranges, in parallel, using less than
    100 MB of memory.
    """

    _block_type_name: ClassVar[str | None] = "Azure Blob Storage Container"
    _description: ClassVar[str | None] = "A container of Azure Blob Storage."
    _code_example: ClassVar[str | None] = (
        'AzureBlobStorageContainer(container_name="raw", base_folder="2026").save("raw")\n'
        'AzureBlobStorageContainer.load("raw").write_path("a.txt", b"hello")'
    )

    container_name: str = Field(min_length=1, description="The container's name.")
    credentials: AzureBlobStorageCredentials = Field(
        default_factory=AzureBlobStorageCredentials,
        description="The login; by default, what the environment says.",
    )
    base_folder: str | None = Field(default=None, description="The folder that all paths are in.")

    @field_validator("container_name")
    @classmethod
    def _is_a_name(cls, value: str) -> str:
        name = value.strip().removeprefix("az://").rstrip("/")
        if not re.fullmatch(r"[A-Za-z0-9$-]+", name):
            raise ValueError("it must be the container's name only; put a folder into base_folder")
        return name

    @classmethod
    def parse_uri(cls, uri: str) -> dict[str, Any]:
        parts = urlsplit(uri)
        container, at, host = parts.netloc.partition("@")
        if not container:
            remedy = (
                "Write az://container/folder or abfss://container@account.dfs.core.windows.net."
            )
            raise PathInvalid(uri, "it names no container", remedy)
        folder = uri.partition(parts.netloc)[2][1:]
        found: dict[str, Any] = {"container_name": container, "base_folder": folder}
        if at:
            url = f"https://{host.replace('.dfs.', '.blob.')}"
            found["credentials"] = AzureBlobStorageCredentials(account_url=url)
        return found

    def make_provider(self) -> AzureBlobStorageProvider:
        return AzureBlobStorageProvider(
            self.container_name, self.credentials, self.base_folder or ""
        )
