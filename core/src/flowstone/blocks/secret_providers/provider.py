"""SecretProvider: the interface of every place that keeps secrets by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from flowstone.blocks.async_twins import twin
from flowstone.blocks.base import Block
from flowstone.errors import SecretReadOnly, SecretStoreError
from flowstone.records import redaction

if TYPE_CHECKING:
    from collections.abc import Iterator


class SecretPlace(ABC):
    """What a provider writes, and what everybody can do with secrets by that."""

    versions: ClassVar[bool] = False
    writes: ClassVar[bool] = True
    #: By this mark, references know a provider of this process from other blocks.
    _provides_secrets: ClassVar[bool] = True

    @abstractmethod
    def _where(self) -> str:
        """Return the place, for messages: ``AWS Secrets Manager``."""

    @abstractmethod
    def _read(self, name: str, version: str | None) -> bytes:
        """Return a secret; version None is the one that counts now.

        Raises:
            SecretMissing: there is none of that name or version.
            AccessDenied: this login may not read it.
            CredentialsError: there is no login, or it was refused.
            Unreachable: the place can't be reached.
        """

    def _write(self, name: str, value: bytes) -> str:  # noqa: ARG002 - a provider uses it
        """Write a secret, over what is there; return its new version, "" where there are none."""
        raise self._refusal("written", name)

    def _delete(self, name: str) -> None:
        """Delete a secret. Raises `SecretMissing` where there is none."""
        raise self._refusal("deleted", name)

    @abstractmethod
    def _list(self, prefix: str) -> Iterator[str]:
        """Yield the names that begin with a prefix; no secret is read for it."""

    def _refusal(self, done: str, name: str) -> SecretReadOnly:
        problem = f"secrets are only read there, so {name!r} can't be {done}"
        return SecretReadOnly(self._where(), problem, "Do it where they come from.")

    def read_secret(self, name: str, version: str | None = None) -> bytes:
        """Return a secret as bytes.

        Args:
            name: what the place knows it by.
            version: None for the one that counts now.

        Raises:
            SecretMissing: there is none of that name or version.
            SecretStoreError: the provider refused.
            AccessDenied: this login may not read it.
            CredentialsError: there is no login, or it was refused.
            Unreachable: the place can't be reached.
        """
        if version is not None and not self.versions:
            problem = f"secrets have no versions there, and one of {name!r} was asked for"
            raise SecretStoreError(self._where(), problem, "Leave the version out.")
        value = self._read(self._named(name), version)
        redaction.register(value.decode("utf-8", "backslashreplace"))
        return value

    def read(self, name: str, version: str | None = None) -> str:
        """Return a secret as text; arguments and errors are those of `read_secret`."""
        try:
            return self.read_secret(name, version).decode()
        except UnicodeDecodeError:
            problem = f"{name!r} is not UTF-8 text"
        raise SecretStoreError(self._where(), problem, "Read it as bytes, by `read_secret`.")

    def write_secret(self, name: str, secret_data: bytes) -> str:
        """Write a secret, over what is there; return its new version, "" where there are none.

        Raises:
            SecretReadOnly: this provider only reads.
            SecretStoreError: the provider refused, and its kin as in `read_secret`.
        """
        name = self._named(name)
        redaction.register(secret_data.decode("utf-8", "backslashreplace"))
        if not self.writes:
            raise self._refusal("written", name)
        return self._write(name, secret_data)

    def write(self, name: str, value: str) -> str:
        """Do as `write_secret`, with a text."""
        return self.write_secret(name, value.encode())

    def delete_secret(self, name: str) -> None:
        """Delete a secret.

        Raises:
            SecretMissing: there is none of that name.
            SecretReadOnly: this provider only reads.
            SecretStoreError: the provider refused, and its kin as in `read_secret`.
        """
        if not self.writes:
            raise self._refusal("deleted", name)
        self._delete(self._named(name))

    def ls(self, prefix: str = "") -> list[str]:
        """Return the names of the secrets that begin with a prefix, sorted; none is read."""
        return sorted(self._list(prefix))

    def _named(self, name: str) -> str:
        if not name or not name.isprintable():
            problem = f"{name!r} is no name of a secret"
            raise SecretStoreError(self._where(), problem, "Use printable characters.")
        return name

    aread_secret = twin(read_secret)
    aread = twin(read)
    awrite_secret = twin(write_secret)
    awrite = twin(write)
    adelete_secret = twin(delete_secret)
    als = twin(ls)


class SecretProvider(SecretPlace, Block):
    """A place that keeps secrets by name; references lead to them: ``aws-secrets:db/password``.

    All its fields are optional: a reference that names no saved block uses one with no field set.
    A provider writes `_where`, `_read`, `_list`, and where it can `_write` and `_delete`. The
    others have async twins: ``aread``, ``awrite``.

    Attributes:
        versions: whether a secret has versions, so that ``@`` in a reference names one.
        writes: whether secrets can be written and deleted here.
    """

    _tried_again: ClassVar[tuple[str, ...]] = ("_read", "_write", "_delete", "_list")
