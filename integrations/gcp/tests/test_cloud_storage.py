"""What a bucket of Cloud Storage does beyond the standard tests."""

from __future__ import annotations

import gzip
from hashlib import md5
from io import BytesIO
from typing import Any, BinaryIO

import polars as pl
import pytest
from tests.services.proxy import Proxy

from flowstone.blocks import ObjectStore
from flowstone.errors import BucketMissing, PathInvalid, StorageError, Unreachable
from flowstone_gcp import GcpCredentials, GcsBucket
from flowstone_gcp.transfers import MB, wrap_source
from flowstone_testing import reserve_closed_port


@pytest.mark.parametrize(
    ("fields", "folder"),
    [
        ({"bucket": "gs://raw"}, ""),
        ({"bucket": "gs://raw/"}, ""),
        ({"bucket": "raw"}, ""),
        ({"bucket": "gs://raw/2026/may"}, "2026/may"),
        ({"bucket": "gs://raw/2026/", "bucket_folder": "/may/"}, "2026/may"),
        ({"bucket": "raw", "bucket_folder": "2026"}, "2026"),
    ],
)
def test_a_bucket_is_a_name_or_an_address(fields: dict[str, str], folder: str) -> None:
    bucket = GcsBucket(**fields)
    assert (bucket.bucket, bucket.basepath) == ("raw", folder)
    assert bucket.uri("a.csv") == f"gs://raw/{folder}/a.csv".replace("raw//", "raw/")
    again = ObjectStore.from_uri(bucket.uri())
    assert isinstance(again, GcsBucket)
    assert again.uri() == bucket.uri()


def test_an_upload_has_a_condition_and_is_tried_again(bucket: GcsBucket, emulated: str) -> None:
    """The first connection breaks after the upload was taken: only the answer is lost."""
    bucket.write_path("a", b"old")
    with Proxy(emulated, answers=(0,)) as proxy:
        bucket.gcp_credentials.client()
        there = bucket.gcp_credentials.model_copy(update={"endpoint": proxy.url})
        cut = bucket.model_copy(update={"gcp_credentials": there})
        assert cut.write_path("a", b"new") == "a"
    assert bucket.read_path("a") == b"new"
    assert [info.path for info in bucket.list_objects()] == ["a"]


