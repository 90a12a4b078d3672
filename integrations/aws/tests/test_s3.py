"""S3Bucket: features that other object stores lack, and failures of connections."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from pydantic import SecretStr
from tests.services.web import Handler, serve_web

from flowstone.errors import (
    BlockInvalid,
    BucketMissing,
    CredentialsError,
    FilesLeftOut,
    ObjectMissing,
    StorageError,
    Unreachable,
)
from flowstone_aws import (
    AwsClientParameters,
    AwsCredentials,
    MinIOCredentials,
    S3Bucket,
    transfers,
)

MB = 1024 * 1024
Proxies = Callable[..., Any]


def behind(url: str, bucket: S3Bucket, **fields: Any) -> S3Bucket:
    """Return the same bucket at another address."""
    parameters = AwsClientParameters(endpoint_url=url, config={"retries": {"max_attempts": 0}})
    login = bucket.credentials.model_copy(update={"aws_client_parameters": parameters})
    return S3Bucket(
        bucket_name=bucket.bucket_name, credentials=login, bucket_folder=bucket.bucket_folder
    )


def patterned(size: int) -> bytes:
    return b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(size // 32 + 1))[:size]


def unfinished(bucket: S3Bucket) -> list[str]:
    found = bucket.credentials.client("s3").list_multipart_uploads(Bucket=bucket.bucket_name)
    return [upload["Key"] for upload in found.get("Uploads", [])]


# -- what breaks on the way ----------------------------------------------------------------------


@pytest.mark.parametrize(("size", "cuts"), [(MB, 2), (20 * MB, 4)], ids=["one request", "in parts"])
def test_a_download_goes_on_after_its_connection_was_cut(
    bucket: S3Bucket, proxy: Proxies, tmp_path: Path, size: int, cuts: int
) -> None:
    content = patterned(size)
    bucket.write_path("a.bin", content)
    between = proxy(answers=(300_000,) * cuts)
    target = behind(between.url, bucket).download_object_to_path("a.bin", tmp_path / "a.bin")
    assert target.read_bytes() == content
    assert between.cuts >= 1


def test_a_stream_goes_on_after_its_connection_was_cut(bucket: S3Bucket, proxy: Proxies) -> None:
    content = patterned(3 * MB)
    bucket.write_path("a.bin", content)
    # A reset loses what was not read yet, so all cuts may come in a row: one less than attempts.
    between = proxy(answers=(500_000, 500_000))
    assert b"".join(behind(between.url, bucket).stream("a.bin", 100_000)) == content
    assert between.cuts == 2


@pytest.mark.parametrize("size", [MB, 20 * MB], ids=["one request", "in parts"])
def test_an_upload_is_sent_again_after_its_connection_was_cut(
    bucket: S3Bucket, proxy: Proxies, size: int
) -> None:
    content = patterned(size)
    between = proxy(requests=(400_000, 400_000))
    behind(between.url, bucket).upload_from_file_object(BytesIO(content), "a.bin")
    assert between.cuts >= 1
    assert bucket.read_path("a.bin") == content
    assert unfinished(bucket) == []


@pytest.mark.parametrize("size", [MB, 20 * MB], ids=["one request", "in parts"])
def test_an_upload_that_is_always_cut_leaves_nothing(
    bucket: S3Bucket, proxy: Proxies, tmp_path: Path, size: int
) -> None:
    source = tmp_path / "source"
    source.write_bytes(patterned(size))
    between = proxy(requests=(300_000,), always=True)
    with pytest.raises(Unreachable, match=r"a\.bin: .* Check endpoint"):
        behind(between.url, bucket).upload_from_path(source, "a.bin")
    assert between.cuts >= 3
    assert not bucket.exists("a.bin")
    assert unfinished(bucket) == []


def test_a_download_that_is_always_cut_leaves_nothing(
    bucket: S3Bucket, proxy: Proxies, tmp_path: Path
) -> None:
    bucket.write_path("a.bin", patterned(20 * MB))
    between = proxy(answers=(100_000,), always=True)
    with pytest.raises(Unreachable, match=r"a\.bin: "):
        behind(between.url, bucket).download_object_to_path("a.bin", tmp_path / "a.bin")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_upload_leaves_nothing(bucket: S3Bucket) -> None:
    class Interrupted(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() >= 12 * MB:
                raise KeyboardInterrupt
            return super().read(size)

    with pytest.raises(KeyboardInterrupt):
        bucket.upload_from_file_object(Interrupted(bytes(20 * MB)), "a.bin")
    assert not bucket.exists("a.bin")
    assert unfinished(bucket) == []


# -- large and many ------------------------------------------------------------------------------


def test_ten_thousand_keys_list_right(
    bucket: S3Bucket, fill: Callable[[S3Bucket, int], None]
) -> None:
    fill(bucket, 10_000)
    found = [info.path for info in bucket.list_objects()]
    assert found == [f"{number:06}" for number in range(10_000)]


MEASURE = """
import json, resource, sys
from flowstone_aws import S3Bucket
fields, way, path = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3]
fields["credentials"]["aws_secret_access_key"] = "a-secret-of-the-tests"
bucket = S3Bucket.model_validate(fields)
bucket.write_path("warm", b"1" * 1000), bucket.read_path("warm"), list(bucket.list_objects())
def rss():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
before = rss()
if way == "up":
    bucket.upload_from_path(path, "large.bin")
