"""The arguments of requests that the fields of an `AzureBlobStorageContainer` require.

https://learn.microsoft.com/azure/storage/blobs/encryption-customer-provided-keys lists the requests
that need a customer-supplied key; copies within the service do not support one.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypedDict, cast

from flowstone.blocks.object_stores import read_encryption_key
from flowstone.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azure.storage.blob import CustomerProvidedEncryptionKey, StandardBlobTier
    from pydantic import SecretStr


class ReadGiven(TypedDict, total=False):
    """Keyword arguments of the SDK's methods for reading an object."""

    cpk: CustomerProvidedEncryptionKey


class PartGiven(ReadGiven, total=False):
    """Keyword arguments of the SDK's methods for a block of an object."""

    encryption_scope: str


class CopyGiven(TypedDict, total=False):
    """Keyword arguments of the SDK's methods for a copy within the service."""

    tags: dict[str, str]
    standard_blob_tier: StandardBlobTier


class NewGiven(PartGiven, CopyGiven, total=False):
    """Keyword arguments of the SDK's methods for writing an object."""


@dataclass(frozen=True, slots=True)
class BlobSettings:
    """The fields of an `AzureBlobStorageContainer` that become arguments of requests."""

    storage_class: str | None = None
    encryption_scope: str | None = None
    encryption_key: SecretStr | None = field(default=None, repr=False)
    tags: Mapping[str, str] = field(default_factory=dict)

    def make_read(self, where: str) -> ReadGiven:
        """Return the arguments for reading an object or its properties.

        Args:
            where: the address of the container.

        Raises:
            StorageError: the address does not start with https, as customer-supplied keys require.
        """
        if self.encryption_key is None:
            return {}
        if not where.startswith("https:"):
            problem = "Azure takes encryption_key over https only"
            raise StorageError(where, problem, "Use the https address of the account.")
        # Loaded with the first client, see `logins`.
        from azure.storage.blob import CustomerProvidedEncryptionKey

        key = read_encryption_key(where, self.encryption_key)
        digest = base64.b64encode(hashlib.sha256(key).digest()).decode()
        return {"cpk": CustomerProvidedEncryptionKey(base64.b64encode(key).decode(), digest)}

    def make_part(self, where: str) -> PartGiven:
        """Return the arguments for a block of a new object."""
        given = cast("PartGiven", self.make_read(where))
        if self.encryption_scope:
            given["encryption_scope"] = self.encryption_scope
        return given

    def make_copy(self) -> CopyGiven:
        """Return the arguments for a copy within the service."""
        from azure.storage.blob import StandardBlobTier  # see `make_read`

        given: CopyGiven = {}
        if self.tags:
            given["tags"] = dict(self.tags)
        if self.storage_class:
            given["standard_blob_tier"] = StandardBlobTier(self.storage_class)
        return given

    def make_write(self, where: str) -> NewGiven:
        """Return the arguments for a new object."""
        return {**self.make_part(where), **self.make_copy()}

    def can_copy(self, source: BlobSettings) -> bool:
        """Return whether the service can copy from a source: it can't with keys or scopes."""
        keys = self.encryption_key, self.encryption_scope, source.encryption_key
        return not any(keys)
