"""Azure Key Vault: a provider for references, and a single secret as a block."""

from __future__ import annotations

import asyncio
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, field_validator

from flowstone.blocks import Block, SecretProvider, SecretStoreProvider
from flowstone.errors import CredentialsError, SecretMissing, SecretStoreError
from flowstone.records.redaction import register
from flowstone_azure.credentials import find_usual_vault
from flowstone_azure.entra_credentials import AzureCredentials, clean_url
from flowstone_azure.errors import is_recoverable, translate_errors
from flowstone_azure.logs import keep_secrets
from flowstone_azure.rules import NO_SECRET, OF_SECRETS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azure.keyvault.secrets import SecretClient

#: https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates
_NAME = re.compile(r"[A-Za-z0-9-]{1,127}")
_VERSION = re.compile(r"[0-9a-f]{32}")


class KeyVault:
    """The calls of a vault, with Flowstone's errors.

    Args:
        credentials: the credentials.
        vault_url: the address of the vault; None for that of the environment.
    """

    def __init__(self, credentials: AzureCredentials, vault_url: str | None) -> None:
        self._credentials, self._url = credentials, vault_url or find_usual_vault()

    @property
    def where(self) -> str:
        """The place, for messages."""
        return f"Key Vault {self._url or 'without an address'}"

    def read(self, name: str, version: str | None = None) -> str:
        """Return the value of a version, by default of the current one."""
        self._check_name(name)
        if version is not None and _VERSION.fullmatch(version) is None:
            problem = f"there is no version {version!r}: versions have 32 hexadecimal digits"
            raise SecretMissing(f"{self.where}/{name}", problem, NO_SECRET.remedy)
        with self._translate(name):
            found = self._client().get_secret(name, version).value or ""
        register(found)
        return found

    def write(self, name: str, value: bytes) -> str:
        """Write a secret, and return its new version; a deleted secret is recovered first.

        Raises:
            SecretStoreError: it is not UTF-8 text, or Azure refused the request.
        """
        self._check_name(name)
        try:
            text = value.decode()
        except UnicodeDecodeError:
            problem = "a vault stores text, and this is not UTF-8"
            remedy = "Encode it, for example with base64."
            raise SecretStoreError(f"{self.where}/{name}", problem, remedy) from None
        register(text)
        keep_secrets()
        try:
            return self._set(name, text)
        except SecretStoreError as error:
            if not is_recoverable(error.__cause__):
                raise
        with self._translate(name):
            self._client().begin_recover_deleted_secret(name).wait()
        return self._set(name, text)

    def delete(self, name: str) -> None:
        """Delete a secret, and wait until it is deleted; it can be recovered for a while."""
        self._check_name(name)
        with self._translate(name):
            self._client().begin_delete_secret(name).wait()

    def list_names(self, prefix: str) -> Iterator[str]:
        """Yield the names of secrets, page by page."""
        with self._translate():
            for each in self._client().list_properties_of_secrets():
                if each.name and each.name.startswith(prefix):
                    yield each.name

    def _set(self, name: str, text: str) -> str:
        with self._translate(name):
            return self._client().set_secret(name, text).properties.version or ""

    def _check_name(self, name: str) -> None:
        if _NAME.fullmatch(name) is None:
            problem = f"{name!r} is not the name of a secret"
            raise SecretStoreError(self.where, problem, "Use letters, digits and hyphens.")

    def _client(self) -> SecretClient:
        try:
            url = clean_url(self._url or "")
        except ValueError as error:
            problem = f"{self._url!r} is not the address of a vault: {error}" if self._url else ""
            raise CredentialsError(
                "Key Vault",
                problem or "no vault is given",
                "Set vault_url in the block, or AZURE_KEYVAULT_URL in the environment.",
            ) from error
        return self._credentials.find_login().find_secret_client(url)

    @contextmanager
    def _translate(self, name: str | None = None) -> Iterator[None]:
        login = self._credentials.find_login()
        try:
            with translate_errors(self.where, login, name, OF_SECRETS):
                yield
        except ValueError as error:
            if "challenge" not in str(error):
                raise
            # Raised by the SDK if a service requests a token for another domain than its own.
            raise CredentialsError(
                f"Azure, with {login.who()}",
                f"{self._url} asks for a token of another service ({error})",
                "Check vault_url: tokens are sent there.",
            ) from error


