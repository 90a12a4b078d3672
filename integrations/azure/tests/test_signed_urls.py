"""Presigned URLs: by the account's key, and by a user delegation key where there is none."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from inspect import signature
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request, urlopen
from xml.etree import ElementTree as ET

import pytest
from azure.storage.blob import generate_blob_sas
from tests.services.azure import KEY
from tests.services.certificates import find_authority
from tests.services.web import Handler, WebServer, serve_web

from flowstone.errors import AccessDenied, StorageError
from flowstone_azure import AzureBlobStorageContainer, AzureBlobStorageCredentials
from flowstone_azure.logs import redact_line
from flowstone_testing import EmulatorGap

from .logins import (
    Fields,
    Place,
    by_certificate,
    by_client_secret,
    by_environment,
    by_identity,
)

if TYPE_CHECKING:
    from tests.services.azure import Azurite

URL = "https://mydata.blob.core.windows.net"
WEEK = 7 * 24 * 3600


GAP = EmulatorGap(
    "azurite",
    "3.35.0",
    "what it signs by a user delegation key lacks the two lines of the newest versions",
    HTTPError,
)
#: Only the newest SDK signs these lines.
IS_NEW = "request_headers" in signature(generate_blob_sas).parameters


@pytest.fixture
def store(place: Place, new_container: Callable[[Azurite], str]) -> AzureBlobStorageContainer:
    return AzureBlobStorageContainer(
        container_name=new_container(place.azurite),
        credentials=AzureBlobStorageCredentials(**by_identity(place)),
        base_folder="raw",
    )


@pytest.mark.parametrize("row", [by_client_secret, by_certificate, by_identity, by_environment])
def test_a_login_with_a_token_signs_by_a_key_of_azure_s(
    row: Callable[[Place], Fields], place: Place
) -> None:
    login = AzureBlobStorageCredentials(**row(place))
    lake = AzureBlobStorageContainer(container_name="lake", credentials=login)
    link = urlsplit(lake.presigned_url("a b+c.txt", WEEK, "PUT"))
    assert link.path.endswith("/lake/a%20b%2Bc.txt")
    found = {name: value for name, [value] in parse_qs(link.query).items()}
    who = place.entra.find_client_id(place.entra.given[-1])
    assert (found["skoid"], found["sktid"]) == (f"object-of-{who}", place.entra.find_tenant(who))
    assert (found["sp"], found["sr"], found["sks"]) == ("cw", "b", "b")
    begins, key_ends, ends = (datetime.fromisoformat(found[n]) for n in ("skt", "ske", "se"))
    assert ends <= key_ends <= begins + timedelta(seconds=WEEK)


@pytest.mark.xfail(IS_NEW, raises=GAP.raises, reason=str(GAP))
def test_what_a_token_signs_is_let_in(store: AzureBlobStorageContainer, place: Place) -> None:
    context = ssl.create_default_context(cafile=str(place.azurite.ca))
    headers = {"x-ms-blob-type": "BlockBlob"}
    link = store.presigned_url("a b+c.txt", 60, "PUT")
    with urlopen(Request(link, b"1", headers, method="PUT"), context=context) as answer:
        assert answer.status == 201
    with urlopen(store.presigned_url("a b+c.txt", 60), context=context) as answer:
        assert answer.read() == b"1"


def lake(**login: Any) -> AzureBlobStorageContainer:
    credentials = AzureBlobStorageCredentials(**{"account_url": URL, **login})
    return AzureBlobStorageContainer(container_name="lake", credentials=credentials)


def test_a_sas_signs_nothing() -> None:
    with pytest.raises(StorageError, match=r"needs an account key or a token.*Use credentials"):
        lake(sas_token="sv=1&sr=c&sig=2").presigned_url("a.csv")


@pytest.mark.parametrize("seconds", [0, -1, 10**10])
def test_a_presigned_url_lasts_a_while(seconds: int) -> None:
    with pytest.raises(StorageError, match="the account key of 'mydata' can't last"):
        lake(account_key=KEY).presigned_url("a.csv", seconds)


@pytest.mark.parametrize("seconds", [0, WEEK + 1])
def test_what_a_token_signs_lasts_a_week_at_most(seconds: int) -> None:
    with pytest.raises(StorageError, match=r"can't last .*Pass 1 to 604800, or use .*account_key"):
        lake(client_id="an-identity").presigned_url("a.csv", seconds)


class Delegating(Handler):
    """Gives user delegation keys, or refuses them, as the Blob service does.

    https://learn.microsoft.com/rest/api/storageservices/get-user-delegation-key
    """

    asked: ClassVar[list[tuple[str, str]]] = []
    is_allowed: ClassVar[bool] = True

    def do_POST(self) -> None:
        assert parse_qs(urlsplit(self.path).query) == {
            "restype": ["service"],
            "comp": ["userdelegationkey"],
        }
        assert self.headers["Authorization"].startswith("Bearer ")
        info = ET.fromstring(self.read_body())
        begins, ends = info.findtext("Start") or "", info.findtext("Expiry") or ""
        self.asked.append((begins, ends))
        if self.is_allowed:
            self.answer(200, make_key(begins, ends))
        else:
            code = "AuthorizationPermissionMismatch"
            words = "This request is not authorized to perform this operation using this"
            text = f"<Error><Code>{code}</Code><Message>{words} permission.</Message></Error>"
            self.answer(403, text, {"x-ms-error-code": code})

    def answer(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        usual = {"x-ms-request-id": "1", "Content-Type": "application/xml"}
        self.respond(status, text.encode(), {**usual, **(headers or {})})


def make_key(begins: str, ends: str) -> str:
    fields = {
        "SignedOid": "an-object",
        "SignedTid": "a-tenant",
        "SignedStart": begins,
        "SignedExpiry": ends,
        "SignedService": "b",
        "SignedVersion": "2024-08-04",
        "Value": "aGlkZGVuLWtleQ==",
    }
    inside = "".join(f"<{name}>{value}</{name}>" for name, value in fields.items())
    return f"<UserDelegationKey>{inside}</UserDelegationKey>"


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    Delegating.asked.clear()
    with serve_web(Delegating, find_authority().make_context()) as server:
        yield server


def log_in(account: WebServer, place: Place) -> AzureBlobStorageContainer:
    return lake(**{**by_identity(place), "account_url": f"{account.url}/mydata"})


def test_one_key_signs_many_urls(account: WebServer, place: Place) -> None:
    store = log_in(account, place)
    links = [store.presigned_url(f"{number}.csv", 60) for number in range(10)]
    assert len(Delegating.asked) == 1
    assert len(set(links)) == 10
    assert links[0].startswith(f"{account.url}/mydata/lake/0.csv?")
    store.presigned_url("a.csv", WEEK)
    store.presigned_url("a.csv", 3600)
    assert len(Delegating.asked) == 2
    assert "aGlkZGVuLWtleQ==" not in redact_line("the key is aGlkZGVuLWtleQ==")


def test_who_may_not_ask_for_a_key_learns_which_role_gives_it(
    account: WebServer, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Delegating, "is_allowed", False)
    with pytest.raises(AccessDenied) as caught:
        log_in(account, place).presigned_url("a.csv")
    told = str(caught.value)
    assert "managed identity identity-" in told
    assert "'Storage Blob Delegator' on the storage account" in told
