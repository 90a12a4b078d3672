"""The S3 tasks: real tasks, sync and async, under both names."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from io import BytesIO
from typing import Any

import pytest

import flowstone_aws
from flowstone import Task, flow, unmapped
from flowstone.context.external_work import sum_measures
from flowstone.errors import BucketMissing, ObjectMissing, PathEscapes
from flowstone.records.runs import RunQuery
from flowstone.testing import flowstone_test_harness
from flowstone_aws import (
    AwsClientParameters,
    AwsCredentials,
    S3Bucket,
    as3_copy,
    as3_download,
    as3_list_objects,
    as3_move,
    as3_upload,
    s3_copy,
    s3_download,
    s3_list_objects,
    s3_move,
    s3_upload,
)

NAMES = {
    "upload_to_bucket": "s3_upload",
    "download_from_bucket": "s3_download",
    "copy_objects": "s3_copy",
    "move_objects": "s3_move",
    "list_objects": "s3_list_objects",
}


@pytest.fixture
def folder(bucket: S3Bucket) -> str:
    """The full key of the bucket's folder."""
    return bucket.basepath


def test_every_task_is_a_task_by_both_names() -> None:
    for elsewhere, here in NAMES.items():
        for a in ("", "a"):
            task = getattr(flowstone_aws, a + here)
            assert isinstance(task, Task)
            assert task.name == a + here
            assert task.isasync == bool(a)
            assert getattr(flowstone_aws, a + elsewhere) is task


def test_a_bucket_by_name_and_whole_keys(
    login: AwsCredentials, bucket_name: str, bucket: S3Bucket, folder: str
) -> None:
    @flow
    def there_and_back() -> bytes:
        key = s3_upload(b"1", bucket_name, login, key=f"{folder}/a//b.txt")
        assert key == f"{folder}/a//b.txt"
        copy = s3_copy(key, f"{folder}/c.txt", bucket_name, login)
        assert s3_move(copy, f"{folder}/d.txt", bucket_name, login) == f"{folder}/d.txt"
        return s3_download(bucket_name, f"{folder}/d.txt", login)

    assert there_and_back() == b"1"
    found = s3_list_objects(bucket_name, login, prefix=f"{folder}/")
    assert [item["Key"] for item in found] == [f"{folder}/a//b.txt", f"{folder}/d.txt"]
    assert found[1]["Size"] == 1
    login.client("s3").delete_object(Bucket=bucket_name, Key=f"{folder}/a//b.txt")


def test_a_bucket_as_a_block_and_paths_in_its_folder(bucket: S3Bucket) -> None:
    @flow
    def there_and_back() -> bytes:
        s3_upload("text", bucket, key="/a/b.txt")
        s3_copy("a/b.txt", "c.txt", bucket)
        s3_move("c.txt", "d.txt", bucket)
        return s3_download(bucket, "d.txt")

    assert there_and_back() == b"text"
    assert [item["Key"] for item in s3_list_objects(bucket)] == ["a/b.txt", "d.txt"]
    assert [info.path for info in bucket.list_objects()] == ["a/b.txt", "d.txt"]


@pytest.mark.parametrize("odd", ["logs//a.txt", "/a.txt", "up/../a.txt", "./a.txt", "s3://x/a"])
def test_tasks_take_the_keys_that_are_listed(bucket: S3Bucket, odd: str) -> None:
    bucket.write_path("a.txt", b"another")
    provider = bucket.make_provider()
    provider.put(provider.make_prefix() + odd, BytesIO(b"this"), 4)

    @flow
    def read_move_read() -> list[bytes]:
        [listed] = [item["Key"] for item in s3_list_objects(bucket) if item["Size"] == 4]
        assert listed == odd
        found = [s3_download(bucket, listed)]
        s3_move(listed, "moved", bucket)
        s3_copy("moved", listed, bucket)
        return [*found, s3_download(bucket, listed), s3_download(bucket, "a.txt")]

    assert read_move_read() == [b"this", b"this", b"another"]
    assert sorted(info.path for info in bucket.list_objects()) == sorted(["a.txt", "moved", odd])


def test_an_address_is_the_object_that_it_names(
    login: AwsCredentials, bucket_name: str, bucket: S3Bucket, folder: str
) -> None:
    url = f"s3://{bucket_name}/{folder}/a.txt"
    for place, own in ((bucket_name, login), (bucket, None)):
        s3_upload(b"1", place, own, key=url)
        assert s3_download(place, url, own) == b"1"
        s3_move(url, f"{url}-2", place, own)
        assert [info.path for info in bucket.list_objects()] == ["a.txt-2"]
        for other in ("s3://another-bucket/a.txt", f"s3://{bucket_name}-2/{folder}/a.txt"):
            with pytest.raises(PathEscapes, match="this URL is not in s3://"):
                s3_upload(b"1", place, own, key=other)
    with pytest.raises(PathEscapes, match="not in the block's folder"):
        s3_download(bucket, f"s3://{bucket_name}/a.txt")


