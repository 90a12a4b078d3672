"""Canaries: random secrets in every field are in nothing that leaves the process."""

from __future__ import annotations

import base64
import json
import logging
import os
import pickle
import traceback
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote
from uuid import uuid4

import pytest
from pydantic import SecretStr
from tests.services.azure import KEY
from tests.services.certificates import find_authority
from tests.services.recorder import serve_recorder

from flowstone import flow
from flowstone.context import current
from flowstone_azure import (
    AzureBlobStorageContainer,
    AzureBlobStorageCredentials,
    blob_storage_download,
    blob_storage_list,
    blob_storage_upload,
)
from flowstone_azure.logs import redact_line

if TYPE_CHECKING:
    from tests.services.azure import Azurite


def use(store: AzureBlobStorageContainer) -> list[str]:
    """Do everything with a container that may go wrong, and return all that it says."""

    @flow(log_prints=True)
    def everything(store: AzureBlobStorageContainer, parameter: object) -> None:
        print(store, parameter)
        for attempt in (
            lambda: blob_storage_upload(b"1", store, blob="a", overwrite=True),
            lambda: blob_storage_download(store, "nothing"),
            lambda: blob_storage_list(store),
            lambda: store.copy_object("a", "b"),
        ):
            try:
                attempt()
            except Exception as error:
                said.append("".join(traceback.format_exception(error)))
                said.append(repr(error.__dict__))

    said: list[str] = []
    everything(store, store.credentials)
    login = store.credentials
    return [
        *said,
        repr(login.check()),
        repr(login.find_login()),
        repr(login.find_login().values),
        repr(store),
        str(login),
        store.model_dump_json(),
    ]


def test_canaries_are_nowhere(
    emulated: Azurite,
    azurite_loose: Azurite,
    container_name: str,
    home: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    customer = base64.b64encode(os.urandom(32)).decode()
    key = base64.b64encode(f"{uuid4().hex}+/".encode()).decode()
    signature = base64.b64encode(uuid4().bytes).decode()
    certificate, password = uuid4().hex, uuid4().hex
    logins = [
        {"account_url": emulated.url, "account_key": key},
        {
            "connection_string": f"BlobEndpoint={emulated.url};AccountName=devstoreaccount1;"
            f"AccountKey={key}"
        },
        {
            "account_url": emulated.url,
            "sas_token": f"sv=2024-08-04&sr=c&se=2999-01-01&sig={quote(signature, safe='')}",
        },
        {
            "account_url": emulated.url,
            "tenant_id": "a-tenant",
            "client_id": "a-client",
            "client_certificate": f"-----BEGIN PRIVATE KEY-----\n{certificate}\n-----END",
            "client_certificate_password": password,
        },
    ]
    authority, shown = find_authority(), list[str]()
    options = {"retry_total": 0, "connection_verify": str(authority.ca)}
    with (
        serve_recorder(azurite_loose.url, authority.make_context()) as secured,
        caplog.at_level(logging.DEBUG),
    ):
        logins.append({"account_url": secured.url, "account_key": KEY})
        for number, fields in enumerate(logins):
            login = AzureBlobStorageCredentials(**fields, client_options=options)
            store = AzureBlobStorageContainer(container_name=container_name, credentials=login)
            if fields.get("account_url") == secured.url:
                store.encryption_key = SecretStr(customer)
            store.save(f"canary-{number}")
            shown += use(store)
            shown.append(pickle.dumps(store).decode("latin-1"))
        sent = [each.headers.get("x-ms-encryption-key") for each in secured.requests]
    assert customer in sent
    current.services().close()
    shown.append(caplog.text)
    shown += [path.read_bytes().decode("latin-1") for path in home.rglob("*") if path.is_file()]
    assert "urllib3" in caplog.text
    raw = repr(base64.b64decode(customer))[2:-1]
    for canary in (key, signature, certificate, password, customer, raw):
        for form in (canary, json.dumps(canary)[1:-1], quote(canary, safe="")):
            assert not [text for text in shown if form in text]


@pytest.mark.parametrize(
    "line",
    [
        'http://127.0.0.1:1 "GET /account/raw/a?sv=1&sig=HIDDEN%3D&se=2 HTTP/1.1" 200 None',
        "x-ms-copy-source: https://a.blob.core.windows.net/raw/a?SIG=HIDDEN",
        "grant_type=client_credentials&client_secret=HIDDEN&scope=x",
    ],
)
def test_signatures_never_seen_before_are_known_by_their_place(line: str) -> None:
    assert "HIDDEN" not in redact_line(line)
    assert len(redact_line(line)) > 20