def test_what_others_write_meanwhile_is_written_over(bucket: GcsBucket) -> None:
    """The last one wins, as everywhere; the condition is ours alone."""

    class Slow(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            bucket.write_path("a", b"another")
            return super().read(size)

    bucket.upload_from_file_object(Slow(b"x" * 9 * MB), "a")
    assert bucket.object_info("a").size == 9 * MB


def test_gzip_is_read_as_it_is_stored(bucket: GcsBucket) -> None:
    content = gzip.compress(bytes(range(256)) * 1000)
    provider = bucket.make_provider()
    blob = provider.blob(provider.make_key("a.txt"))
    blob.content_encoding = "gzip"
    blob.upload_from_string(content, content_type="text/plain")
    assert bucket.object_info("a.txt").size == len(content)
    assert bucket.read_path("a.txt") == b"".join(bucket.stream("a.txt", 100)) == content
    with provider.get(provider.make_key("a.txt"), 10) as reader:
        assert reader.read() == content[10:]
    sink = BytesIO()
    provider.fetch(provider.make_key("a.txt"), sink, {}, {})
    assert sink.getvalue() == content


@pytest.mark.parametrize("key", ["x" * 1025, "ü" * 513, "a\nb", "a\rb", ".", ".."])
def test_what_can_be_no_key_is_refused_before_it_is_sent(key: str) -> None:
    provider = GcsBucket(bucket="raw").make_provider()
    with pytest.raises(PathInvalid):
        provider.put(key, BytesIO(b"1"), 1)


def test_a_missing_bucket_is_told_from_a_missing_object(login: GcpCredentials) -> None:
    bucket = GcsBucket(bucket="no-such-bucket-of-flowstone", gcp_credentials=login)
    for attempt in (
        lambda: bucket.read_path("a"),
        lambda: bucket.exists("a"),
        lambda: bucket.write_path("a", b"1"),
        lambda: bucket.delete_object("a"),
        lambda: list(bucket.list_objects()),
        lambda: bucket.copy_object("a", "b"),
    ):
        with pytest.raises(BucketMissing, match="create_bucket"):
            attempt()


def test_bucket_and_folders_as_users_know_them(login: GcpCredentials, emulated: str) -> None:
    bucket = GcsBucket(bucket="made-by-a-test", gcp_credentials=login, bucket_folder="f")
    assert bucket.create_bucket(location="EU").name == bucket.get_bucket().name == "made-by-a-test"
    for path in ("a.txt", "b/c.txt", "b/d/e.txt"):
        bucket.write_path(path, b"1")
    assert [blob.name for blob in bucket.list_blobs("b")] == ["f/b/c.txt", "f/b/d/e.txt"]
    assert bucket.list_folders() == ["b", "b/d"]
    assert bucket.list_folders("b/d") == ["b/d"]
    with pytest.raises(StorageError, match="already exists"):
        bucket.create_bucket()


def test_without_a_private_key_there_is_no_signed_url(emulated: str) -> None:
    login = GcpCredentials(anonymous=True, endpoint=emulated)
    with pytest.raises(StorageError, match=r"presigned.*private key.*impersonation_chain"):
        GcsBucket(bucket="raw", gcp_credentials=login).presigned_url("a")


def test_a_signed_url_lasts_a_week_at_most(bucket: GcsBucket) -> None:
    with pytest.raises(StorageError, match="week"):
        bucket.presigned_url("a", expires_seconds=604_801)


def test_tools_are_told_in_their_own_words(key: dict[str, str]) -> None:
    login = GcpCredentials(service_account_info=key, endpoint="http://localhost:4443")
    lake = GcsBucket(bucket="gs://lake/raw", gcp_credentials=login)
    access = lake.access()
    assert (access.scheme, access.bucket, access.folder) == ("gs", "lake", "raw")
    assert access.endpoint == "http://localhost:4443"
    assert key["private_key_id"] in (access.reveal("service_account_key") or "")
    assert key["private_key_id"] not in repr(access)
    found: Any = lake.storage_options("pandas")
    assert (found["project"], found["endpoint_url"]) == ("example-project", access.endpoint)
    assert found["token"] is login.get_credentials()
    words = lake.storage_options("polars")
    assert words is not None
    assert words == lake.storage_options("delta")
    assert set(words) == {"google_service_account_key", "google_base_url", "allow_http"}
    public = GcsBucket(bucket="lake", gcp_credentials=GcpCredentials(anonymous=True))
    assert public.storage_options("pandas") == {"token": "anon"}
    assert public.storage_options("polars") == {"google_skip_signature": "true"}


def test_polars_reads_the_bucket_by_itself(bucket: GcsBucket, emulated: str) -> None:
    bucket.write_path("a.csv", b"n\n1\n2\n")
    public = GcpCredentials(anonymous=True, endpoint=emulated)
    there = bucket.model_copy(update={"gcp_credentials": public})
    options: Any = there.storage_options("polars")
    assert pl.read_csv(bucket.uri("a.csv"), storage_options=options)["n"].to_list() == [1, 2]


def test_an_unreachable_service_is_given_up_in_time(reserved: str) -> None:
    login = GcpCredentials(anonymous=True, endpoint=reserved, timeout_seconds=0.6)
    with pytest.raises(Unreachable):
        GcsBucket(bucket="raw", gcp_credentials=login).read_path("a")


@pytest.fixture
def reserved() -> str:
    return f"http://127.0.0.1:{reserve_closed_port()}"


class Pipe:
    """A source that gives less than is asked for, and can't seek."""

    def __init__(self, content: bytes) -> None:
        self._content = BytesIO(content)

    def seekable(self) -> bool:
        return False

    def read(self, size: int = -1) -> bytes:
        return self._content.read(min(size, 7) if size >= 0 else 7)


def test_a_part_of_a_pipe_can_be_sent_again() -> None:
    pipe: Any = Pipe(bytes(range(100)))
    source: BinaryIO = wrap_source(pipe)
    assert source.read(30) == bytes(range(30))
    assert source.read(30) == bytes(range(30, 60))
    source.seek(40)
    assert source.read(30) == bytes(range(40, 70))
    with pytest.raises(OSError, match="go back"):
        source.seek(0)
    assert (source.tell(), source.read()) == (70, bytes(range(70, 100)))
    assert source.read(1) == b""


def test_a_source_starts_where_it_stands() -> None:
    file = BytesIO(b"header|body")
    file.seek(7)
    source = wrap_source(file)
    assert (source.tell(), source.read()) == (0, b"body")
    source.seek(2)
    assert source.read() == b"dy"


def test_a_listing_has_the_md5_of_the_content(bucket: GcsBucket) -> None:
    content = b"name,country\n"
    bucket.write_path("a.csv", content)
    [info] = bucket.list_objects()
    assert info.md5 == md5(content, usedforsecurity=False).digest()


def test_a_bucket_by_its_name(bucket: GcsBucket, emulated: str) -> None:
    """As users name it: the other bucket has the same login, and no folder."""
    assert emulated
    there = f"{bucket.bucket}-b"
    client = bucket.gcp_credentials.client("storage")
    client.create_bucket(there)
    bucket.write_path("a.txt", b"1")
    assert bucket.copy_object("a.txt", "other/a.txt", to_bucket=there) == "other/a.txt"
    assert bucket.move_object("a.txt", "other/b.txt", to_bucket=there) == "other/b.txt"
    assert not bucket.exists("a.txt")
    for name in ("other/a.txt", "other/b.txt"):
        assert client.bucket(there).blob(name).download_as_bytes() == b"1"


def test_no_folder_is_the_bucket_itself() -> None:
    fields = {"bucket": "raw", "bucket_folder": None}
    assert GcsBucket.model_validate(fields).bucket_folder == ""
    assert GcsBucket.model_validate({**fields, "bucket": "gs://raw/in"}).bucket_folder == "in"