def test_tasks_are_submitted_and_mapped(bucket: S3Bucket) -> None:
    names = [f"{number:02}.txt" for number in range(20)]

    @flow
    def many() -> list[bytes]:
        sent = s3_upload.map([name.encode() for name in names], unmapped(bucket), key=names)
        first = s3_download.submit(bucket, names[0], wait_for=sent)
        assert first.result() == b"00.txt"
        return s3_download.map(unmapped(bucket), names, wait_for=sent).result()

    assert many() == [name.encode() for name in names]


def test_the_async_twins_do_the_same(bucket: S3Bucket) -> None:
    @flow
    async def there_and_back() -> tuple[bytes, list[str]]:
        await asyncio.gather(*[as3_upload(b"%d" % n, bucket, key=f"{n}") for n in range(5)])
        await as3_copy("0", "copy", bucket)
        await as3_move("copy", "moved", bucket)
        found = await as3_list_objects(bucket)
        return await as3_download(bucket, "moved"), [item["Key"] for item in found]

    flowing: Coroutine[Any, Any, tuple[bytes, list[str]]] = there_and_back()
    assert asyncio.run(flowing) == (b"0", ["0", "1", "2", "3", "4", "moved"])


def test_an_upload_without_a_key_gets_one(bucket: S3Bucket) -> None:
    key, other = s3_upload(b"1", bucket), s3_upload(b"2", bucket)
    assert key != other
    assert s3_download(bucket, key) == b"1"


def test_listing_takes_what_s3_takes(bucket: S3Bucket) -> None:
    for path in ("a/1", "a/2", "a/b/3", "c"):
        bucket.write_path(path, b"x" * len(path))

    def keys(**options: Any) -> list[str]:
        return [item["Key"] for item in s3_list_objects(bucket, **options)]

    assert keys(prefix="a/") == ["a/1", "a/2", "a/b/3"]
    assert keys(prefix="a/", delimiter="/") == ["a/1", "a/2"]
    assert keys(max_items=3, page_size=1) == ["a/1", "a/2", "a/b/3"]
    assert keys(prefix="nothing") == []
    assert keys(jmespath_query="Contents[?Size > `3`][]") == ["a/b/3"]
    sizes: list[Any] = s3_list_objects(bucket, jmespath_query="Contents[].Size")
    assert sizes == [3, 3, 5, 1]


def test_a_copy_takes_the_arguments_of_s3(bucket: S3Bucket) -> None:
    bucket.write_path("a", b"1")
    s3_copy("a", "b", bucket, MetadataDirective="REPLACE", Metadata={"team": "data"})
    client, key = bucket.credentials.client("s3"), f"{bucket.basepath}/b"
    assert client.head_object(Bucket=bucket.bucket_name, Key=key)["Metadata"] == {"team": "data"}


def test_a_move_onto_itself_keeps_the_object(bucket: S3Bucket) -> None:
    bucket.write_path("a", b"1")
    assert s3_move("a", "./a", bucket) == "./a"
    assert bucket.read_path("a") == b"1"
    with pytest.raises(ObjectMissing):
        s3_move("nothing", "nothing", bucket)


def test_a_copy_to_another_bucket(bucket: S3Bucket, login: AwsCredentials, emulated: str) -> None:
    login.client("s3").create_bucket(Bucket="another-bucket")
    bucket.write_path("a", b"1")
    s3_copy("a", "deep/b", bucket, target_bucket_name="another-bucket")
    assert s3_download("another-bucket", "deep/b", login) == b"1"
    login.client("s3").delete_object(Bucket="another-bucket", Key="deep/b")


def test_client_parameters_win(emulated: str, bucket: S3Bucket, login: AwsCredentials) -> None:
    bucket.write_path("a", b"1")
    nowhere = AwsClientParameters(endpoint_url="http://127.0.0.1:9")
    lost = login.model_copy(update={"aws_client_parameters": nowhere})
    there = AwsClientParameters(endpoint_url=emulated)
    assert s3_download(bucket.bucket_name, f"{bucket.basepath}/a", lost, there) == b"1"


def test_what_went_wrong_is_the_state_of_the_run(bucket: S3Bucket) -> None:
    state = s3_download(bucket, "nothing", return_state=True)
    assert state.type.value == "FAILED"
    with pytest.raises(ObjectMissing, match="nothing: there is no such object"):
        s3_download(bucket, "nothing")
    with pytest.raises(BucketMissing):
        s3_list_objects("no-such-bucket-of-ours", bucket.credentials)


def test_what_is_read_and_written_is_measured(bucket: S3Bucket) -> None:
    @flow
    def go() -> None:
        s3_upload("12345", bucket, key="a")
        s3_copy("a", "b", bucket)
        s3_move("b", "c", bucket)
        assert asyncio.run(as3_download(bucket, "c")) == b"12345"

    with flowstone_test_harness() as services:
        go()
        [root] = services.runs.runs(RunQuery(listed=True))
        assert sum_measures(root.id) == {
            "bytes_written": (5, "bytes"),
            "objects_written": (3, "objects"),
            "objects_deleted": (1, "objects"),
            "bytes_read": (5, "bytes"),
            "objects_read": (1, "objects"),
        }
