"""Each way to log in: the fields, the environment, and what `check` calls it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from azure.storage.blob import (
    AccountSasPermissions,
    ContainerSasPermissions,
    ResourceTypes,
    generate_account_sas,
    generate_container_sas,
)
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    pkcs12,
)
from tests.services.azure import ACCOUNT, KEY
from tests.services.certificates import make_certificate, make_key, write_key
from tests.services.entra import HOST, SYSTEM, App, Entra

if TYPE_CHECKING:
    import pytest
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.x509 import Certificate
    from tests.services.azure import Azurite

Fields = dict[str, Any]
SAS_RIGHTS = ContainerSasPermissions(
    read=True, write=True, list=True, delete=True, delete_previous_version=True
)


def in_hours(hours: float) -> datetime:
    return datetime.now(UTC) + timedelta(hours=hours)


def account_sas(url: str, container: str) -> Fields:
    rights = AccountSasPermissions(read=True, write=True, list=True, delete=True)
    kinds = ResourceTypes(service=True, container=True, object=True)
    sas = generate_account_sas(ACCOUNT, KEY, kinds, rights, in_hours(1))
    return {"account_url": url, "sas_token": f"?{sas}"}


def container_sas(url: str, container: str, ends: float = 1) -> Fields:
    sas = generate_container_sas(
        ACCOUNT, container, KEY, permission=SAS_RIGHTS, expiry=in_hours(ends)
    )
    return {"account_url": url, "sas_token": sas}


#: Logins that have a key or a SAS, and how `check` begins.
KEYS: dict[str, tuple[Callable[[str, str], Fields], str]] = {
    "account key": (
        lambda url, _: {"account_url": url, "account_key": KEY},
        "the account key of 'devstoreaccount1' can log in",
    ),
    "key in a connection string": (
        lambda url, _: {
            "connection_string": f"BlobEndpoint={url}/;AccountKey={KEY};AccountName={ACCOUNT}"
        },
        "the account key of 'devstoreaccount1' can log in",
    ),
    "SAS of the account": (
        account_sas,
        "a SAS of the account in 'devstoreaccount1' with permissions 'rwdl' can log in",
    ),
    "SAS of a container": (
        container_sas,
        "a SAS of a container in 'devstoreaccount1' with permissions 'rwdxl' has not expired",
    ),
    "SAS in a connection string": (
        lambda url, container: {
            "connection_string": f"BlobEndpoint={url};SharedAccessSignature="
            + container_sas(url, container)["sas_token"]
        },
        "a SAS of a container in 'devstoreaccount1' with permissions 'rwdxl' has not expired",
    ),
}


@dataclass(frozen=True)
class Place:
    """Where a login by a token is made: Azurite by https, Entra, a folder, the environment."""

    azurite: Azurite
    entra: Entra
    folder: Path
    environment: pytest.MonkeyPatch

    @property
    def fields(self) -> Fields:
        options = {"connection_verify": str(self.azurite.ca)}
        return {"account_url": self.azurite.url, "client_options": options}

    def add_app(self, **how: Any) -> Fields:
        """Make a service principal; return the fields that name it."""
        tenant, client = f"tenant-{uuid4().hex}", f"client-{uuid4().hex}"
        self.entra.apps[client] = App(tenant, **how)
        return {**self.fields, "tenant_id": tenant, "client_id": client}

    def add_app_with_certificate(self) -> tuple[Fields, Certified]:
        key = make_key()
        certificate = make_certificate("an app", key)
        return self.add_app(certificate=certificate), Certified(key, certificate)


def by_client_secret(place: Place) -> Fields:
    return {**place.add_app(secret="a-secret"), "client_secret": "a-secret"}


def by_certificate(place: Place) -> Fields:
    fields, app = place.add_app_with_certificate()
    return {**fields, "client_certificate": app.pem()}


def by_certificate_with_password(place: Place) -> Fields:
    fields, app = place.add_app_with_certificate()
    password = {"client_certificate_password": "a-password"}
    return {**fields, "client_certificate": app.pem("a-password"), **password}


def by_certificate_in_one_line(place: Place) -> Fields:
    fields, app = place.add_app_with_certificate()
    return {**fields, "client_certificate": app.pem().replace("\n", "\\n")}


def by_certificate_file(place: Place) -> Fields:
    fields, app = place.add_app_with_certificate()
    file = place.folder / "app.pem"
    file.write_text(app.pem())
    return {**fields, "client_certificate_path": file}


def by_pkcs12(place: Place) -> Fields:
    fields, app = place.add_app_with_certificate()
    return {**fields, "client_certificate": b64encode(app.pkcs12()).decode()}


def by_pkcs12_file(place: Place) -> Fields:
    fields, app = place.add_app_with_certificate()
    file = place.folder / "app.pfx"
    file.write_bytes(app.pkcs12("a-password"))
    password = {"client_certificate_password": "a-password"}
    return {**fields, "client_certificate_path": str(file), **password}


def by_identity(place: Place) -> Fields:
    client = f"identity-{uuid4().hex}"
    place.entra.identities.add(client)
    return {**place.fields, "client_id": client}


def by_identity_of_the_machine(place: Place) -> Fields:
    place.entra.identities.add(SYSTEM)
    return place.fields


def by_environment(place: Place) -> Fields:
    found = place.add_app(secret="a-secret")
    place.environment.setenv("AZURE_TENANT_ID", found["tenant_id"])
    place.environment.setenv("AZURE_CLIENT_ID", found["client_id"])
    place.environment.setenv("AZURE_CLIENT_SECRET", "a-secret")
    return place.fields


def by_workload_identity(place: Place) -> Fields:
    found = place.add_app(federated="token-of-the-cluster")
    file = place.folder / "token"
    file.write_text("token-of-the-cluster")
    place.environment.setenv("AZURE_TENANT_ID", found["tenant_id"])
    place.environment.setenv("AZURE_CLIENT_ID", found["client_id"])
    place.environment.setenv("AZURE_FEDERATED_TOKEN_FILE", str(file))
    place.environment.setenv("AZURE_AUTHORITY_HOST", HOST)
    return place.fields


#: Logins by a token of Entra, and how `check` begins.
TOKENS: dict[Callable[[Place], Fields], str] = {
    by_client_secret: "service principal client-",
    by_certificate: "service principal client-",
    by_certificate_with_password: "service principal client-",
    by_certificate_in_one_line: "service principal client-",
    by_certificate_file: "service principal client-",
    by_pkcs12: "service principal client-",
    by_pkcs12_file: "service principal client-",
    by_identity: "managed identity identity-",
    by_identity_of_the_machine: "the SDK's default chain can log in",
    by_environment: "the SDK's default chain can log in",
    by_workload_identity: "the SDK's default chain can log in",
}


class Certified:
    """A certificate and its key, in the forms that people have."""

    def __init__(self, key: RSAPrivateKey, certificate: Certificate) -> None:
        self.key, self.certificate = key, certificate

    def pem(self, password: str | None = None) -> str:
        content = write_key(self.key, password) + self.certificate.public_bytes(Encoding.PEM)
        return content.decode()

    def pkcs12(self, password: str | None = None) -> bytes:
        how = BestAvailableEncryption(password.encode()) if password else NoEncryption()
        return pkcs12.serialize_key_and_certificates(b"app", self.key, self.certificate, None, how)