elif way == "up as a stream":
    bucket.upload_from_file_object(open(0, "rb"), "large.bin")
elif way == "down":
    bucket.download_object_to_path("large.bin", path)
else:
    assert sum(len(chunk) for chunk in bucket.stream("large.bin")) > 0
print(rss() - before)
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_large_object_takes_little_memory(
    bucket: S3Bucket, tmp_path: Path, soak: bool, live: bool
) -> None:
    """Upload and download in separate processes: memory grows by less than 100 MB."""
    if live:
        pytest.skip("the processes have no login of yours")
    size = 1024 * MB if soak else 256 * MB
    source, target = tmp_path / "source", tmp_path / "target"
    with source.open("wb") as file:
        for number in range(size // MB):
            file.write(hashlib.sha256(b"%d" % number).digest() * (MB // 32))
    ways = {"up": source, "down": target}
    if soak:
        ways |= {"up as a stream": source, "as a stream": target}
    more: dict[str, int] = {}
    for way, path in ways.items():
        with source.open("rb") as stdin:
            command = [sys.executable, "-c", MEASURE, bucket.model_dump_json(), way, str(path)]
            done = subprocess.run(command, stdin=stdin, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        more[way] = int(done.stdout)
    print(f"MB more than before, of {size // MB}: {more}")
    assert max(more.values()) < 100, more
    with source.open("rb") as sent, target.open("rb") as received:
        assert (
            hashlib.file_digest(sent, "sha256").digest()
            == hashlib.file_digest(received, "sha256").digest()
        )


def test_a_copy_too_large_for_one_request_goes_in_parts(
    bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = patterned(13 * MB)
    bucket.upload_options = {"ContentType": "text/x-test", "Metadata": {"team": "data"}}
    bucket.write_path("a.bin", content)
    # S3's own limit is 5 GB: it is a setting of ours, made small here.
    monkeypatch.setattr(transfers, "COPY_BYTES", 6 * MB)
    monkeypatch.setattr(transfers, "COPY_PART_BYTES", 5 * MB)
    bucket.upload_options = {}
    bucket.copy_object("a.bin", "b.bin")
    assert bucket.read_path("b.bin") == content
    client = bucket.credentials.client("s3")
    found = client.head_object(Bucket=bucket.bucket_name, Key=f"{bucket.basepath}/b.bin")
    assert found["ETag"].endswith('-3"')
    assert found["ContentType"] == "text/x-test"
    assert found["Metadata"] == {"team": "data"}
    assert unfinished(bucket) == []


def test_a_copy_in_parts_that_fails_leaves_nothing(
    bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.write_path("a.bin", patterned(6 * MB))
    monkeypatch.setattr(transfers, "COPY_BYTES", 3 * MB)
    monkeypatch.setattr(transfers, "COPY_PART_BYTES", 2 * MB)  # less than S3 puts together
    with pytest.raises(StorageError, match=r"b\.bin: its size is not allowed"):
        bucket.copy_object("a.bin", "b.bin")
    assert not bucket.exists("b.bin")
    assert unfinished(bucket) == []


# -- S3's own ------------------------------------------------------------------------------------


def test_a_copy_by_one_login_does_not_come_by_here(bucket: S3Bucket, proxy: Proxies) -> None:
    bucket.write_path("a.bin", bytes(5 * MB))
    between = proxy(answers=(MB, MB, MB, MB))
    there = behind(between.url, bucket)
    there.copy_object("a.bin", "b.bin")
    there.move_object("b.bin", "c.bin")
    assert between.cuts == 0
    assert bucket.object_info("c.bin").size == 5 * MB


def test_a_bucket_by_its_name(bucket: S3Bucket, live: bool) -> None:
    """The other bucket has the same credentials, and no folder."""
    there = bucket.bucket_name if live else f"{bucket.bucket_name}-b"
    client = bucket.credentials.client("s3")
    if not live:
        client.create_bucket(Bucket=there)
    bucket.write_path("a.txt", b"1")
    key = f"{bucket.basepath}/other/a.txt"
    assert bucket.copy_object("a.txt", key, to_bucket=there) == key
    assert bucket.move_object("a.txt", f"{key}.2", to_bucket=there) == f"{key}.2"
    assert not bucket.exists("a.txt")
    for each in (key, f"{key}.2"):
        assert client.get_object(Bucket=there, Key=each)["Body"].read() == b"1"


def test_no_folder_is_the_bucket_itself() -> None:
    bucket = S3Bucket.model_validate({"bucket_name": "raw", "bucket_folder": None})
    assert bucket.bucket_folder == ""


def test_a_copy_by_two_logins_comes_by_here(bucket: S3Bucket, emulated: str) -> None:
    other = S3Bucket(
        bucket_name=bucket.bucket_name,
        credentials=MinIOCredentials(
            minio_root_user="someone",
            minio_root_password=SecretStr("else's password"),
            aws_client_parameters=AwsClientParameters(endpoint_url=emulated),
        ),
        bucket_folder="flowstone/other",
    )
    bucket.write_path("a.txt", b"1")
    assert bucket.copy_object("a.txt", "b.txt", other) == "b.txt"
    assert other.read_path("b.txt") == b"1"
    other.delete_folder("")


def test_upload_options_go_with_each_object(bucket: S3Bucket) -> None:
    bucket.upload_options = {"Metadata": {"team": "data"}, "StorageClass": "STANDARD_IA"}
    bucket.write_path("small.csv", b"1")
    bucket.write_path("large.bin", bytes(9 * MB))
    bucket.copy_object("small.csv", "copy.csv")
    client = bucket.credentials.client("s3")
    for name in ("small.csv", "large.bin", "copy.csv"):
        key = f"{bucket.basepath}/{name}"
        found = client.head_object(Bucket=bucket.bucket_name, Key=key)
        assert found["Metadata"] == {"team": "data"}, name
        assert found["StorageClass"] == "STANDARD_IA", name
        assert (found["ContentType"] == "text/csv") == name.endswith(".csv")


def test_an_unknown_upload_option_is_refused() -> None:
    with pytest.raises(BlockInvalid, match="'StorageClas' is not one of"):
        S3Bucket(bucket_name="raw", upload_options={"StorageClas": "STANDARD"})


@pytest.mark.parametrize("name", ["raw", " raw ", "s3://raw", "s3://raw/"])
def test_a_bucket_may_be_named_as_people_write_it(name: str) -> None:
    assert S3Bucket(bucket_name=name).bucket_name == "raw"


@pytest.mark.parametrize("name", ["", "raw/2026"])
def test_a_folder_is_no_part_of_a_bucket_name(name: str) -> None:
    with pytest.raises(BlockInvalid, match="bucket_name"):
        S3Bucket(bucket_name=name)


def test_a_presigned_url_lasts_a_week_at_most(bucket: S3Bucket) -> None:
    bucket.write_path("a", b"1")
    for seconds in (0, 8 * 24 * 3600):
        with pytest.raises(StorageError, match="604800"):
            bucket.presigned_url("a", expires_seconds=seconds)
    with urlopen(bucket.presigned_url("a", expires_seconds=7 * 24 * 3600)) as answer:
        assert answer.read() == b"1"


def test_a_presigned_url_of_nothing_finds_nothing(bucket: S3Bucket) -> None:
    with pytest.raises(HTTPError, match="404"):
        urlopen(bucket.presigned_url("nothing"))


# -- what people get wrong -----------------------------------------------------------------------


def test_a_bucket_that_is_not_there_is_named(bucket: S3Bucket) -> None:
    wrong = S3Bucket(bucket_name="no-such-bucket-of-ours", credentials=bucket.credentials)
    for attempt in (
        lambda: wrong.read_path("a"),
        lambda: wrong.write_path("a", b""),
        lambda: wrong.write_path("a", bytes(9 * MB)),
        lambda: wrong.exists("a"),
        lambda: list(wrong.list_objects()),
        lambda: wrong.delete_object("a"),
        lambda: bucket.copy_object("kept", "b", wrong),
        lambda: wrong.copy_object("a", "b"),
    ):
        bucket.write_path("kept", b"1")
        with pytest.raises(BucketMissing, match="no-such-bucket-of-ours: there is no such bucket"):
            attempt()


def test_a_copy_of_a_block_looks_for_its_own_bucket(bucket: S3Bucket) -> None:
    bucket.write_path("a", b"1")
    other = bucket.model_copy(update={"bucket_name": "no-such-bucket-of-ours"})
    with pytest.raises(BucketMissing, match="no-such-bucket-of-ours"):
        other.exists("a")


def test_an_object_beside_a_folder_of_its_name(bucket: S3Bucket, tmp_path: Path) -> None:
    for path in ("data/same", "data/same/inner.txt", "data/z.txt"):
        bucket.write_path(path, path.encode())
    bucket.make_provider().put(f"{bucket.basepath}/data//extra", BytesIO(b"extra"), 5)
    with pytest.raises(FilesLeftOut, match=r"(?s)data/same/inner\.txt.*data/same' is a file"):
        bucket.get_directory("data", tmp_path / "down")
    down = {path.name: path.read_bytes() for path in (tmp_path / "down").iterdir()}
    assert down == {"same": b"data/same", "z.txt": b"data/z.txt", "extra": b"extra"}


def test_a_key_that_s3_does_not_take_is_an_error(bucket: S3Bucket) -> None:
    for length in (1025, 5000):
        for attempt in (
            lambda path: bucket.write_path(path, b"1"),
            bucket.read_path,
            bucket.exists,
            bucket.delete_object,
        ):
            with suppress(StorageError):
                attempt("x/" * (length // 2) + "x")
    assert list(bucket.list_objects()) == []


def test_a_reader_fetches_the_parts_that_are_read(bucket: S3Bucket, proxy: Proxies) -> None:
    content = patterned(20 * MB)
    bucket.write_path("large", content)
    between = proxy()
    with behind(between.url, bucket).open_read("large") as reader:
        for place in (-100, -10 * MB):
            reader.seek(place, 2)
            assert reader.read(100) == content[place:][:100]
    assert len(between.seen[1]) < len(content)


def test_an_object_that_is_not_there_is_named(bucket: S3Bucket) -> None:
    with pytest.raises(ObjectMissing, match=f"{bucket.basepath}/deep/a.txt: there is no such"):
        bucket.read_path("deep/a.txt")


def test_a_wrong_key_is_told_by_its_last_characters(refusing: str) -> None:
    login = MinIOCredentials(
        minio_root_user="somebody",
        minio_root_password=SecretStr("wrong-password"),
        aws_client_parameters=AwsClientParameters(endpoint_url=refusing),
    )
    bucket = S3Bucket(bucket_name="raw", credentials=login)
    with pytest.raises(
        CredentialsError, match=r"user 'somebody': the credentials were refused for .*raw"
    ):
        bucket.read_path("a")


def test_an_object_is_not_lost_by_a_move_to_another_name_of_its_bucket(bucket: S3Bucket) -> None:
    login = bucket.credentials
    parameters = login.aws_client_parameters
    endpoint = parameters.endpoint_url
    if endpoint is None:  # live
        endpoint = "https://s3.amazonaws.com"
    other = parameters.model_copy(update={"endpoint_url": f"{endpoint.upper()[:4]}{endpoint[4:]}/"})
    alias = bucket.model_copy(
        update={"credentials": login.model_copy(update={"aws_client_parameters": other})}
    )
    bucket.write_path("a", b"1")
    assert bucket.move_object("a", "a", alias) == "a"
    assert alias.move_object("a", "a", bucket) == "a"
    assert bucket.read_path("a") == b"1"


class Deaf(Handler):
    """A service that ignores the Range header and sends the whole object."""

    def do_GET(self) -> None:
        self.respond(200, b"0123456789", {"ETag": '"1"'})


def test_a_service_that_ignores_ranges_is_refused() -> None:
    with serve_web(Deaf) as server:
        login = AwsCredentials(
            aws_access_key_id="AKIA",
            aws_secret_access_key="a-secret",
            region_name="us-east-1",
            aws_client_parameters=AwsClientParameters(endpoint_url=server.url),
        )
        provider = S3Bucket(bucket_name="raw", credentials=login).make_provider()
        with pytest.raises(StorageError, match="ignored the Range header"):
            provider.get("a", 4)
        with pytest.raises(StorageError, match="ignored the Range header"):
            provider.read_range("a", 4, 2)
