"""The ways to log in: which login the fields make, that it works, and what it is called."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
from azure.storage.blob import (
    AccountSasPermissions,
    ContainerSasPermissions,
    ResourceTypes,
    generate_account_sas,
    generate_container_sas,
)
from tests.services.azure import ACCOUNT, KEY
from tests.services.web import Handler, serve_web

from flowstone.errors import AccessDenied, BlockInvalid, CredentialsError, StorageError
from flowstone_azure import AzureBlobStorageContainer, AzureBlobStorageCredentials

if TYPE_CHECKING:
    from tests.services.azure import Azurite

URL = "https://mydata.blob.core.windows.net"
PRINCIPAL = {"tenant_id": "a-tenant", "client_id": "a-client", "client_secret": "a-secret"}


def in_hours(hours: float) -> datetime:
    return datetime.now(UTC) + timedelta(hours=hours)


def account_sas(url: str, container: str) -> dict[str, Any]:
    rights = AccountSasPermissions(read=True, write=True, list=True)
    kinds = ResourceTypes(service=True, container=True, object=True)
    sas = generate_account_sas(ACCOUNT, KEY, kinds, rights, in_hours(1))
    return {"account_url": url, "sas_token": f"?{sas}"}


def container_sas(url: str, container: str, ends: float = 1) -> dict[str, Any]:
    rights = ContainerSasPermissions(read=True, write=True, list=True, delete=True)
    sas = generate_container_sas(ACCOUNT, container, KEY, permission=rights, expiry=in_hours(ends))
    return {"account_url": url, "sas_token": sas}


LOGINS: dict[str, tuple[Callable[[str, str], dict[str, Any]], str]] = {
    "account key": (
        lambda url, _: {"account_url": url, "account_key": KEY},
        "the account key of 'devstoreaccount1' is let in",
    ),
    "key in a connection string": (
        lambda url, _: {
            "connection_string": f"BlobEndpoint={url}/;AccountKey={KEY};AccountName={ACCOUNT}"
        },
        "the account key of 'devstoreaccount1' is let in",
    ),
    "SAS of the account": (account_sas, "a SAS of the account in 'devstoreaccount1' is let in"),
    "SAS of a container": (container_sas, "a SAS of a container or blob in 'devstoreaccount1'"),
    "SAS in a connection string": (
        lambda url, container: {
            "connection_string": f"BlobEndpoint={url};SharedAccessSignature="
            + container_sas(url, container)["sas_token"]
        },
        "a SAS of a container or blob in 'devstoreaccount1'",
    ),
}


@pytest.mark.parametrize("name", LOGINS)
def test_each_login_is_let_in_and_says_which_it_is(
    name: str, emulated: Azurite, container_name: str
) -> None:
    make, who = LOGINS[name]
    login = AzureBlobStorageCredentials(**make(emulated.url, container_name))
    check = login.check()
    assert check.ok, check.reason
    assert check.reason.startswith(who)
    store = AzureBlobStorageContainer(container_name=container_name, credentials=login)
    store.write_path("a b.txt", b"1")
    assert store.copy_object("a b.txt", "copy") == "copy"
    assert [info.path for info in store.list_objects()] == ["a b.txt", "copy"]
    assert store.read_path("copy") == b"1"


def test_the_environment_is_a_login(
    emulated: Azurite, container_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", emulated.connection_string)
    store = AzureBlobStorageContainer(container_name=container_name)
    store.write_path("a", b"1")
    assert store.read_path("a") == b"1"
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT", "mydata")
    values = AzureBlobStorageCredentials().find_login().values
    assert (values.kind, values.url) == ("default chain", URL)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"account_url": URL}, "default chain"),
        ({"account_url": URL, "client_id": "an-identity"}, "managed identity"),
        ({"account_url": URL, **PRINCIPAL}, "service principal"),
    ],
)
def test_identities_of_entra(fields: dict[str, Any], kind: str) -> None:
    login = AzureBlobStorageCredentials(**fields)
    assert login.find_login().values.kind == kind
    assert login.client().account_name == "mydata"
    assert login.client() is AzureBlobStorageCredentials(**fields).get_client()
    assert login.get_blob_client("raw", "a b").url == f"{URL}/raw/a%20b"
    assert login.get_container_client("raw").url == f"{URL}/raw"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "not said which account"),
        (PRINCIPAL, "not said which account"),
        ({"account_url": URL, "tenant_id": "t", "client_id": "c"}, "tenant_id, client_id make no"),
        ({"account_url": URL, "account_key": KEY, "sas_token": "sig=1"}, "make no login together"),
        ({"connection_string": f"AccountName=a;AccountKey={KEY}", **PRINCIPAL}, "a whole login"),
        ({"connection_string": "AccountName=mydata"}, "neither key nor SAS"),
        ({"connection_string": "UseDevelopmentStorage=true"}, "no account and no address"),
        ({"account_url": "https://data.example.org", "account_key": KEY}, "does not tell"),
    ],
)
def test_fields_that_make_no_login_are_told(fields: dict[str, Any], says: str) -> None:
    login = AzureBlobStorageCredentials(**fields)
    with pytest.raises(CredentialsError, match=says):
        login.client()
    check = login.check()
    assert not check.ok
    assert says in check.reason


@pytest.mark.parametrize(
    "fields",
    [
        {"account_url": "mydata"},
        {"account_url": f"{URL}/raw?sv=1&sig=HIDDEN"},
        {"account_url": "https://me:HIDDEN@mydata.blob.core.windows.net"},
        {"account_key": "HIDDEN\nkey"},
        {"client_options": {"credential": "HIDDEN"}},
    ],
)
def test_fields_that_can_not_be_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(BlockInvalid) as caught:
        AzureBlobStorageCredentials(**fields)
    assert "HIDDEN" not in str(caught.value)


def test_a_sas_that_has_ended_says_so(emulated: Azurite, container_name: str) -> None:
    login = AzureBlobStorageCredentials(**container_sas(emulated.url, container_name, ends=-1))
    check = login.check()
    assert not check.ok
    assert "it ended at" in check.reason


def test_a_sas_opens_its_own_container_only(emulated: Azurite, container_name: str) -> None:
    login = AzureBlobStorageCredentials(**container_sas(emulated.url, container_name))
    other = AzureBlobStorageContainer(container_name="another", credentials=login)
    with pytest.raises((AccessDenied, CredentialsError), match="a SAS of a container"):
        other.read_path("a")


class MachineIdentity(Handler):
    """Hands out tokens of managed identities as a virtual machine's metadata service does.

    https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token
    """

    asked: ClassVar[list[dict[str, list[str]]]] = []

    def do_GET(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        is_known = asked.get("client_id") == ["an-identity"]
        if self.headers.get("Metadata") == "true" and is_known:
            self.asked.append(asked)
            self.answer(200, {"access_token": f"canary-{len(self.asked)}", "token_type": "Bearer"})
        else:
            self.answer(
                400, {"error": "invalid_request", "error_description": "Identity not found"}
            )

    def answer(self, status: int, fields: dict[str, Any]) -> None:
        content = json.dumps({"expires_in": "86400", "resource": "x", **fields}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, list[str]]]]:
    MachineIdentity.asked.clear()
    with serve_web(MachineIdentity) as server:
        monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", server.url)
        yield MachineIdentity.asked


def test_a_managed_identity_gives_tokens(machine: list[dict[str, list[str]]]) -> None:
    login = AzureBlobStorageCredentials(account_url=URL, client_id="an-identity")
    lake = AzureBlobStorageContainer(container_name="raw", credentials=login)
    access = lake.access()
    assert access.reveal("bearer_token") == "canary-1"
    assert "canary" not in repr(access)
    assert access.refresh is not None
    assert (lake.storage_options("delta") or {})["azure_storage_token"] == "canary-1"
    assert [each["resource"] for each in machine] == [["https://storage.azure.com"]]
    with pytest.raises(StorageError, match=r"adlfs .*AZURE_CLIENT_ID"):
        lake.storage_options("pandas")


def test_an_identity_that_is_not_the_machine_s_says_so(machine: object) -> None:
    login = AzureBlobStorageCredentials(account_url=URL, client_id="of-another-machine")
    with pytest.raises(CredentialsError, match="managed identity of-another-machine"):
        login.find_login().get_token()
