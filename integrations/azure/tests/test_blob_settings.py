"""What each request carries of the fields of an `AzureBlobStorageContainer`.

Azurite ignores keys and scopes, so a recorder before it shows what Azure would be told, by https,
which the SDK demands for a customer's key:

- https://learn.microsoft.com/azure/storage/blobs/encryption-customer-provided-keys: the headers,
  and that Get, Put Blob, Put Block, Put Block List and Get Blob Properties take them; copies don't
- https://learn.microsoft.com/rest/api/storageservices/put-blob, put-block, put-block-list:
  ``x-ms-encryption-scope``, ``x-ms-tags``, ``x-ms-access-tier``
- https://learn.microsoft.com/rest/api/storageservices/copy-blob: tags and tier, and no scope
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import polars as pl
import pytest
from pydantic import SecretStr
from tests.services.azure import KEY, Azurite
from tests.services.certificates import find_authority
from tests.services.recorder import Recorded, Recorder, serve_recorder

from flowstone.errors import BlockInvalid, StorageError
from flowstone_azure import AzureBlobStorageContainer, AzureBlobStorageCredentials

MINE, OTHER = os.urandom(32), os.urandom(32)
CUSTOMER = "x-ms-encryption-"
MB = 1024 * 1024


@pytest.fixture
def recorder(emulated: Azurite, azurite_loose: Azurite) -> Iterator[Recorder]:
    with serve_recorder(azurite_loose.url, find_authority().make_context()) as found:
        yield found


@pytest.fixture
def recorded(
    recorder: Recorder, azurite_loose: Azurite, new_container: Callable[[Azurite], str]
) -> AzureBlobStorageContainer:
    """A container behind the recorder."""
    login = AzureBlobStorageCredentials(
        account_url=recorder.url,
        account_key=KEY,
        client_options={"connection_verify": str(find_authority().ca)},
    )
    return AzureBlobStorageContainer(
        container_name=new_container(azurite_loose), credentials=login, base_folder=uuid4().hex
    )


def headers_for(key: bytes) -> dict[str, str]:
    return {
        f"{CUSTOMER}algorithm": "AES256",
        f"{CUSTOMER}key": base64.b64encode(key).decode(),
        f"{CUSTOMER}key-sha256": base64.b64encode(hashlib.sha256(key).digest()).decode(),
    }


def take(recorder: Recorder) -> list[Recorded]:
    """Return the requests about blobs since the last call."""
    return [each for each in recorder.take() if each.path.count("/") > 2]


def use(container: AzureBlobStorageContainer, tmp_path: Path) -> None:
    """Write and read in every way, in one request and in several."""
    large = tmp_path / "large"
    large.write_bytes(bytes(9 * MB))
    container.write_path("a", b"12345", metadata={"team": "data"})
    container.write_path("b", b"1", if_none_match="*")
    container.upload_from_path(large, "large")
    container.upload_from_path(large, "new", if_none_match="*")
    assert container.read_path("a") == b"12345"
    assert container.read_range("a", 1, 2) == b"23"
    with container.open_read("large") as reader:
        reader.seek(8 * MB)
        assert len(reader.read()) == MB
    container.download_object_to_path("large", tmp_path / "down")
    assert container.object_info("a").size == 5
    container.copy_object("a", "copy")


def test_a_customers_key_is_in_each_request_about_content(
    recorded: AzureBlobStorageContainer, recorder: Recorder, tmp_path: Path
) -> None:
    key = base64.b64encode(MINE).decode()
    container = recorded.model_copy(update={"encryption_key": key})
    use(container, tmp_path)
    requests = take(recorder)
    kinds = {(each.method, each.query.get("comp", "")) for each in requests}
    assert kinds == {("GET", ""), ("HEAD", ""), ("PUT", ""), ("PUT", "block"), ("PUT", "blocklist")}
    for each in requests:
        assert each.find_headers(CUSTOMER) == headers_for(MINE), each
        assert "x-ms-copy-source" not in each.headers, each
    assert container.object_info("copy").metadata == {"team": "data"}


def test_a_copy_is_read_with_one_key_and_written_with_another(
    recorded: AzureBlobStorageContainer, recorder: Recorder
) -> None:
    one = recorded.model_copy(update={"encryption_key": MINE})
    other = recorded.model_copy(update={"encryption_key": OTHER})
    scoped = recorded.model_copy(update={"encryption_scope": "mine"})
    one.write_path("a", b"1")
    take(recorder)
    one.copy_object("a", "b", to_bucket=other)
    *reads, write = take(recorder)
    assert [each.find_headers(CUSTOMER) for each in reads] == [headers_for(MINE)] * len(reads)
    assert (write.method, write.find_headers(CUSTOMER)) == ("PUT", headers_for(OTHER))
    one.copy_object("a", "c", to_bucket=scoped)
    *_, write = take(recorder)
    assert write.find_headers(CUSTOMER) == {f"{CUSTOMER}scope": "mine"}
    one.copy_object("a", "d", to_bucket=recorded)
    *_, write = take(recorder)
    assert (write.method, write.find_headers(CUSTOMER)) == ("PUT", {})
    assert recorded.read_path("d") == b"1"


def test_scope_class_and_tags_are_those_of_new_objects(
    recorded: AzureBlobStorageContainer, recorder: Recorder, tmp_path: Path
) -> None:
    fields = {"encryption_scope": "mine", "storage_class": "cool", "tags": {"team": "data +"}}
    container = recorded.model_copy(update=fields)
    use(container, tmp_path)
    for each in take(recorder):
        if each.method != "PUT":
            assert not each.find_headers(CUSTOMER)
            continue
        assert each.find_headers(CUSTOMER) == {f"{CUSTOMER}scope": "mine"}, each
        if each.query.get("comp") != "block":
            assert each.headers["x-ms-access-tier"] == "Cool"
            assert each.headers["x-ms-tags"] == "team=data%20%2B"
    for name in ("a", "b", "large", "new", "copy"):
        assert container.object_info(name).storage_class == "Cool", name
        key = f"{recorded.base_folder}/{name}"
        blob = recorded.credentials.get_blob_client(recorded.container_name, key)
        assert blob.get_blob_tags() == {"team": "data +"}, name


def test_a_copy_by_the_service_has_class_and_tags(
    recorded: AzureBlobStorageContainer, recorder: Recorder
) -> None:
    recorded.write_path("a", b"1", metadata={"team": "data"})
    fields = {"storage_class": "Cool", "tags": {"team": "data"}}
    recorded.copy_object("a", "b", to_bucket=recorded.model_copy(update=fields))
    copy = take(recorder)[-1]
    assert copy.headers["x-ms-copy-source"].endswith("/a")
    assert copy.headers["x-ms-tags"] == "team=data"
    assert copy.headers["x-ms-access-tier"] == "Cool"
    assert recorded.object_info("b").metadata == {"team": "data"}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"encryption_scope": "s", "encryption_key": MINE}, "encryption_scope and encryption_key"),
        ({"storage_class": "Tepid"}, "one of Hot, Cool, Cold, Archive"),
        ({"encryption_key": MINE[:16]}, "32 bytes"),
        ({"tags": {str(number): "" for number in range(11)}}, "at most 10 tags"),
        ({"kms_key": "k"}, "encryption_scope"),
        ({"requester_pays": True}, "the storage account pays"),
    ],
)
def test_what_does_not_go_together_is_refused_at_once(
    fields: dict[str, object], words: str
) -> None:
    with pytest.raises(BlockInvalid, match=words):
        AzureBlobStorageContainer(container_name="raw", **fields)


def test_a_key_goes_nowhere_without_tls(emulated: Azurite, container_name: str) -> None:
    with serve_recorder(emulated.url) as recorder:
        login = AzureBlobStorageCredentials(
            connection_string=replace(emulated, url=recorder.url).connection_string
        )
        container = AzureBlobStorageContainer(container_name=container_name, credentials=login)
        container.write_path("a", b"1")
        assert take(recorder), "without a key, it goes there"
        container.encryption_key = SecretStr(base64.b64encode(MINE).decode())
        for work in (lambda: container.read_path("a"), lambda: container.write_path("a", b"1")):
            with pytest.raises(StorageError, match="over https only"):
                work()
        assert not recorder.take()


def test_an_object_with_a_customers_key_has_no_url(recorded: AzureBlobStorageContainer) -> None:
    with pytest.raises(StorageError, match="encryption_key"):
        recorded.model_copy(update={"encryption_key": MINE}).presigned_url("a")


def test_polars_sends_a_customers_key(
    recorded: AzureBlobStorageContainer, recorder: Recorder
) -> None:
    store = recorded.model_copy(update={"encryption_key": MINE})
    options = store.storage_options("polars") or {}
    options["allow_invalid_certificates"] = "true"  # it knows no other authorities
    frame = pl.DataFrame({"n": [1, 2]})
    frame.write_parquet(store.uri("a.parquet"), storage_options=options)
    found = pl.read_parquet(store.uri("a.parquet"), storage_options=options)
    assert found["n"].to_list() == [1, 2]
    requests = take(recorder)
    assert {"GET", "PUT"} <= {each.method for each in requests}
    for each in requests:
        assert each.find_headers(CUSTOMER) == headers_for(MINE), each
