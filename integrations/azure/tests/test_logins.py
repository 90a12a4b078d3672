"""Each way to log in, one test a row: against Azurite, with tokens from a loopback server."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from tests.services.certificates import make_certificate, make_key
from tests.services.entra import App

from flowstone.errors import CredentialsError, StorageError
from flowstone_azure import AzureBlobStorageContainer, AzureBlobStorageCredentials

from .logins import (
    KEYS,
    TOKENS,
    Certified,
    Fields,
    Place,
    by_certificate,
    by_certificate_file,
    by_client_secret,
    by_environment,
    by_identity,
)

if TYPE_CHECKING:
    from tests.services.azure import Azurite

URL = "https://mydata.blob.core.windows.net"


def use(store: AzureBlobStorageContainer) -> None:
    """Do with a container what takes a good login."""
    store.write_path("a b.txt", b"1")
    assert store.copy_object("a b.txt", "copy") == "copy"
    assert [info.path for info in store.list_objects()] == ["a b.txt", "copy"]
    assert store.read_path("copy") == b"1"


@pytest.mark.parametrize("name", KEYS)
def test_each_key_is_let_in_and_says_which_it_is(
    name: str, emulated: Azurite, container_name: str
) -> None:
    make, who = KEYS[name]
    login = AzureBlobStorageCredentials(**make(emulated.url, container_name))
    check = login.check()
    assert check.ok, check.reason
    assert check.reason.startswith(who)
    use(AzureBlobStorageContainer(container_name=container_name, credentials=login))


@pytest.mark.parametrize("row", TOKENS)
def test_each_token_is_let_in_and_says_which_it_is(
    row: Callable[[Place], Fields], place: Place, new_container: Callable[[Azurite], str]
) -> None:
    login = AzureBlobStorageCredentials(**row(place))
    check = login.check()
    assert check.ok, check.reason
    assert check.reason.startswith(TOKENS[row])
    name = new_container(place.azurite)
    use(AzureBlobStorageContainer(container_name=name, credentials=login))
    known = {*place.entra.apps, *place.entra.identities}
    assert {place.entra.find_client_id(token) for token in place.entra.given} == known
    assert not [token for token in place.entra.given if token in check.reason]


@pytest.mark.parametrize("row", [by_client_secret, by_certificate, by_identity, by_environment])
def test_a_login_outlives_its_first_token(
    row: Callable[[Place], Fields], place: Place, new_container: Callable[[Azurite], str]
) -> None:
    place.entra.seconds = 1  # less than what the SDK takes for good enough
    login = AzureBlobStorageCredentials(**row(place))
    store = AzureBlobStorageContainer(
        container_name=new_container(place.azurite), credentials=login
    )
    before = len(place.entra.given)
    for number in range(3):
        store.write_path("a", b"%d" % number)
    assert len(place.entra.given) - before >= 3
    assert store.read_path("a") == b"2"
    assert len(set(place.entra.given)) == len(place.entra.given)


def test_entra_is_asked_at_its_own_address_with_an_assertion(place: Place) -> None:
    login = AzureBlobStorageCredentials(**by_certificate(place))
    assert login.find_login().get_token() == place.entra.given[-1]
    path, fields = place.entra.asked[-1]
    assert path == f"/{login.tenant_id}/oauth2/v2.0/token"
    assert "client_assertion" in fields
    assert "client_secret" not in fields


def test_a_certificate_that_is_not_the_app_s_is_refused(place: Place) -> None:
    fields, _ = place.add_app_with_certificate()
    key = make_key()
    other = Certified(key, make_certificate("an app", key))
    login = AzureBlobStorageCredentials(**fields, client_certificate=other.pem())
    with pytest.raises(CredentialsError, match=r"by certificate: .*AADSTS700027"):
        login.find_login().get_token()
    check = login.check()
    assert not check.ok
    assert "AADSTS700027" in check.reason


def test_a_certificate_that_was_renewed_in_its_file_is_taken(place: Place) -> None:
    fields = by_certificate_file(place)
    login = AzureBlobStorageCredentials(**fields)
    first = login.find_login()
    assert first is login.find_login()
    first.get_token()
    key = make_key()
    renewed = Certified(key, make_certificate("an app", key))
    place.entra.apps[fields["client_id"]] = App(
        fields["tenant_id"], certificate=renewed.certificate
    )
    fields["client_certificate_path"].write_text(renewed.pem())
    assert login.find_login().get_token() == place.entra.given[-1]


PRINCIPAL = {"account_url": URL, "tenant_id": "a-tenant", "client_id": "a-client"}


@cache
def make_pem(password: str | None = None) -> str:
    key = make_key()
    return Certified(key, make_certificate("an app", key)).pem(password)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: {"client_certificate": "HIDDEN"}, "the certificate can't be used"),
        (lambda: {"client_certificate": "-----BEGIN HIDDEN"}, "the certificate can't be used"),
        (lambda: {"client_certificate": make_pem("HIDDEN")}, "client_certificate_password"),
        (
            lambda: {
                "client_certificate": make_pem("HIDDEN"),
                "client_certificate_password": "another",
            },
            "the certificate can't be used",
        ),
        (lambda: {"client_certificate_path": "/no/app.pem"}, "'/no/app.pem' can't be read"),
        (lambda: {"client_certificate_path": "/"}, "'/' can't be read"),
        (
            lambda: {"client_certificate_password": "HIDDEN"},
            "these fields are not valid credentials",
        ),
        (
            lambda: {"client_certificate": make_pem(), "client_certificate_path": "/app.pem"},
            "these fields are not valid credentials",
        ),
        (
            lambda: {"client_certificate": make_pem(), "client_secret": "HIDDEN"},
            "these fields are not valid credentials",
        ),
    ],
)
def test_certificates_that_make_no_login_are_told(make: Callable[[], Fields], says: str) -> None:
    login = AzureBlobStorageCredentials(**PRINCIPAL, **make())
    with pytest.raises(CredentialsError, match=says) as caught:
        login.find_login().get_token()
    assert "HIDDEN" not in str(caught.value)
    assert not login.check().ok


@pytest.mark.parametrize(
    ("row", "change", "says"),
    [
        (by_client_secret, {"client_secret": "another"}, "AADSTS7000215"),
        (by_client_secret, {"client_id": "nobody"}, "AADSTS700016"),
        (by_client_secret, {"tenant_id": "nowhere"}, "Check tenant_id"),
        (by_identity, {"client_id": "nobody"}, "managed identity nobody"),
    ],
)
def test_who_gets_no_token_learns_who_was_refused(
    row: Callable[[Place], Fields], change: Fields, says: str, place: Place
) -> None:
    login = AzureBlobStorageCredentials(**{**row(place), **change})
    with pytest.raises(CredentialsError, match=says) as caught:
        login.find_login().get_token()
    for name in ("client_id", "tenant_id"):
        assert str(change.get(name, "")) in str(caught.value)
    assert "a-secret" not in str(caught.value)


def test_a_chain_that_finds_no_login_says_so(place: Place) -> None:
    login = AzureBlobStorageCredentials(**place.fields)
    with pytest.raises(
        CredentialsError, match=r"default chain: no credentials were found.*az login"
    ):
        login.find_login().get_token()


def test_a_chain_tells_which_of_its_logins_was_refused(place: Place) -> None:
    login = AzureBlobStorageCredentials(**by_environment(place))
    place.environment.setenv("AZURE_CLIENT_SECRET", "another")
    with pytest.raises(CredentialsError, match=r"EnvironmentCredential: .*AADSTS7000215") as caught:
        login.find_login().get_token()
    assert "another" not in str(caught.value)


def test_other_tools_get_the_token_of_an_identity(place: Place) -> None:
    login = AzureBlobStorageCredentials(**{**by_identity(place), "account_url": URL})
    lake = AzureBlobStorageContainer(container_name="raw", credentials=login)
    access = lake.access()
    token = place.entra.given[-1]
    assert access.reveal("bearer_token") == token
    assert token not in repr(access)
    assert access.refresh is not None
    assert access.refresh().reveal("bearer_token") == token
    assert lake.storage_options("delta") == {
        "azure_storage_account_name": "mydata",
        "azure_storage_token": token,
    }
    assert place.entra.asked[-1][1]["resource"] == "https://storage.azure.com"
    with pytest.raises(StorageError, match=r"adlfs .*AZURE_CLIENT_ID"):
        lake.storage_options("pandas")


def test_other_tools_get_the_token_of_a_certificate(place: Place) -> None:
    login = AzureBlobStorageCredentials(**{**by_certificate(place), "account_url": URL})
    lake = AzureBlobStorageContainer(container_name="raw", credentials=login)
    assert lake.access().reveal("bearer_token") == place.entra.given[-1]
    found: Any = lake.storage_options("polars")
    assert found["azure_storage_token"] == place.entra.given[-1]
    assert "azure_storage_client_id" not in found
    with pytest.raises(StorageError, match=r"adlfs does not support a certificate.*client_secret"):
        lake.storage_options("pandas")
