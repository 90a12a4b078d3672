"""SecretStoreProvider: what a package implements behind a `SecretProvider` block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class SecretStoreProvider(ABC):
    """The service that keeps the secrets of a `SecretProvider`; each method asks it once.

    What is common to all comes from the block: names and versions are checked, and each value is
    known to redaction. A read-only store omits `write` and `delete`, and its block sets
    ``writes = False``.
    """

    @property
    @abstractmethod
    def where(self) -> str:
        """The place, for messages: ``the environment``."""

    @abstractmethod
    def read(self, name: str, version: str | None) -> bytes:
        """Return a secret's value; `version=None` means the current version.

        Raises:
            SecretMissing: there is none of that name or version.
            AccessDenied: this login may not read it.
            CredentialsError: there is no login, or it was refused.
            Unreachable: the place can't be reached.
        """

    @abstractmethod
    def list_names(self, prefix: str) -> Iterable[str]:
        """Return the names that begin with a prefix, in any order; no secret is read for it."""

    def write(self, name: str, value: bytes) -> str:
        """Write a secret, over what is there; return its new version, "" where there are none."""
        raise NotImplementedError

    def delete(self, name: str) -> None:
        """Delete a secret.

        Raises:
            SecretMissing: there is none of that name.
        """
        raise NotImplementedError
