"""SecretProvider: the interface of all secret managers."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, TypeVar

from flowstone.blocks.async_twins import run_in_thread
from flowstone.blocks.base import Block
from flowstone.errors import SecretReadOnly, SecretStoreError
from flowstone.records import redaction
from flowstone.secrets.renewal import retry_refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowstone.blocks.secret_providers.provider import SecretStoreProvider

T = TypeVar("T")


class SecretProvider(Block):
    """A secret manager or another store of secrets, which references name: ``env:DB_PASSWORD``.

    All fields are optional: a reference that names no saved block uses one with no field set.
    A package implements `make_provider`, which returns a `SecretStoreProvider`. The other methods
    have async versions: ``aread``, ``awrite``.

    Attributes:
        versions: whether secrets have versions, so that ``@`` in a reference names one.
        writes: whether secrets can be written and deleted.
    """

    _replaceable: ClassVar[tuple[str, ...]] = ("read_secret",)

    versions: ClassVar[bool] = False
    writes: ClassVar[bool] = True
    #: References recognize a provider of this process by this mark.
    _provides_secrets: ClassVar[bool] = True

    @abstractmethod
    def make_provider(self) -> SecretStoreProvider:
        """Return the provider for the service; called again for each operation.

        It must not connect or read secrets: the provider's methods do that.
        """

    def read_secret(self, name: str, version: str | None = None) -> bytes:
        """Return a secret as bytes.

        Args:
            name: the name of the secret.
            version: the version; None for the current one.

        Raises:
            SecretMissing: there is no such secret or version.
            SecretStoreError: the provider reported an error.
            AccessDenied: the credentials have no permission to read it.
            CredentialsError: there are no credentials, or they were refused.
            Unreachable: the service can't be reached.
        """
        if version is not None and not self.versions:
            problem = f"secrets have no versions there, but one of {name!r} was requested"
            raise SecretStoreError(self.make_provider().where, problem, "Omit the version.")
        self._check_name(name)
        value = self._ask(lambda provider: provider.read(name, version))
        redaction.register(value.decode("utf-8", "backslashreplace"))
        return value

    def read(self, name: str, version: str | None = None) -> str:
        """Return a secret as text; arguments and errors as for `read_secret`."""
        try:
            return self.read_secret(name, version).decode()
        except UnicodeDecodeError:
            problem = f"{name!r} is not UTF-8 text"
        remedy = "Read it as bytes, with `read_secret`."
        raise SecretStoreError(self.make_provider().where, problem, remedy)

    def write_secret(self, name: str, secret_data: bytes) -> str:
        """Write a secret, replacing an existing one; return its new version, "" without versions.

        Raises:
            SecretReadOnly: this provider is read-only.
            SecretStoreError: the provider reported an error; other errors as for `read_secret`.
        """
        self._check_name(name)
        redaction.register(secret_data.decode("utf-8", "backslashreplace"))
        if not self.writes:
            raise self._refuse("written", name)
        return self._ask(lambda provider: provider.write(name, secret_data))

    def write(self, name: str, value: str) -> str:
        """Write a secret, given as text; see `write_secret`."""
        return self.write_secret(name, value.encode())

    def delete_secret(self, name: str) -> None:
        """Delete a secret.

        Raises:
            SecretMissing: there is no such secret.
            SecretReadOnly: this provider is read-only.
            SecretStoreError: the provider reported an error; other errors as for `read_secret`.
        """
        if not self.writes:
            raise self._refuse("deleted", name)
        self._check_name(name)
        self._ask(lambda provider: provider.delete(name))

    def ls(self, prefix: str = "") -> list[str]:
        """Return the names of the secrets that start with a prefix, sorted; no secret is read."""
        return self._ask(lambda provider: sorted(provider.list_names(prefix)))

    async def aread_secret(self, name: str, version: str | None = None) -> bytes:
        """Async version of `read_secret`."""
        return await run_in_thread(self.read_secret, name, version)

    async def aread(self, name: str, version: str | None = None) -> str:
        """Async version of `read`."""
        return await run_in_thread(self.read, name, version)

    async def awrite_secret(self, name: str, secret_data: bytes) -> str:
        """Async version of `write_secret`."""
        return await run_in_thread(self.write_secret, name, secret_data)

    async def awrite(self, name: str, value: str) -> str:
        """Async version of `write`."""
        return await run_in_thread(self.write, name, value)

    async def adelete_secret(self, name: str) -> None:
        """Async version of `delete_secret`."""
        await run_in_thread(self.delete_secret, name)

    async def als(self, prefix: str = "") -> list[str]:
        """Async version of `ls`."""
        return await run_in_thread(self.ls, prefix)

    def _refuse(self, done: str, name: str) -> SecretReadOnly:
        problem = f"secrets are only read there, so {name!r} can't be {done}"
        return SecretReadOnly(self.make_provider().where, problem, "Use the tools of that service.")

    def _check_name(self, name: str) -> None:
        if not name or not name.isprintable():
            problem = f"{name!r} is not a valid secret name"
            raise SecretStoreError(self.make_provider().where, problem, "Use printable characters.")

    def _ask(self, question: Callable[[SecretStoreProvider], T]) -> T:
        return retry_refused(self, lambda: question(self.make_provider()))