class AzureKeyVault(SecretProvider):
    """An Azure key vault, for references such as ``azure-keyvault:db-password#user``.

    A version is an id of 32 hexadecimal digits. A deleted secret can be recovered for a while, and
    writing it again recovers it.
    """

    _block_type_name: ClassVar[str | None] = "Azure Key Vault"
    _block_type_slug: ClassVar[str | None] = "azure-keyvault"
    _description: ClassVar[str | None] = "Secrets in an Azure key vault."
    _code_example: ClassVar[str | None] = (
        'vault = AzureKeyVault(vault_url="https://shop.vault.azure.net")\n'
        'vault.write("db-password", "s3cr3t")\n'
        'vault.read("db-password")'
    )

    versions: ClassVar[bool] = True

    vault_url: str | None = Field(
        default=None,
        description="The address of the vault; by default AZURE_KEYVAULT_URL of the environment, "
        "or the vault that KEY_VAULT_NAME names.",
    )
    credentials: AzureCredentials = Field(
        default_factory=AzureCredentials,
        description="The credentials; by default, the SDK's default chain.",
    )

    @field_validator("vault_url")
    @classmethod
    def _is_a_url(cls, value: str | None) -> str | None:
        return clean_url(value) if value else None

    def make_provider(self) -> KeyVaultProvider:
        """Return the provider that reads from the vault."""
        return KeyVaultProvider(self.open_vault())

    def open_vault(self) -> KeyVault:
        """Return the calls of the vault."""
        return KeyVault(self.credentials, self.vault_url)


class KeyVaultProvider(SecretStoreProvider):
    """Secrets in a vault, by name."""

    def __init__(self, vault: KeyVault) -> None:
        self._vault = vault

    @property
    def where(self) -> str:
        return self._vault.where

    def read(self, name: str, version: str | None) -> bytes:
        return self._vault.read(name, version).encode()

    def write(self, name: str, value: bytes) -> str:
        return self._vault.write(name, value)

    def delete(self, name: str) -> None:
        self._vault.delete(name)

    def list_names(self, prefix: str) -> Iterator[str]:
        return self._vault.list_names(prefix)


class AzureKeyVaultSecret(Block):
    """A single secret in an Azure key vault."""

    _block_type_name: ClassVar[str | None] = "Azure Key Vault Secret"
    _block_type_slug: ClassVar[str | None] = "azure-keyvault-secret"
    _description: ClassVar[str | None] = "A single secret in an Azure key vault."
    _code_example: ClassVar[str | None] = (
        'url = "https://shop.vault.azure.net"\n'
        'AzureKeyVaultSecret(secret_name="db-password", vault_url=url).save("db")\n'
        'AzureKeyVaultSecret.load("db").read_secret()'
    )

    secret_name: str = Field(min_length=1, description="The secret's name.")
    secret_version: str | None = Field(
        default=None, description="The version to read; by default the current one."
    )
    vault_url: str | None = Field(
        default=None, description="The address of the vault; by default from the environment."
    )
    credentials: AzureCredentials = Field(
        default_factory=AzureCredentials,
        description="The credentials; by default, the SDK's default chain.",
    )

    @field_validator("vault_url")
    @classmethod
    def _is_a_url(cls, value: str | None) -> str | None:
        return clean_url(value) if value else None

    def read_secret(self) -> bytes:
        """Return the secret.

        Raises:
            SecretMissing: there is no such secret or version.
            AccessDenied: the credentials have no permission to read it.
            CredentialsError: no credentials were found, or they were refused.
        """
        return self._vault().read(self.secret_name, self.secret_version).encode()

    def write_secret(self, secret_data: bytes) -> str:
        """Write the secret, and return its new version; it is created if it does not exist.

        Raises:
            SecretStoreError: it is not UTF-8 text, or Azure refused the request.
            AccessDenied: the credentials have no permission to write it.
            CredentialsError: no credentials were found, or they were refused.
        """
        return self._vault().write(self.secret_name, secret_data)

    def delete_secret(self) -> None:
        """Delete the secret; it can be recovered for a while.

        Raises:
            SecretMissing: there is no such secret.
            SecretStoreError: Azure refused the request.
        """
        self._vault().delete(self.secret_name)

    async def aread_secret(self) -> bytes:
        """Async version of `read_secret`."""
        return await asyncio.to_thread(self.read_secret)

    async def awrite_secret(self, secret_data: bytes) -> str:
        """Async version of `write_secret`."""
        return await asyncio.to_thread(self.write_secret, secret_data)

    async def adelete_secret(self) -> None:
        """Async version of `delete_secret`."""
        await asyncio.to_thread(self.delete_secret)

    def _vault(self) -> KeyVault:
        return KeyVault(self.credentials, self.vault_url)
