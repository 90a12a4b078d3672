"""SecretStoreProvider: the class that a package implements for a `SecretProvider` block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class SecretStoreProvider(ABC):
    """The service behind a `SecretProvider`: a secret manager. Each method makes one request.

    The block does what all providers need: it checks names and versions, and registers each value
    for redaction. A read-only store omits `write` and `delete`, and its block sets
    ``writes = False``.
    """

    @property
    @abstractmethod
    def where(self) -> str:
        """The service, for messages: ``the environment``."""

    @abstractmethod
    def read(self, name: str, version: str | None) -> bytes:
        """Return a secret's value; `version=None` means the current version.

        Raises:
            SecretMissing: there is no such secret or version.
            AccessDenied: the credentials have no permission to read it.
            CredentialsError: there are no credentials, or they were refused.
            Unreachable: the service can't be reached.
        """

    @abstractmethod
    def list_names(self, prefix: str) -> Iterable[str]:
        """Return the names that start with a prefix, in any order, without reading a secret."""

    def write(self, name: str, value: bytes) -> str:
        """Write a secret, replacing an existing one; return its version, "" without versions."""
        raise NotImplementedError

    def delete(self, name: str) -> None:
        """Delete a secret.

        Raises:
            SecretMissing: there is no such secret.
        """
        raise NotImplementedError
