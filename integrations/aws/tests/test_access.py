"""Access to a bucket for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic import SecretStr

from flowstone.blocks import ObjectStore
from flowstone.errors import PathInvalid
from flowstone_aws import AwsClientParameters, AwsCredentials, S3Bucket

SECRET = "canary-of-a-secret-access-key"
TOKEN = "canary-of-a-session-token"


@pytest.fixture
def keys() -> AwsCredentials:
    return AwsCredentials(
        aws_access_key_id="AKIA1",
        aws_secret_access_key=SecretStr(SECRET),
        aws_session_token=SecretStr(TOKEN),
        region_name="eu-west-1",
        aws_client_parameters=AwsClientParameters(endpoint_url="http://localhost:9000"),
    )


@pytest.fixture
def lake(keys: AwsCredentials) -> S3Bucket:
    return S3Bucket(bucket_name="lake", bucket_folder="/raw/", credentials=keys)


def test_the_access_has_all_and_shows_no_secret(lake: S3Bucket) -> None:
    access = lake.access()
    assert (access.scheme, access.bucket, access.folder) == ("s3", "lake", "raw")
    assert (access.endpoint, access.options) == ("http://localhost:9000", {"region": "eu-west-1"})
    assert access.reveal("access_key_id") == "AKIA1"
    assert access.reveal("secret_access_key") == SECRET
    assert access.reveal("session_token") == TOKEN
    assert access.reveal("nothing") is None
    shown = repr(access) + str(access) + lake.uri("a.csv")
    assert SECRET not in shown
    assert TOKEN not in shown
    assert access.refresh is not None
    assert access.refresh() == access


def test_an_address_leads_to_the_bucket_and_its_folder(
    lake: S3Bucket, keys: AwsCredentials
) -> None:
    assert lake.uri("a/b.csv") == "s3://lake/raw/a/b.csv"
    assert lake.uri() == "s3://lake/raw"
    again = ObjectStore.from_uri(lake.uri(), credentials=keys)
    assert isinstance(again, S3Bucket)
    assert again.uri("a/b.csv") == lake.uri("a/b.csv")
    plain = ObjectStore.from_uri("s3://lake")
    assert isinstance(plain, S3Bucket)
    assert (plain.bucket_name, plain.bucket_folder, plain.uri()) == ("lake", "", "s3://lake")
    with pytest.raises(PathInvalid, match="names no bucket"):
        ObjectStore.from_uri("s3:///a.csv")


def test_options_are_in_the_words_of_each_tool(lake: S3Bucket) -> None:
    assert lake.storage_options("pandas") == {
        "key": "AKIA1",
        "secret": SECRET,
        "token": TOKEN,
        "client_kwargs": {"endpoint_url": "http://localhost:9000", "region_name": "eu-west-1"},
    }
    expected = {
        "aws_access_key_id": "AKIA1",
        "aws_secret_access_key": SECRET,
        "aws_session_token": TOKEN,
        "aws_region": "eu-west-1",
        "aws_endpoint_url": "http://localhost:9000",
        "aws_allow_http": "true",
    }
    assert lake.storage_options("polars") == lake.storage_options("delta") == expected


def test_who_has_no_login_is_anonymous() -> None:
    lake = S3Bucket(bucket_name="lake", credentials=AwsCredentials(region_name="eu-west-1"))
    assert lake.access().secrets == {}
    assert (lake.storage_options("pandas") or {})["anon"] is True
    assert lake.storage_options("polars") == {
        "aws_region": "eu-west-1",
        "aws_skip_signature": "true",
    }


def test_tools_read_and_write_the_bucket_by_themselves(bucket: S3Bucket, tmp_path: Path) -> None:
    bucket.write_path("a.csv", b"n\n1\n2\n")
    options: Any = bucket.storage_options("polars")
    frame = pl.read_csv(bucket.uri("a.csv"), storage_options=options)
    assert frame["n"].to_list() == [1, 2]
    frame.write_parquet(bucket.uri("b.parquet"), storage_options=options)
    with bucket.filesystem().open("b.parquet") as file:
        assert pl.read_parquet(file)["n"].to_list() == [1, 2]
