"""Identities of Microsoft Entra: the SDK's credentials for the fields of a login."""

from __future__ import annotations

from base64 import b64decode
from typing import TYPE_CHECKING, Any, Literal, Protocol

from flowstone.errors import CredentialsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from azure.core.credentials import TokenCredential

Kind = Literal[
    "account key", "SAS", "service principal", "certificate", "managed identity", "default chain"
]


class IdentityFields(Protocol):
    """The values of a login with an identity."""

    @property
    def kind(self) -> Kind:
        """The kind of identity."""

    @property
    def tenant_id(self) -> str | None:
        """The service principal's tenant."""

    @property
    def client_id(self) -> str | None:
        """The client id of the service principal, or of the managed identity."""

    @property
    def secret(self) -> str | None:
        """A client secret, or a certificate: PEM, or PKCS #12 in base64."""

    @property
    def password(self) -> str | None:
        """The password of the certificate's key."""


def describe_identity(values: IdentityFields) -> str:
    """Describe the identity in use, without secrets."""
    match values.kind:
        case "service principal":
            return f"service principal {values.client_id} of tenant {values.tenant_id}"
        case "certificate":
            who = f"service principal {values.client_id} of tenant {values.tenant_id}"
            return f"{who}, by certificate"
        case "managed identity":
            return f"managed identity {values.client_id}"
        case _:
            return "the SDK's default chain"


def make_token_credential(
    values: IdentityFields, who: Callable[[], str], options: Mapping[str, Any]
) -> TokenCredential:
    """Return the SDK's credential for an identity.

    Args:
        values: the fields of the login.
        who: describes the identity, for messages.
        options: further arguments of the SDK's credential.

    Raises:
        CredentialsError: the certificate can't be used.
    """
    # Importing it takes another 0.3 s, and account keys don't need it.
    from azure.identity import (
        CertificateCredential,
        ClientSecretCredential,
        DefaultAzureCredential,
        ManagedIdentityCredential,
    )

    tenant, client, secret = values.tenant_id or "", values.client_id or "", values.secret or ""
    if values.kind == "service principal":
        return ClientSecretCredential(tenant, client, secret, **options)
    if values.kind == "managed identity":
        return ManagedIdentityCredential(client_id=values.client_id, **options)
    if values.kind == "default chain":
        return DefaultAzureCredential(**options)
    try:
        content = secret.encode() if "-----BEGIN" in secret else b64decode(secret, validate=True)
        return CertificateCredential(
            tenant, client, certificate_data=content, password=values.password, **options
        )
    except (TypeError, ValueError) as error:  # also cryptography's, which don't quote content
        raise CredentialsError(
            f"Azure, with {who()}",
            f"the certificate can't be used: {error}",
            "Pass the certificate and its RSA key as PEM or PKCS #12, and set "
            "client_certificate_password if the key is encrypted.",
        ) from error
