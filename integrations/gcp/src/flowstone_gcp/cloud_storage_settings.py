"""The parameters of requests that the fields of a `GcsBucket` require.

https://cloud.google.com/storage/docs/encryption/using-customer-supplied-keys and
https://cloud.google.com/storage/docs/using-requester-pays document which requests need them.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flowstone.blocks.object_stores import read_encryption_key
from flowstone.errors import StorageError

if TYPE_CHECKING:
    from google.cloud.storage import Blob
    from pydantic import SecretStr

    from flowstone_gcp.logins import GcpLogin

#: Properties that a copy inherits; if any property of the new object is set, all must be.
_COPIED = (
    "cache_control",
    "content_disposition",
    "content_encoding",
    "content_language",
    "content_type",
    "custom_time",
    "metadata",
)


@dataclass(frozen=True, slots=True)
class GcsSettings:
    """The fields of a `GcsBucket` that become parameters of requests.

    Attributes:
        where: the bucket, for messages.
    """

    where: str
    storage_class: str | None = None
    kms_key: str | None = None
    encryption_key: SecretStr | None = field(default=None, repr=False)
    requester_pays: bool = False

    def find_payer(self, login: GcpLogin) -> str | None:
        """Return the project that pays for requests; None for the bucket's owner.

        Raises:
            StorageError: there is no project that could pay.
        """
        if not self.requester_pays:
            return None
        project = login.find_payer()
        if project is None:
            problem = "requester_pays needs a project that pays"
            remedy = "Set project or quota_project in the credentials."
            raise StorageError(self.where, problem, remedy)
        return project

    def read_key(self) -> bytes | None:
        """Return the customer-supplied key, for the SDK."""
        if self.encryption_key is None:
            return None
        return read_encryption_key(self.where, self.encryption_key)

    def make_headers(self) -> dict[str, str]:
        """Return the headers for reading an object's content."""
        key = self.read_key()
        if key is None:
            return {}
        return {
            "X-Goog-Encryption-Algorithm": "AES256",
            "X-Goog-Encryption-Key": base64.b64encode(key).decode(),
            "X-Goog-Encryption-Key-Sha256": base64.b64encode(hashlib.sha256(key).digest()).decode(),
        }

    def describe_new(self, blob: Blob) -> None:
        """Set the properties of a new object on the SDK's blob, before its upload."""
        if self.storage_class:
            blob.storage_class = self.storage_class

    def describe_copy(self, blob: Blob, origin: Blob) -> None:
        """Set the properties of a copy on the SDK's blob, including those that it inherits."""
        if not self.storage_class:
            return
        self.describe_new(blob)
        for name in _COPIED:
            if (value := getattr(origin, name)) is not None:
                setattr(blob, name, value)
