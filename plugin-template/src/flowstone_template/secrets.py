"""TemplateSecrets: the service as a secret provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote

from pydantic import Field

from flowstone.blocks import SecretProvider, SecretStoreProvider
from flowstone_template.credentials import TemplateCredentials
from flowstone_template.errors import raise_secret_errors

if TYPE_CHECKING:
    import httpx


class TemplateSecrets(SecretProvider):
    """The service's secrets, for references like ``template-secrets:db/password``."""

    _block_type_name: ClassVar[str | None] = "Template Secrets"
    _block_type_slug: ClassVar[str | None] = "template-secrets"
    _description: ClassVar[str | None] = "The secrets of the service."
    _code_example: ClassVar[str | None] = 'TemplateSecrets().read("db/password")'

    credentials: TemplateCredentials = Field(
        default_factory=TemplateCredentials,
        description="Credentials; default: the environment's.",
    )

    def make_provider(self) -> VaultProvider:
        """Return the provider of the service's secrets."""
        return VaultProvider(self.credentials)


class VaultProvider(SecretStoreProvider):
    """The service's secrets by name."""

    def __init__(self, credentials: TemplateCredentials) -> None:
        self._credentials = credentials

    @property
    def where(self) -> str:
        return f"{self._credentials.url or ''}/secrets"

    def read(self, name: str, version: str | None) -> bytes:
        del version  # there are none; the block refuses a version
        return self._ask("GET", name).content

    def list_names(self, prefix: str) -> list[str]:
        names: list[str] = self._ask("GET", "", params={"prefix": prefix}).json()
        return names

    def write(self, name: str, value: bytes) -> str:
        self._ask("PUT", name, content=value)
        return ""

    def delete(self, name: str) -> None:
        self._ask("DELETE", name)

    def _ask(
        self,
        method: str,
        name: str,
        *,
        params: dict[str, str] | None = None,
        content: bytes | None = None,
    ) -> httpx.Response:
        with self._credentials.client() as client, raise_secret_errors(f"{self.where}/{name}"):
            path = f"/secrets/{quote(name, safe='')}"
            response = client.request(method, path, params=params, content=content)
            return response.raise_for_status()
