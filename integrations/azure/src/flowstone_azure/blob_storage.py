"""AzureBlobStorageContainer: a container in Azure Blob Storage, as an object store."""

from __future__ import annotations

import re
from typing import Any, ClassVar, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from flowstone.blocks.object_stores import EncryptionKey, ObjectStore, Tags
from flowstone.errors import PathInvalid
from flowstone_azure.blob_settings import BlobSettings
from flowstone_azure.blob_storage_provider import AzureBlobStorageProvider
from flowstone_azure.credentials import AzureBlobStorageCredentials

TIERS = ("Hot", "Cool", "Cold", "Archive")
#: Fields of other clouds' stores, and their equivalents in Azure.
_ELSEWHERE = {
    "kms_key": "in Azure, an encryption_scope names the key of a vault: set that field",
    "requester_pays": "Azure has no requester pays: the storage account pays for all requests",
}


class AzureBlobStorageContainer(ObjectStore):
    """A container in Azure Blob Storage, or a folder in one.

    Large objects are uploaded in blocks and downloaded in ranges, in parallel, using less than
    100 MB of memory.
    """

    _block_type_name: ClassVar[str | None] = "Azure Blob Storage Container"
    _description: ClassVar[str | None] = "A container in Azure Blob Storage."
    _code_example: ClassVar[str | None] = (
        'AzureBlobStorageContainer(container_name="raw", base_folder="2026").save("raw")\n'
        'AzureBlobStorageContainer.load("raw").write_path("a.txt", b"hello")'
    )

    #: 2: the fields from `storage_class` to `tags`, and `use_obstore`, were added.
    schema_version: ClassVar[int] = 2

    container_name: str = Field(min_length=1, description="The container's name.")
    credentials: AzureBlobStorageCredentials = Field(
        default_factory=AzureBlobStorageCredentials,
        description="The credentials; by default, from the environment.",
    )
    base_folder: str | None = Field(default=None, description="The folder that all paths are in.")
    storage_class: str | None = Field(
        default=None,
        description="The access tier of new objects: Hot, Cool, Cold or Archive; the account's "
        "default if empty.",
    )
    encryption_scope: str | None = Field(
        default=None,
        description="The encryption scope of new objects, which names a key of Microsoft's or of "
        "your key vault.",
    )
    encryption_key: EncryptionKey = Field(
        default=None,
        description="Your own key, which Azure does not store: 32 bytes, as bytes or in Base64. "
        "Objects are encrypted and decrypted with it.",
    )
    tags: Tags = Field(default_factory=dict, description="The index tags of new objects.")
    use_obstore: bool = Field(
        default=True,
        description="Whether obstore transfers small objects if it is installed "
        '(pip install "flowstone-azure[fast]"); without it, the SDK does.',
    )

    @model_validator(mode="before")
    @classmethod
    def _is_of_azure(cls, values: object) -> object:
        for name, problem in _ELSEWHERE.items():
            if isinstance(values, dict) and name in values:
                raise ValueError(f"{name} can't be set: {problem}")
        return values

    @field_validator("storage_class")
    @classmethod
    def _is_a_tier(cls, value: str | None) -> str | None:
        if not value:
            return None
        if value.capitalize() not in TIERS:
            raise ValueError(f"it must be one of {', '.join(TIERS)}")
        return value.capitalize()

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.encryption_key is None:
            return self
        if self.encryption_scope:
            raise ValueError("encryption_scope and encryption_key can't be combined: set one")
        return self

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

    def find_bucket(self, name: str) -> AzureBlobStorageContainer:
        """Return the container of that name, with the same credentials and no folder."""
        return self.model_copy(update={"container_name": name, "base_folder": None})

    def make_provider(self) -> AzureBlobStorageProvider:
        return AzureBlobStorageProvider(
            self.container_name,
            self.credentials,
            self.base_folder or "",
            BlobSettings(self.storage_class, self.encryption_scope, self.encryption_key, self.tags),
            use_obstore=self.use_obstore,
        )
