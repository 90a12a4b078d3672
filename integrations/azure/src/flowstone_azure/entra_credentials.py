"""AzureCredentials: a Microsoft Entra identity, for services other than Blob Storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from flowstone.blocks import Credentials
from flowstone.errors import CredentialsError
from flowstone_azure.credentials import describe_environment
from flowstone_azure.entra import ENTRA_LOGINS, MANAGEMENT_URL, EntraFields, EntraLogin

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.keyvault.secrets import SecretClient
    from azure.mgmt.containerinstance import ContainerInstanceManagementClient

    from flowstone_azure.identities import Kind

#: The allowed options of the SDK's clients.
_OPTIONS = frozenset(
    {
        "api_version",
        "connection_timeout",
        "connection_verify",
        "read_timeout",
        "retry_backoff_factor",
        "retry_backoff_max",
        "retry_connect",
        "retry_read",
        "retry_status",
        "retry_total",
        "verify_challenge_resource",
    }
)


class AzureCredentials(Credentials):
    """A Microsoft Entra identity, for Key Vault and Container Instances.

    Set a service principal (tenant id, client id and client secret) or the client id of a managed
    identity. Set nothing to use the SDK's default chain: environment variables, workload and
    managed identities, ``az login``.
    """

    _block_type_name: ClassVar[str | None] = "Azure Credentials"
    _description: ClassVar[str | None] = (
        "An identity of Microsoft Entra: the SDK's default chain, a managed identity, or a service "
        "principal."
    )
    _code_example: ClassVar[str | None] = (
        'AzureCredentials(tenant_id="…", client_id="…", client_secret="env:SECRET").save("ops")\n'
        'AzureCredentials.load("ops").check()'
    )

    client_id: str | None = Field(
        default=None,
        description="The client id of the service principal; if set alone, of a managed identity.",
    )
    tenant_id: str | None = Field(default=None, description="The service principal's tenant.")
    client_secret: SecretStr | None = Field(
        default=None, description="The service principal's secret."
    )
    credential_kwargs: dict[str, object] = Field(
        default_factory=dict,
        description="Further arguments of the SDK's credential, such as "
        '{"authority": "login.microsoftonline.us"}.',
    )
    client_options: dict[str, object] = Field(
        default_factory=dict,
        description='Options of the SDK\'s clients: {"retry_total": 8, "read_timeout": 20}.',
    )
    management_url: str = Field(
        default=MANAGEMENT_URL,
        description="The address of Azure Resource Manager, for sovereign clouds.",
    )

    @field_validator("management_url")
    @classmethod
    def _is_a_url(cls, value: str) -> str:
        return clean_url(value)

    @field_validator("client_id", "tenant_id")
    @classmethod
    def _is_a_word(cls, value: str | None) -> str | None:
        return (value or "").strip() or None

    @field_validator("client_options")
    @classmethod
    def _are_known(cls, value: dict[str, object]) -> dict[str, object]:
        unknown = sorted(set(value) - _OPTIONS)
        if unknown:
            known = ", ".join(sorted(_OPTIONS))
            raise ValueError(f"unknown option {unknown[0]!r}; the options are {known}")
        return value

    def client(
        self, service: Literal["container_instances", "key_vault"] = "key_vault", place: str = ""
    ) -> SecretClient | ContainerInstanceManagementClient:
        """Return the SDK's client, which is shared and thread-safe.

        Args:
            service: ``key_vault`` or ``container_instances``.
            place: the URL of the vault, or the id of the subscription.

        Raises:
            CredentialsError: the fields are not valid credentials, or there is no such client.
            MissingExtra: the client's package is not installed.
        """
        if service == "key_vault":
            try:
                url = clean_url(place)
            except ValueError as error:
                where = f"the vault {place!r}"
                raise CredentialsError(where, str(error), "Pass the URL of the vault.") from error
            return self.find_login().find_secret_client(url)
        if service == "container_instances":
            return self.find_login().find_container_client(place, self.management_url)
        raise CredentialsError(
            f"a client of Azure's {service!r}",
            "it is not supported",
            "Pass 'key_vault' or 'container_instances', or make it with `get_credential()`.",
        )

    def get_credential(self) -> TokenCredential:
        """Return the SDK's credential, for any of Azure's clients; it renews its tokens.

        Raises:
            CredentialsError: the fields are not valid credentials.
        """
        return self.find_login().credential()

    def find_login(self) -> EntraLogin:
        """Return the login for these fields, which blocks with equal fields share.

        Raises:
            CredentialsError: the fields are not valid credentials.
        """
        values = self._choose()
        return ENTRA_LOGINS.find(values, lambda: self._make_login(values))

    def _make_login(self, values: EntraFields) -> EntraLogin:
        given = {"connection_verify": self.client_options.get("connection_verify", True)}
        return EntraLogin(values, {**given, **self.credential_kwargs}, self.client_options)

    def _choose(self) -> EntraFields:
        secret = self.client_secret.get_secret_value() if self.client_secret else None
        kind = self._find_kind(bool(secret))
        return EntraFields(
            kind=kind,
            tenant_id=self.tenant_id,
            client_id=self.client_id,
            secret=secret,
            options=repr((self.credential_kwargs, self.client_options)),
            around=describe_environment() if kind == "default chain" else "",
        )

    def _find_kind(self, has_secret: bool) -> Kind:
        match bool(self.tenant_id), bool(self.client_id), has_secret:
            case True, True, True:
                return "service principal"
            case False, True, False:
                return "managed identity"
            case False, False, False:
                return "default chain"
        raise CredentialsError(
            "Azure",
            "these fields are not valid credentials",
            "Set tenant_id, client_id and client_secret; client_id alone, for a managed identity; "
            "or none, for the SDK's default chain.",
        )

    def _check(self) -> str:
        login = self._make_login(self._choose())
        login.get_token(f"{self.management_url}/.default")
        return f"{login.who()} got a token for {self.management_url}"


class AzureContainerInstanceCredentials(AzureCredentials):
    """A Microsoft Entra identity, under the name that Prefect uses for Container Instances."""

    _block_type_name: ClassVar[str | None] = "Azure Container Instance Credentials"
    _description: ClassVar[str | None] = "A Microsoft Entra identity, for Container Instances."
    _code_example: ClassVar[str | None] = (
        "AzureContainerInstanceCredentials(\n"
        '    tenant_id="…", client_id="…", client_secret="env:SECRET"\n'
        ').save("ops")'
    )

    def get_container_client(self, subscription_id: str) -> ContainerInstanceManagementClient:
        """Return the SDK's Container Instances client for a subscription, which is shared.

        Raises:
            CredentialsError: the fields are not valid credentials.
            MissingExtra: azure-mgmt-containerinstance is not installed.
        """
        return self.find_login().find_container_client(subscription_id, self.management_url)


def clean_url(value: str) -> str:
    """Return the address of a service without surrounding spaces and a trailing slash.

    Raises:
        ValueError: it is not a URL, or contains credentials.
    """
    text = value.strip().rstrip("/")
    parts = urlsplit(text)
    if parts.scheme != "https" or not parts.hostname:
        raise ValueError("it must start with https:// and have a host: tokens are sent there")
    if parts.query or parts.username or parts.password:
        raise ValueError("it must not contain credentials, which would be saved as plain text")
    return text
