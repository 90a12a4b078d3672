"""Which login the fields make, and what is said of fields that make none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.services.azure import KEY

from flowstone.errors import BlockInvalid, CredentialsError
from flowstone_azure import AzureBlobStorageContainer, AzureBlobStorageCredentials

if TYPE_CHECKING:
    from tests.services.azure import Azurite

URL = "https://mydata.blob.core.windows.net"
PRINCIPAL = {"tenant_id": "a-tenant", "client_id": "a-client", "client_secret": "a-secret"}


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
        ({}, "no account is given"),
        (PRINCIPAL, "no account is given"),
        (
            {"account_url": URL, "tenant_id": "t", "client_id": "c"},
            "valid credentials: tenant_id, client_id",
        ),
        (
            {"account_url": URL, "account_key": KEY, "sas_token": "sig=1"},
            "these fields are not valid credentials",
        ),
        (
            {"connection_string": f"AccountName=a;AccountKey={KEY}", **PRINCIPAL},
            "connection_string can't be combined",
        ),
        ({"connection_string": "AccountName=mydata"}, "neither a key nor a SAS"),
        (
            {"connection_string": "UseDevelopmentStorage=true"},
            "UseDevelopmentStorage is not supported",
        ),
        ({"account_url": "https://data.example.org", "account_key": KEY}, "does not contain it"),
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
