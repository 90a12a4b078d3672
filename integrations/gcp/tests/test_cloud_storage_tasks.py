"""What the tasks do beyond the standard tests: names, options, measures."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

import pytest
from pydantic import SecretStr
from tests.services.tokens import Tokens

from flowstone import flow
from flowstone.context.current import use_services
from flowstone.context.external_work import sum_measures
from flowstone.errors import CredentialsError, ObjectMissing, StorageError
from flowstone.records.runs import RunQuery
from flowstone.secrets.resolver import MOMENT, Resolver
from flowstone.testing.memory import memory_services
from flowstone_gcp import (
    GcpCredentials,
    GcsBucket,
    cloud_storage_copy_blob,
    cloud_storage_create_bucket,
    cloud_storage_download_blob_as_bytes,
    cloud_storage_download_blob_to_file,
    cloud_storage_upload_blob_from_file,
    cloud_storage_upload_blob_from_string,
)
from flowstone_testing.conformance.clock import SteppedClock

if TYPE_CHECKING:
    from flowstone.ports import Clock

up, down = cloud_storage_upload_blob_from_string.fn, cloud_storage_download_blob_as_bytes.fn


def test_a_bucket_by_name_takes_whole_names(bucket: GcsBucket, login: GcpCredentials) -> None:
    assert up("tëxt", bucket, "a") == "a"
    whole = f"{bucket.basepath}/a"
    assert down(bucket.bucket, whole, login) == "tëxt".encode()
    assert down(bucket.bucket, f"gs://{bucket.bucket}/{whole}", login) == "tëxt".encode()
    cloud_storage_copy_blob.fn(bucket.bucket, bucket, whole, login, "b")
    assert bucket.read_path("b") == "tëxt".encode()


def test_options_of_the_sdk_are_passed_on(bucket: GcsBucket) -> None:
    up(b"n\n1\n", bucket, "a", content_type="text/x-numbers", chunk_size=1 << 18)
    [blob] = bucket.list_blobs()
    assert blob.content_type == "text/x-numbers"
    assert down(bucket, "a", chunk_size=1 << 18, timeout=(3, 5)) == b"n\n1\n"
    assert down(bucket, "a", start=2, end=2) == b"1"
    with pytest.raises(StorageError, match="condition"):
        up(b"2", bucket, "a", if_generation_match=0)
    assert bucket.read_path("a") == b"n\n1\n"
    with pytest.raises(StorageError, match="262144"):
        up(b"2", bucket, "a", chunk_size=1000)


@pytest.mark.parametrize("secret", ["k" * 32, b"k" * 32, SecretStr("k" * 32)])
def test_a_key_of_the_customer_goes_along(bucket: GcsBucket, secret: Any) -> None:
    up(b"1", bucket, "a", encryption_key=secret)
    assert down(bucket, "a", encryption_key=secret) == b"1"


def test_files_go_up_from_where_they_stand_and_come_down_whole(
    bucket: GcsBucket, tmp_path: Path
) -> None:
    file = BytesIO(b"header|body")
    file.seek(7)
    assert cloud_storage_upload_blob_from_file.fn(file, bucket, "in/a.txt") == "in/a.txt"
    assert cloud_storage_download_blob_to_file.fn(bucket, "in/a.txt", tmp_path) == str(
        tmp_path / "a.txt"
    )
    assert (tmp_path / "a.txt").read_bytes() == b"body"
    with pytest.raises(ObjectMissing):
        cloud_storage_download_blob_to_file.fn(bucket, "nothing", tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_bytes() == b"body"
    with pytest.raises(StorageError, match="no-such-file"):
        cloud_storage_upload_blob_from_file.fn(tmp_path / "no-such-file", bucket, "b")


def test_a_run_says_how_much_went(bucket: GcsBucket, tmp_path: Path) -> None:
    @flow
    def move() -> None:
        cloud_storage_upload_blob_from_string("12345", bucket, "a")
        cloud_storage_download_blob_as_bytes(bucket, "a")

    with use_services(memory_services(tmp_path)) as services, closing(services):
        move()
        [root] = services.runs.runs(RunQuery(listed=True))
        found = sum_measures(root.id)
    assert found == {
        "bytes_written": (5, "bytes"),
        "objects_written": (1, "objects"),
        "bytes_read": (5, "bytes"),
        "objects_read": (1, "objects"),
    }


def test_a_task_is_repeated_with_the_new_key(
    key: dict[str, str],
    refusing: Tokens,
    emulated: str,
    bucket: GcsBucket,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bucket.write_path("a", b"1")
    old = json.dumps({**key, "token_uri": f"{refusing.url}/token"})
    login = GcpCredentials(service_account_info="env:GCP_KEY", endpoint=emulated)
    mine = bucket.model_copy(update={"gcp_credentials": login})
    whole = f"{bucket.basepath}/b"
    tasks: list[Callable[[], object]] = [
        lambda: up(b"2", mine, "a"),
        lambda: down(mine, "a"),
        lambda: cloud_storage_download_blob_to_file.fn(mine, "a", tmp_path / "down"),
        lambda: cloud_storage_upload_blob_from_file.fn(BytesIO(b"3"), mine, "a"),
        lambda: cloud_storage_copy_blob.fn(mine, mine, "a", dest_blob="b"),
        lambda: cloud_storage_create_bucket.fn(f"test-{uuid4().hex}", login),
        lambda: mine.list_blobs(),
    ]
    clock = SteppedClock()
    ticking = cast("Clock", clock)
    with closing(memory_services()) as services:
        for task in tasks:
            fresh = replace(services, clock=ticking, references=Resolver(ticking, 3600))
            with use_services(fresh):
                monkeypatch.setenv("GCP_KEY", old)
                with pytest.raises(CredentialsError):
                    mine.read_path("a")
                clock.now += MOMENT + 1
                monkeypatch.setenv("GCP_KEY", json.dumps(key))
                task()
    assert bucket.read_path("a") == b"3"
    assert down(bucket.bucket, whole, bucket.gcp_credentials) == b"3"
