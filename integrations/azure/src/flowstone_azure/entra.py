"""Logins with Microsoft Entra, and clients of the services that accept their tokens."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar, cast

from flowstone.blocks import LoginCache
from flowstone.errors import MissingExtra
from flowstone.records.redaction import register
from flowstone_azure.errors import translate_errors
from flowstone_azure.identities import Kind, describe_identity, make_token_credential
from flowstone_azure.logs import keep_secrets
from flowstone_azure.rules import OF_IDENTITIES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from azure.core.credentials import TokenCredential
    from azure.keyvault.secrets import SecretClient
    from azure.mgmt.containerinstance import ContainerInstanceManagementClient

T = TypeVar("T")

#: The address of Azure Resource Manager, except in sovereign clouds.
MANAGEMENT_URL = "https://management.azure.com"
CLIENT_DEFAULTS: Mapping[str, object] = {
    "retry_total": 3,
    "connection_timeout": 10,
    "read_timeout": 60,
    "user_agent": "flowstone-azure",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EntraFields:
    """The values of a login; logins with equal values are shared.

    Attributes:
        secret: the client secret.
        options: the `repr` of the options of credential and clients.
        around: the environment variables that the SDK's default chain reads.
    """

    kind: Kind
    tenant_id: str | None = None
    client_id: str | None = None
    secret: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    options: str = ""
    around: str = field(default="", repr=False)


class EntraLogin:
    """An identity of Microsoft Entra, and its clients; thread-safe.

    Args:
        values: the values of the login.
        credential_options: further arguments of the SDK's credential.
        client_options: options of the SDK's clients.
    """

    def __init__(
        self,
        values: EntraFields,
        credential_options: Mapping[str, object],
        client_options: Mapping[str, object],
    ) -> None:
        self.values = values
        self._credential_options = dict(credential_options)
        self._client_options = {**CLIENT_DEFAULTS, **client_options}
        self._lock = threading.RLock()
        self._token: TokenCredential | None = None
        self._clients: dict[tuple[str, ...], object] = {}
        if values.secret:
            register(values.secret)

    def __repr__(self) -> str:
        return f"<EntraLogin of {self.who()}>"

    def who(self) -> str:
        """Describe the identity in use, without secrets."""
        return describe_identity(self.values)

    def find_problem(self) -> str:
        """Return "": only a request can show a problem with an identity."""
        return ""

    def credential(self) -> TokenCredential:
        """Return the SDK's credential, which caches and renews its tokens."""
        with self._lock:
            if self._token is None:
                self._token = make_token_credential(self.values, self.who, self._credential_options)
            return self._token

    def get_token(self, scope: str) -> str:
        """Return a valid token.

        Raises:
            CredentialsError: no credentials were found, or they were refused.
            Unreachable: Entra can't be reached.
        """
        with translate_errors("Microsoft Entra", self, rules=OF_IDENTITIES):
            token = self.credential().get_token(scope).token
        keep_secrets()
        register(token)
        return token

    def find_secret_client(self, vault_url: str) -> SecretClient:
        """Return the shared client of a key vault.

        Raises:
            MissingExtra: azure-keyvault-secrets is not installed.
        """
        try:
            from azure.keyvault.secrets import SecretClient  # an optional dependency
        except ImportError as error:
            raise MissingExtra("Key Vault", "flowstone-azure[key_vault]") from error

        def make() -> SecretClient:
            return SecretClient(vault_url, self.credential(), **self._client_options)

        return self._get_or_make(("key vault", vault_url), make)

    def find_container_client(
        self, subscription_id: str, management_url: str = MANAGEMENT_URL
    ) -> ContainerInstanceManagementClient:
        """Return the shared client of Container Instances in a subscription.

        Raises:
            MissingExtra: azure-mgmt-containerinstance is not installed.
        """
        try:
            # An optional dependency.
            from azure.mgmt.containerinstance import ContainerInstanceManagementClient
        except ImportError as error:
            extra = "flowstone-azure[container_instances]"
            raise MissingExtra("Container Instances", extra) from error

        def make() -> ContainerInstanceManagementClient:
            return ContainerInstanceManagementClient(
                self.credential(),
                subscription_id,
                base_url=management_url,
                credential_scopes=[f"{management_url}/.default"],
                **self._client_options,
            )

        key = ("container instances", subscription_id, management_url)
        return self._get_or_make(key, make)

    def _get_or_make(self, key: tuple[str, ...], make: Callable[[], T]) -> T:
        with self._lock:
            if key not in self._clients:
                self._clients[key] = make()
                keep_secrets()
            return cast("T", self._clients[key])


#: The logins of this process.
ENTRA_LOGINS: LoginCache[EntraLogin] = LoginCache()
