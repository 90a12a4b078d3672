"""What each request carries of the fields of an `S3Bucket`.

Moto ignores a customer's key and who pays, so a recorder before it shows what S3 would be told:

- https://docs.aws.amazon.com/AmazonS3/latest/userguide/specifying-s3-c-encryption.html: which
  requests take a customer's key, and its three headers; ``x-amz-copy-source-…`` for the source
- https://docs.aws.amazon.com/AmazonS3/latest/userguide/ObjectsinRequesterPaysBuckets.html: each
  request has the header ``x-amz-request-payer``
- https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html: tags, class, KMS
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import polars as pl
import pytest
from tests.services.recorder import Recorded, Recorder, serve_recorder
from tests.services.web import Response

from flowstone.errors import AccessDenied, BlockInvalid, StorageError
from flowstone_aws import AwsClientParameters, AwsCredentials, S3Bucket, s3_copy, s3_list_objects
from flowstone_aws import transfers as parts

KEY, OTHER = os.urandom(32), os.urandom(32)
CUSTOMER = "x-amz-server-side-encryption-customer-"
SOURCE = "x-amz-copy-source-server-side-encryption-customer-"


@pytest.fixture
def recorder(emulated: str) -> Iterator[Recorder]:
    with serve_recorder(emulated) as found:
        yield found


@pytest.fixture
def recorded(recorder: Recorder, login: AwsCredentials, bucket_name: str) -> S3Bucket:
    """A bucket behind the recorder."""
    there = login.model_copy(
        update={"aws_client_parameters": AwsClientParameters(endpoint_url=recorder.url)}
    )
    return S3Bucket(bucket_name=bucket_name, credentials=there, bucket_folder=uuid4().hex)


def headers_for(key: bytes, prefix: str = CUSTOMER) -> dict[str, str]:
    digest = hashlib.md5(key, usedforsecurity=False).digest()
    return {
        f"{prefix}algorithm": "AES256",
        f"{prefix}key": base64.b64encode(key).decode(),
        f"{prefix}key-md5": base64.b64encode(digest).decode(),
    }


def use(bucket: S3Bucket, tmp_path: Path) -> None:
    """Write and read in every way, in one part and in several."""
    large = tmp_path / "large"
    large.write_bytes(bytes(9 * parts.MB))
    bucket.write_path("a", b"12345")
    bucket.write_path("b", b"1", if_none_match="*", metadata={"team": "data"})
    bucket.upload_from_path(large, "large")
    bucket.upload_from_path(large, "new", if_none_match="*")
    with large.open("rb") as file:
        file.seek(1)
        bucket.upload_from_file_object(file, "shifted")
    assert bucket.read_path("a") == b"12345"
    assert bucket.read_range("a", 1, 2) == b"23"
    with bucket.open_read("large") as reader:
        reader.seek(8 * parts.MB)
        assert len(reader.read()) == parts.MB
    bucket.download_object_to_path("large", tmp_path / "down")
    assert bucket.object_info("a").size == 5
    bucket.copy_object("a", "copy")


def copy_in_parts(bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(parts, "COPY_BYTES", 6 * parts.MB)
        patch.setattr(parts, "COPY_PART_BYTES", 5 * parts.MB)
        bucket.copy_object("large", "large-copy")


def test_a_customers_key_is_in_each_request_about_content(
    recorded: S3Bucket, recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = recorded.model_copy(update={"encryption_key": base64.b64encode(KEY).decode()})
    use(bucket, tmp_path)
    copy_in_parts(bucket, monkeypatch)
    requests = [each for each in recorder.take() if "/" in each.path.strip("/")]
    kinds = {f"{each.method} {'&'.join({'uploads', 'uploadId'} & set(each.query))}".strip()
             for each in requests}  # fmt: skip
    uploads = {"POST uploads", "POST uploadId", "PUT uploadId"}
    assert kinds == {"GET", "HEAD", "PUT"} | uploads
    for each in requests:
        if "tagging" in each.query:  # tags are not encrypted
            continue
        assert each.find_headers(CUSTOMER) == headers_for(KEY), each
        is_copy = "x-amz-copy-source" in each.headers
        assert each.find_headers(SOURCE) == (headers_for(KEY, SOURCE) if is_copy else {}), each


def test_a_copy_is_read_with_one_key_and_written_with_another(
    recorded: S3Bucket, recorder: Recorder
) -> None:
    plain = recorded.model_copy(update={"tags": {"a": "b c"}, "storage_class": "STANDARD_IA"})
    one = recorded.model_copy(update={"encryption_key": KEY})
    other = recorded.model_copy(update={"encryption_key": OTHER})
    one.write_path("a", b"1")
    recorder.take()
    one.copy_object("a", "b", to_bucket=other)
    head, copy = recorder.take()
    assert (head.find_headers(CUSTOMER), copy.find_headers(CUSTOMER)) == (
        headers_for(KEY),
        headers_for(OTHER),
    )
    assert copy.find_headers(SOURCE) == headers_for(KEY, SOURCE)
    one.copy_object("a", "c", to_bucket=plain)
    _, copy = recorder.take()
    assert (copy.find_headers(CUSTOMER), copy.find_headers(SOURCE)) == (
        {},
        headers_for(KEY, SOURCE),
    )
    assert copy.headers["x-amz-storage-class"] == "STANDARD_IA"
    assert copy.headers["x-amz-tagging-directive"] == "REPLACE"
    s3_copy.fn("a", "d", one, None, other, MetadataDirective="COPY")
    [copy] = recorder.take()
    assert copy.find_headers(CUSTOMER) == headers_for(OTHER)
    assert copy.headers["x-amz-metadata-directive"] == "COPY"
    client = recorded.credentials.client("s3")
    folder = recorded.basepath
    found = client.get_object_tagging(Bucket=recorded.bucket_name, Key=f"{folder}/c")
    assert found["TagSet"] == [{"Key": "a", "Value": "b c"}]


def test_who_pays_is_in_each_request(
    recorded: S3Bucket, recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = recorded.model_copy(update={"requester_pays": True})
    use(bucket, tmp_path)
    copy_in_parts(bucket, monkeypatch)
    assert len(list(bucket.list_objects())) == 7
    assert len(list(bucket.list_objects(delimiter="/"))) == 7
    assert len(s3_list_objects.fn(bucket)) == 7
    list(bucket.versions("a"))
    bucket.delete_object("a")
    assert bucket.delete_folder("") == 6
    requests = recorder.take()
    assert {each.method for each in requests} == {"GET", "HEAD", "PUT", "POST", "DELETE"}
    for each in requests:
        assert each.headers.get("x-amz-request-payer") == "requester", each
    url = bucket.presigned_url("a")
    assert "x-amz-request-payer" in url


def test_class_key_and_tags_are_those_of_new_objects(
    recorded: S3Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = "arn:aws:kms:us-east-1:123456789012:key/1234abcd"
    fields = {"storage_class": "STANDARD_IA", "kms_key": arn, "tags": {"team": "data + more"}}
    bucket = recorded.model_copy(update=fields)
    use(bucket, tmp_path)
    copy_in_parts(bucket, monkeypatch)
    client = recorded.credentials.client("s3")
    names = ["a", "b", "large", "new", "shifted", "copy", "large-copy"]
    for name in names:
        key = f"{recorded.basepath}/{name}"
        found = client.head_object(Bucket=recorded.bucket_name, Key=key)
        assert (found["StorageClass"], found["SSEKMSKeyId"]) == ("STANDARD_IA", arn), name
        assert found["ServerSideEncryption"] == "aws:kms"
        tags = client.get_object_tagging(Bucket=recorded.bucket_name, Key=key)["TagSet"]
        assert tags == [{"Key": "team", "Value": "data + more"}], name
        assert bucket.object_info(name).storage_class == "STANDARD_IA"


def test_other_kinds_of_kms_encryption_go_with_a_key(
    recorded: S3Bucket, recorder: Recorder
) -> None:
    dual = {"ServerSideEncryption": "aws:kms:dsse"}
    bucket = recorded.model_copy(update={"kms_key": "alias/mine", "upload_options": dual})
    bucket.write_path("a", b"1")
    headers = recorder.take()[-1].headers
    assert headers["x-amz-server-side-encryption"] == "aws:kms:dsse"
    assert headers["x-amz-server-side-encryption-aws-kms-key-id"] == "alias/mine"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"kms_key": "a", "encryption_key": KEY}, "kms_key and encryption_key"),
        ({"kms_key": "a", "upload_options": {"SSEKMSKeyId": "b"}}, "kms_key and 'SSEKMSKeyId'"),
        ({"kms_key": "a", "upload_options": {"ServerSideEncryption": "AES256"}}, "AES256"),
        (
            {"encryption_key": KEY, "upload_options": {"ServerSideEncryption": "AES256"}},
            "encryption_key and 'ServerSideEncryption'",
        ),
        ({"storage_class": "A", "upload_options": {"StorageClass": "B"}}, "storage_class and"),
        ({"tags": {"a": "b"}, "upload_options": {"Tagging": "c=d"}}, "tags and 'Tagging'"),
        (
            {"requester_pays": True, "upload_options": {"RequestPayer": "requester"}},
            "requester_pays and",
        ),
        ({"upload_options": {"SSECustomerKey": "x"}}, "use the field encryption_key"),
        ({"encryption_key": KEY[:16]}, "32 bytes"),
        ({"encryption_key": "not a key"}, "32 bytes"),
        ({"tags": {str(number): "" for number in range(11)}}, "at most 10 tags"),
        ({"tags": {"": "x"}}, "1 to 128"),
    ],
)
def test_what_does_not_go_together_is_refused_at_once(
    fields: dict[str, object], words: str
) -> None:
    with pytest.raises(BlockInvalid, match=words):
        S3Bucket(bucket_name="raw", **fields)


def test_a_reference_may_lead_to_the_key(
    recorded: S3Bucket, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = recorded.model_copy(update={"encryption_key": "env:CUSTOMER_KEY"})
    monkeypatch.setenv("CUSTOMER_KEY", base64.b64encode(KEY).decode())
    bucket.write_path("a", b"1")
    assert recorder.take()[-1].find_headers(CUSTOMER) == headers_for(KEY)


def test_a_reference_that_leads_to_no_key_is_refused(
    recorded: S3Bucket, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_KEY", "canary-that-is-no-key")
    bucket = recorded.model_copy(update={"encryption_key": "env:NO_KEY"})
    with pytest.raises(StorageError, match="openssl rand") as caught:
        bucket.read_path("a")
    assert "canary" not in str(caught.value)
    assert not recorder.take()


def test_an_object_with_a_customers_key_has_no_url(recorded: S3Bucket) -> None:
    with pytest.raises(StorageError, match="encryption_key"):
        recorded.model_copy(update={"encryption_key": KEY}).presigned_url("a")


# -- for other tools -----------------------------------------------------------------------------


def test_polars_sends_a_customers_key_and_who_pays(recorded: S3Bucket, recorder: Recorder) -> None:
    bucket = recorded.model_copy(update={"encryption_key": KEY, "requester_pays": True})
    use_polars(bucket)
    requests = recorder.take()
    assert {"GET", "PUT"} <= {each.method for each in requests}
    for each in requests:
        assert each.find_headers(CUSTOMER) == headers_for(KEY), each
        assert each.headers["x-amz-request-payer"] == "requester", each


def test_polars_sends_a_key_of_kms(recorded: S3Bucket, recorder: Recorder) -> None:
    arn = "arn:aws:kms:us-east-1:123456789012:key/1234abcd"
    bucket = recorded.model_copy(
        update={"kms_key": arn, "upload_options": {"BucketKeyEnabled": True}}
    )
    use_polars(bucket)
    [write] = [each for each in recorder.take() if each.method == "PUT"]
    prefix = "x-amz-server-side-encryption"
    assert write.find_headers(prefix) == {
        prefix: "aws:kms",
        f"{prefix}-aws-kms-key-id": arn,
        f"{prefix}-bucket-key-enabled": "true",
    }


def use_polars(bucket: S3Bucket) -> None:
    options: dict[str, str] | None = bucket.storage_options("polars")
    assert options == bucket.storage_options("delta")
    frame = pl.DataFrame({"n": [1, 2]})
    frame.write_parquet(bucket.uri("a.parquet"), storage_options=options)
    read = pl.read_parquet(bucket.uri("a.parquet"), storage_options=options)
    assert read["n"].to_list() == [1, 2]


def test_s3fs_gets_parameters_of_s3(recorded: S3Bucket) -> None:
    assert (
        not {"requester_pays", "s3_additional_kwargs"}
        & (recorded.storage_options("pandas") or {}).keys()
    )
    bucket = recorded.model_copy(
        update={
            "storage_class": "STANDARD_IA",
            "kms_key": "alias/mine",
            "tags": {"team": "data"},
            "requester_pays": True,
            "upload_options": {"CacheControl": "no-cache"},
        }
    )
    options = bucket.storage_options("pandas") or {}
    assert options["requester_pays"] is True
    assert options["s3_additional_kwargs"] == {
        "CacheControl": "no-cache",
        "ServerSideEncryption": "aws:kms",
        "SSEKMSKeyId": "alias/mine",
        "StorageClass": "STANDARD_IA",
        "Tagging": "team=data",
    }
    own = recorded.model_copy(update={"encryption_key": KEY}).storage_options("pandas") or {}
    digest = hashlib.md5(KEY, usedforsecurity=False).digest()
    assert own["s3_additional_kwargs"] == {
        "SSECustomerAlgorithm": "AES256",
        "SSECustomerKey": base64.b64encode(KEY).decode(),
        "SSECustomerKeyMD5": base64.b64encode(digest).decode(),
    }


# -- tags of large copies ------------------------------------------------------------------------


def read_tags(bucket: S3Bucket, path: str) -> dict[str, str]:
    client = bucket.credentials.client("s3")
    key = f"{bucket.basepath}/{path}"
    found = client.get_object_tagging(Bucket=bucket.bucket_name, Key=key)["TagSet"]
    return {tag["Key"]: tag["Value"] for tag in found}


def test_a_copy_in_parts_keeps_the_tags_of_its_source(
    recorded: S3Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    tags = {"team": "data + more", "path": "a/b=c"}
    recorded.model_copy(update={"tags": tags}).write_path("large", bytes(9 * parts.MB))
    copy_in_parts(recorded, monkeypatch)
    assert read_tags(recorded, "large-copy") == tags


def test_a_copy_in_parts_has_the_tags_of_the_block(
    recorded: S3Bucket, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded.model_copy(update={"tags": {"old": "1"}}).write_path("large", bytes(9 * parts.MB))
    recorder.take()
    copy_in_parts(recorded.model_copy(update={"tags": {"new": "2"}}), monkeypatch)
    asked = [each for each in recorder.take() if "tagging" in each.query]
    assert (read_tags(recorded, "large-copy"), asked) == ({"new": "2"}, [])


def refuse_tags(status: int, code: str) -> Callable[[Recorded], Response | None]:
    """Refuse to return the tags of objects.

    https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html has the form and the codes.
    """
    words = f"<Error><Code>{code}</Code><Message>Not here.</Message></Error>".encode()

    def refuse(request: Recorded) -> Response | None:
        is_it = request.method == "GET" and "tagging" in request.query
        return (status, [("Content-Type", "application/xml")], words) if is_it else None

    return refuse


def test_a_service_without_tags_copies_in_parts(
    recorded: S3Bucket, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder.refuse = refuse_tags(501, "NotImplemented")
    recorded.write_path("large", bytes(9 * parts.MB))
    copy_in_parts(recorded, monkeypatch)
    assert recorded.object_info("large-copy").size == 9 * parts.MB


def test_a_copy_in_parts_needs_the_right_to_read_tags(
    recorded: S3Bucket, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without them, they would be lost: S3 itself refuses a copy in a single request then."""
    recorder.refuse = refuse_tags(403, "AccessDenied")
    recorded.write_path("large", bytes(9 * parts.MB))
    with pytest.raises(AccessDenied, match="AccessDenied"):
        copy_in_parts(recorded, monkeypatch)
    assert not recorded.exists("large-copy")
    copy_in_parts(recorded.model_copy(update={"tags": {"a": "b"}}), monkeypatch)
    recorder.refuse = lambda _: None
    assert read_tags(recorded, "large-copy") == {"a": "b"}
