"""SecretProvider: the interface of every place that keeps secrets by name."""

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
    """A place that keeps secrets by name; references lead to them: ``env:DB_PASSWORD``.

    All its fields are optional: a reference that names no saved block uses one with no field set.
    A package writes `make_provider`, which returns the place as a `SecretStoreProvider`. The other
    methods have async twins: ``aread``, ``awrite``.

    Attributes:
        versions: whether a secret has versions, so that ``@`` in a reference names one.
        writes: whether secrets can be written and deleted here.
    """

    _replaceable: ClassVar[tuple[str, ...]] = ("read_secret",)

    versions: ClassVar[bool] = False
    writes: ClassVar[bool] = True
    #: By this mark, references know a provider of this process from other blocks.
    _provides_secrets: ClassVar[bool] = True

    @abstractmethod
    def make_provider(self) -> SecretStoreProvider:
        """Return the place; each operation asks for it anew.

        It connects to nothing and reads no secret: that is left to the provider's methods.
        """

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
            raise SecretStoreError(self.make_provider().where, problem, "Leave the version out.")
        self._check_name(name)
        value = self._ask(lambda provider: provider.read(name, version))
        redaction.register(value.decode("utf-8", "backslashreplace"))
        return value

    def read(self, name: str, version: str | None = None) -> str:
        """Return a secret as text; arguments and errors are those of `read_secret`."""
        try:
            return self.read_secret(name, version).decode()
        except UnicodeDecodeError:
            problem = f"{name!r} is not UTF-8 text"
        remedy = "Read it as bytes, by `read_secret`."
        raise SecretStoreError(self.make_provider().where, problem, remedy)

    def write_secret(self, name: str, secret_data: bytes) -> str:
        """Write a secret, over what is there; return its new version, "" where there are none.

        Raises:
            SecretReadOnly: this provider only reads.
            SecretStoreError: the provider refused, and its kin as in `read_secret`.
        """
        self._check_name(name)
        redaction.register(secret_data.decode("utf-8", "backslashreplace"))
        if not self.writes:
            raise self._refuse("written", name)
        return self._ask(lambda provider: provider.write(name, secret_data))

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
            raise self._refuse("deleted", name)
        self._check_name(name)
        self._ask(lambda provider: provider.delete(name))

    def ls(self, prefix: str = "") -> list[str]:
        """Return the names of the secrets that begin with a prefix, sorted; none is read."""
        return self._ask(lambda provider: sorted(provider.list_names(prefix)))

    async def aread_secret(self, name: str, version: str | None = None) -> bytes:
        """Do as `read_secret`, and let other coroutines run meanwhile."""
        return await run_in_thread(self.read_secret, name, version)

    async def aread(self, name: str, version: str | None = None) -> str:
        """Do as `read`, and let other coroutines run meanwhile."""
        return await run_in_thread(self.read, name, version)

    async def awrite_secret(self, name: str, secret_data: bytes) -> str:
        """Do as `write_secret`, and let other coroutines run meanwhile."""
        return await run_in_thread(self.write_secret, name, secret_data)

    async def awrite(self, name: str, value: str) -> str:
        """Do as `write`, and let other coroutines run meanwhile."""
        return await run_in_thread(self.write, name, value)

    async def adelete_secret(self, name: str) -> None:
        """Do as `delete_secret`, and let other coroutines run meanwhile."""
        await run_in_thread(self.delete_secret, name)

    async def als(self, prefix: str = "") -> list[str]:
        """Do as `ls`, and let other coroutines run meanwhile."""
        return await run_in_thread(self.ls, prefix)

    def _refuse(self, done: str, name: str) -> SecretReadOnly:
        problem = f"secrets are only read there, so {name!r} can't be {done}"
        return SecretReadOnly(self.make_provider().where, problem, "Do it where they come from.")

    def _check_name(self, name: str) -> None:
        if not name or not name.isprintable():
            problem = f"{name!r} is no name of a secret"
            raise SecretStoreError(self.make_provider().where, problem, "Use printable characters.")

    def _ask(self, question: Callable[[SecretStoreProvider], T]) -> T:
        return retry_refused(self, lambda: question(self.make_provider()))
