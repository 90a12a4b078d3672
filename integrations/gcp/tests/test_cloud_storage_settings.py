"""What each request carries of the fields of a `GcsBucket`.

The emulator ignores them, so a recorder before it shows what Cloud Storage would be told:

- https://cloud.google.com/storage/docs/encryption/customer-supplied-keys#request_headers: three
  headers for an object, and three more for the source of a rewrite
- https://cloud.google.com/storage/docs/using-requester-pays: ``userProject`` in each request
- https://cloud.google.com/storage/docs/json_api/v1/objects/insert and rewrite: ``kmsKeyName``,
  ``destinationKmsKeyName``, and ``storageClass`` in the object
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from tests.services.recorder import Recorded, Recorder, serve_recorder

from flowstone.blocks.object_stores.provider import Tool
from flowstone.errors import BlockInvalid, StorageError
from flowstone_gcp import GcpCredentials, GcsBucket, cloud_storage_upload_blob_from_string
from flowstone_gcp.transfers import MB

KEY, OTHER = os.urandom(32), os.urandom(32)
CUSTOMER, SOURCE = "x-goog-encryption-", "x-goog-copy-source-encryption-"
KMS = "projects/p/locations/europe-west1/keyRings/r/cryptoKeys/k"


@pytest.fixture
def recorder(emulated: str) -> Iterator[Recorder]:
    with serve_recorder(emulated) as found:
        yield found


@pytest.fixture
def recorded(recorder: Recorder, login: GcpCredentials, bucket_name: str) -> GcsBucket:
    """A bucket behind the recorder."""
    there = login.model_copy(update={"endpoint": recorder.url})
    return GcsBucket(bucket=bucket_name, gcp_credentials=there, bucket_folder=uuid4().hex)


def headers_for(key: bytes, prefix: str = CUSTOMER) -> dict[str, str]:
    return {
        f"{prefix}algorithm": "AES256",
        f"{prefix}key": base64.b64encode(key).decode(),
        f"{prefix}key-sha256": base64.b64encode(hashlib.sha256(key).digest()).decode(),
    }


def take(recorder: Recorder) -> list[Recorded]:
    """Return the requests about objects since the last call.

    The SDK asks by itself for the bucket, in a thread of its own, and goes on whatever it hears.
    """
    return [each for each in recorder.take() if re.search("/b/[^/]+/o(/|$)", each.path)]


def use(bucket: GcsBucket, tmp_path: Path) -> None:
    """Write and read in every way, in one part and in several."""
    large = tmp_path / "large"
    large.write_bytes(bytes(9 * MB))
    bucket.write_path("a", b"12345")
    bucket.write_path("a", b"54321", metadata={"team": "data"})
    bucket.write_path("b", b"1", if_none_match="*")
    bucket.upload_from_path(large, "large")
    assert bucket.read_path("a") == b"54321"
    assert bucket.read_range("a", 1, 2) == b"43"
    with bucket.open_read("large") as reader:
        reader.seek(8 * MB)
        assert len(reader.read()) == MB
    bucket.download_object_to_path("large", tmp_path / "down")
    assert bucket.object_info("a").size == 5
    bucket.copy_object("a", "copy")


def test_a_customers_key_is_in_each_request_about_content(
    recorded: GcsBucket, recorder: Recorder, tmp_path: Path
) -> None:
    bucket = recorded.model_copy(update={"encryption_key": base64.b64encode(KEY).decode()})
    use(bucket, tmp_path)
    requests = take(recorder)
    assert {each.method for each in requests} == {"GET", "POST", "PUT"}
    for each in requests:
        is_copy = "/rewriteTo/" in each.path
        assert each.find_headers(CUSTOMER) == headers_for(KEY), each
        assert each.find_headers(SOURCE) == (headers_for(KEY, SOURCE) if is_copy else {}), each


def test_a_copy_is_read_with_one_key_and_written_with_another(
    recorded: GcsBucket, recorder: Recorder
) -> None:
    one = recorded.model_copy(update={"encryption_key": KEY})
    other = recorded.model_copy(update={"encryption_key": OTHER})
    managed = recorded.model_copy(update={"kms_key": KMS, "storage_class": "NEARLINE"})
    one.write_path("a", b"1", content_type="text/csv", metadata={"team": "data"})
    take(recorder)
    one.copy_object("a", "b", to_bucket=other)
    head, copy = take(recorder)
    assert (head.find_headers(CUSTOMER), copy.find_headers(CUSTOMER)) == (
        headers_for(KEY),
        headers_for(OTHER),
    )
    assert copy.find_headers(SOURCE) == headers_for(KEY, SOURCE)
    one.copy_object("a", "c", to_bucket=managed)
    _, copy = take(recorder)
    assert (copy.find_headers(CUSTOMER), copy.find_headers(SOURCE)) == (
        {},
        headers_for(KEY, SOURCE),
    )
    assert copy.query["destinationKmsKeyName"] == KMS
    new = json.loads(copy.body)
    assert (new["storageClass"], new["contentType"]) == ("NEARLINE", "text/csv")
    assert new["metadata"] == {"team": "data"}


def test_who_pays_is_in_each_request(
    recorded: GcsBucket, recorder: Recorder, tmp_path: Path
) -> None:
    bucket = recorded.model_copy(update={"requester_pays": True})
    use(bucket, tmp_path)
    assert len(list(bucket.list_objects())) == 4
    assert len(list(bucket.list_objects(delimiter="/"))) == 4
    bucket.delete_object("a")
    assert bucket.delete_folder("") == 3
    requests = take(recorder)
    assert {each.method for each in requests} == {"GET", "POST", "PUT", "DELETE"}
    # An upload session's address is the service's, which knows who pays.
    for each in [each for each in requests if "upload_id" not in each.query]:
        assert each.query.get("userProject") == "example-project", each
    assert "userProject=example-project" in bucket.presigned_url("a")


def test_the_source_of_a_copy_may_be_what_costs(recorded: GcsBucket, recorder: Recorder) -> None:
    recorded.write_path("a", b"1")
    paying = recorded.model_copy(update={"requester_pays": True})
    take(recorder)
    paying.copy_object("a", "b", to_bucket=recorded)
    assert [each.query.get("userProject") for each in take(recorder)] == ["example-project"] * 2


def test_the_quota_project_pays_first(recorded: GcsBucket, recorder: Recorder) -> None:
    login = recorded.gcp_credentials.model_copy(update={"quota_project": "billing"})
    fields = {"requester_pays": True, "gcp_credentials": login}
    recorded.model_copy(update=fields).write_path("a", b"1")
    assert {each.query.get("userProject") for each in take(recorder)} == {"billing"}


def test_without_a_project_nobody_can_pay(emulated: str) -> None:
    login = GcpCredentials(anonymous=True, endpoint=emulated)
    bucket = GcsBucket(bucket="raw", gcp_credentials=login, requester_pays=True)
    for work in (lambda: bucket.read_path("a"), lambda: list(bucket.list_objects())):
        with pytest.raises(StorageError, match="quota_project"):
            work()


def test_class_and_key_are_those_of_new_objects(
    recorded: GcsBucket, recorder: Recorder, tmp_path: Path
) -> None:
    bucket = recorded.model_copy(update={"kms_key": KMS, "storage_class": "NEARLINE"})
    use(bucket, tmp_path)
    requests = take(recorder)
    uploads = [each for each in requests if each.method == "POST" and "/upload/" in each.path]
    assert {each.query["uploadType"] for each in uploads} == {"multipart", "resumable"}
    for each in uploads:
        assert each.query["kmsKeyName"] == KMS
        assert b'"storageClass": "NEARLINE"' in each.body
    for name in ("a", "b"):  # of an upload in parts and of a copy, the emulator forgets the class
        assert bucket.object_info(name).storage_class == "NEARLINE", name
    [copy] = [each for each in requests if "/rewriteTo/" in each.path]
    assert json.loads(copy.body)["storageClass"] == "NEARLINE"
    assert bucket.object_info("copy").metadata == {"team": "data"}


def test_a_tasks_own_key_comes_before_the_blocks(recorded: GcsBucket, recorder: Recorder) -> None:
    bucket = recorded.model_copy(update={"kms_key": KMS})
    cloud_storage_upload_blob_from_string.fn(b"1", bucket, "a", encryption_key=KEY)
    [upload] = take(recorder)
    assert upload.find_headers(CUSTOMER) == headers_for(KEY)
    assert "kmsKeyName" not in upload.query


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"kms_key": KMS, "encryption_key": KEY}, "kms_key and encryption_key"),
        ({"kms_key": "k"}, "cryptoKeys/KEY"),
        ({"encryption_key": KEY[:16]}, "32 bytes"),
        ({"tags": {"team": "data"}}, "have no tags: write them with metadata"),
    ],
)
def test_what_does_not_go_together_is_refused_at_once(
    fields: dict[str, object], words: str
) -> None:
    with pytest.raises(BlockInvalid, match=words):
        GcsBucket(bucket="raw", **fields)


def test_an_object_with_a_customers_key_has_no_url(recorded: GcsBucket) -> None:
    with pytest.raises(StorageError, match="encryption_key"):
        recorded.model_copy(update={"encryption_key": KEY}).presigned_url("a")


# -- for other tools -----------------------------------------------------------------------------


def test_gcsfs_gets_who_pays(recorded: GcsBucket) -> None:
    assert "requester_pays" not in (recorded.storage_options("pandas") or {})
    bucket = recorded.model_copy(update={"requester_pays": True})
    options = bucket.storage_options("pandas") or {}
    assert options["requester_pays"] == options["project"]
    tools: tuple[Tool, ...] = ("polars", "delta")
    for tool in tools:
        with pytest.raises(StorageError, match=f"{tool} can't say who pays"):
            bucket.storage_options(tool)


@pytest.mark.parametrize("tool", ["pandas", "polars", "delta"])
def test_no_tool_takes_a_customers_key(recorded: GcsBucket, tool: Tool) -> None:
    bucket = recorded.model_copy(update={"encryption_key": KEY})
    with pytest.raises(StorageError, match="no tool takes an encryption_key"):
        bucket.storage_options(tool)
