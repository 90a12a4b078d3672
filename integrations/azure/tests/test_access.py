"""What other tools need to reach a container by themselves."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.services.azure import KEY

from flowstone.blocks import ObjectStore
from flowstone.errors import PathInvalid, StorageError
from flowstone_azure import AzureBlobStorageContainer, AzureBlobStorageCredentials

MINE = os.urandom(32)
URL = "https://mydata.blob.core.windows.net"
NAME = {"azure_storage_account_name": "mydata"}
PRINCIPAL = {"tenant_id": "a-tenant", "client_id": "a-client", "client_secret": "a-secret"}


def lake(**login: Any) -> AzureBlobStorageContainer:
    credentials = AzureBlobStorageCredentials(account_url=URL, **login)
    return AzureBlobStorageContainer(
        container_name="lake", base_folder="/raw/", credentials=credentials
    )


def test_the_access_has_all_and_shows_no_secret() -> None:
    store = lake(account_key=KEY)
    access = store.access()
    assert (access.scheme, access.bucket, access.folder) == ("az", "lake", "raw")
    assert (access.endpoint, access.options) == (URL, {"account_name": "mydata"})
    assert access.reveal("account_key") == KEY
    assert access.refresh is None
    assert KEY not in repr(access) + str(access) + store.uri("a.csv")


def test_addresses_lead_to_the_container_and_its_folder() -> None:
    store = lake(account_key=KEY)
    assert (store.uri("a/b.csv"), store.uri()) == ("az://lake/raw/a/b.csv", "az://lake/raw")
    for address in (
        "abfss://lake@mydata.dfs.core.windows.net/raw",
        "az://lake/raw",
        f"{URL}/lake/raw",
    ):
        provider = store.make_provider()
        assert provider.make_key(f"{address}/a.csv") == "raw/a.csv"
    found = ObjectStore.from_uri("abfss://lake@mydata.dfs.core.windows.net/raw")
    assert isinstance(found, AzureBlobStorageContainer)
    assert (found.container_name, found.base_folder) == ("lake", "raw")
    assert found.credentials.account_url == URL
    assert ObjectStore.from_uri("az://lake").uri() == "az://lake"
    with pytest.raises(PathInvalid, match="names no container"):
        ObjectStore.from_uri("az:///a.csv")


@pytest.mark.parametrize(
    ("login", "adlfs", "rust"),
    [
        (
            {"account_key": "a2V5"},
            {"connection_string": f"AccountName=mydata;AccountKey=a2V5;BlobEndpoint={URL};"},
            {"azure_storage_account_key": "a2V5"},
        ),
        (
            {"sas_token": "?sv=1&sig=2"},
            {
                "account_name": "mydata",
                "connection_string": f"BlobEndpoint={URL};SharedAccessSignature=sv=1&sig=2",
            },
            {"azure_storage_sas_key": "sv=1&sig=2"},
        ),
        (
            PRINCIPAL,
            {"account_name": "mydata", **PRINCIPAL},
            {f"azure_storage_{name}": value for name, value in PRINCIPAL.items()},
        ),
    ],
)
def test_options_are_in_the_words_of_each_tool(
    login: dict[str, str], adlfs: dict[str, str], rust: dict[str, str]
) -> None:
    store = lake(**login)
    assert store.storage_options("pandas") == adlfs
    assert store.storage_options("polars") == store.storage_options("delta") == {**NAME, **rust}


def test_the_chain_is_adlfs_s_own() -> None:
    assert lake().storage_options("pandas") == {"account_name": "mydata", "anon": False}


def test_tools_read_and_write_the_container_by_themselves(
    container: AzureBlobStorageContainer, tmp_path: Path
) -> None:
    container.write_path("a.csv", b"n\n1\n2\n")
    options: Any = container.storage_options("polars")
    frame = pl.read_csv(container.uri("a.csv"), storage_options=options)
    assert frame["n"].to_list() == [1, 2]
    frame.write_parquet(container.uri("b.parquet"), storage_options=options)
    with container.filesystem().open("b.parquet") as file:
        assert pl.read_parquet(file)["n"].to_list() == [1, 2]


def test_a_customers_key_goes_to_polars_and_not_to_adlfs() -> None:
    store = lake(account_key=KEY).model_copy(update={"encryption_key": MINE})
    expected = base64.b64encode(MINE).decode()
    for options in (store.storage_options("polars"), store.storage_options("delta")):
        assert options is not None
        assert options["azure_storage_encryption_key"] == expected
    with pytest.raises(StorageError, match="adlfs does not support an encryption_key"):
        store.storage_options("pandas")
