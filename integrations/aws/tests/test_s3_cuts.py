"""Connections to S3 that break anywhere: an error or the right value, and no partial results."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from flowstone.blocks import ObjectInfo
from flowstone.errors import ObjectMissing, StorageError
from flowstone_aws import AwsClientParameters, AwsCredentials, S3Bucket

Proxies = Callable[..., Any]
OLD, NEW = b"old content" * 1000, b"the new content" * 2000
LARGE = b"0123456789abcdef" * 600_000
#: The checksums of AWS, left out elsewhere: Moto keeps what has come of a request that
#: was cut, and the checksum of all of it.
CHECKED = {
    "request_checksum_calculation": "when_supported",
    "response_checksum_validation": "when_supported",
}
IMPATIENT = {
    **CHECKED,
    "retries": {"total_max_attempts": 1},
    "connect_timeout": 1,
    "read_timeout": 1,
}
FAILED = object()

# What is looked for is a hang.
pytestmark = pytest.mark.timeout(120)


def reach(url: str | None, bucket: S3Bucket, config: dict[str, Any]) -> S3Bucket:
    parameters = AwsClientParameters(endpoint_url=url, config=config)
    login = bucket.credentials.model_copy(update={"aws_client_parameters": parameters})
    return bucket.model_copy(update={"credentials": login})


def behind(url: str, bucket: S3Bucket) -> S3Bucket:
    """Return the same bucket at another address, with short timeouts."""
    return reach(url, bucket, IMPATIENT)


@pytest.fixture(params=[True, False], ids=["obstore", "sdk"])
def bucket(bucket: S3Bucket, request: pytest.FixtureRequest) -> S3Bucket:
    """The bucket, with AWS's checksums; with and without obstore."""
    endpoint = bucket.credentials.aws_client_parameters.endpoint_url
    found = reach(endpoint, bucket, CHECKED)
    return found.model_copy(update={"use_obstore": request.param})


def by_sdk(bucket: S3Bucket) -> S3Bucket:
    """Return the bucket without obstore, which does not support AWS's checksums."""
    return bucket.model_copy(update={"use_obstore": False})


def attempt(work: Callable[[], object]) -> object:
    try:
        return work()
    except StorageError:
        return FAILED


def read_any(bucket: S3Bucket, path: str) -> bytes | None:
    try:
        return bucket.read_path(path)
    except ObjectMissing:
        return None


def write(cut: S3Bucket, direct: S3Bucket, _: Path) -> object:
    done = attempt(lambda: cut.write_path("a", NEW))
    # Moto keeps what has come of a request that was cut, and the checksum of all: S3 refuses it.
    found = attempt(lambda: direct.read_path("a"))
    assert found in ([OLD, NEW, FAILED] if done is FAILED else [NEW])
    return done


def write_in_parts(cut: S3Bucket, direct: S3Bucket, tmp_path: Path) -> object:
    source = tmp_path / "large"
    source.write_bytes(LARGE)
    done = attempt(lambda: cut.upload_from_path(source, "a"))
    assert read_any(direct, "a") in ([OLD, LARGE] if done is FAILED else [LARGE])
    return done


def read(cut: S3Bucket, direct: S3Bucket, _: Path) -> object:
    found = attempt(lambda: cut.read_path("a"))
    assert found in (FAILED, OLD)
    return found


def seek(cut: S3Bucket, direct: S3Bucket, _: Path) -> object:
    def work() -> object:
        with cut.open_read("a") as reader:
            try:
                reader.seek(-5000, 2)
            except OSError:
                return FAILED  # an orderly end among the digits of the length can't be told
            return reader.read()

    found = attempt(work)
    assert found in (FAILED, OLD[-5000:])
    return found


def download(cut: S3Bucket, direct: S3Bucket, tmp_path: Path) -> object:
    target = tmp_path / "down/a"
    target.unlink(missing_ok=True)
    done = attempt(lambda: cut.download_object_to_path("a", target))
    found = (
        [path.read_bytes() for path in target.parent.iterdir()] if target.parent.exists() else []
    )
    assert found == ([] if done is FAILED else [OLD])
    return done


def look(cut: S3Bucket, direct: S3Bucket, _: Path) -> object:
    found, whole = attempt(lambda: cut.object_info("a")), direct.object_info("a")
    if isinstance(found, ObjectInfo):
        # An orderly end among the digits of the length, which no body follows, can't be told.
        assert str(whole.size).startswith(str(found.size))
        assert found.etag in {None, whole.etag}
        assert found.modified == whole.modified
    return found


def list_all(cut: S3Bucket, direct: S3Bucket, _: Path) -> object:
    found = attempt(lambda: list(cut.list_objects()))
    assert found in (FAILED, list(direct.list_objects()))
    return found


def delete(cut: S3Bucket, direct: S3Bucket, _: Path) -> object:
    done = attempt(lambda: cut.delete_object("a"))
    assert done is FAILED or not direct.exists("a")
    return done


def delete_all(cut: S3Bucket, direct: S3Bucket, _: Path) -> object:
    done = attempt(lambda: cut.delete_folder(""))
    assert done is FAILED or not list(direct.list_objects())
    return done


def move(cut: S3Bucket, direct: S3Bucket, _: Path) -> object:
    done = attempt(lambda: cut.move_object("a", "moved"))
    found = [read_any(direct, path) for path in ("a", "moved")]
    assert found in ([[OLD, None], [None, OLD], [OLD, OLD]] if done is FAILED else [[None, OLD]])
    return done


WORK = [write, read, seek, download, look, list_all, delete, delete_all, move]
Work = Callable[[S3Bucket, S3Bucket, Path], object]


def prepare(bucket: S3Bucket) -> None:
    bucket.delete_folder("")
    for path in ("a", "b", "c/d"):
        bucket.write_path(path, OLD)


def find_places(stream: bytes, dense: bool) -> list[int]:
    """Return where to cut: after and within each line of the headers, and anywhere in the body."""
    lines = [found.end() for found in re.finditer(rb"\r\n", stream[:5000])]
    chance = random.Random(len(stream))
    anywhere = [chance.randrange(1, len(stream)) for _ in range(30 if dense else 2)]
    within = [place - chance.randrange(1, 12) for place in lines]
    return sorted(
        {1, *lines, *within, *anywhere} if dense else {*lines[:1], *lines[-2:], *anywhere}
    )


def cut_everywhere(
    work: Work, bucket: S3Bucket, proxy: Proxies, tmp_path: Path, how: str, dense: bool
) -> None:
    between = proxy()
    cut = behind(between.url, bucket)
    prepare(bucket)
    assert work(cut, by_sdk(bucket), tmp_path) is not FAILED
    failures = 0
    for way, stream in zip(("requests", "answers"), map(bytes, between.seen), strict=True):
        for place in find_places(stream, dense):
            prepare(bucket)
            between.plan(**{way: (place,)}, always=True, how=how)
            failures += work(cut, by_sdk(bucket), tmp_path) is FAILED
    assert failures


@pytest.mark.parametrize("work", [write, read, look, list_all, move])
def test_an_end_of_the_connection_is_an_error(
    bucket: S3Bucket, proxy: Proxies, tmp_path: Path, work: Work
) -> None:
    cut_everywhere(work, bucket, proxy, tmp_path, "end", dense=False)


@pytest.mark.check
@pytest.mark.parametrize("how", ["end", "reset"])
@pytest.mark.parametrize("work", WORK)
def test_an_end_of_the_connection_anywhere_is_an_error(
    bucket: S3Bucket, proxy: Proxies, tmp_path: Path, work: Work, how: str
) -> None:
    cut_everywhere(work, bucket, proxy, tmp_path, how, dense=True)


@pytest.mark.check
@pytest.mark.parametrize("how", ["end", "reset"])
def test_an_end_in_an_upload_in_parts_is_an_error(
    bucket: S3Bucket, proxy: Proxies, tmp_path: Path, how: str
) -> None:
    cut_everywhere(write_in_parts, bucket, proxy, tmp_path, how, dense=False)


@pytest.mark.parametrize("work", [write, read])
@pytest.mark.check
def test_silence_is_an_error(bucket: S3Bucket, proxy: Proxies, tmp_path: Path, work: Work) -> None:
    for way, place in (("requests", 100), ("requests", 9_000), ("answers", 20)):
        prepare(bucket)
        between = proxy(**{way: (place,)}, always=True, how="silence")
        work(behind(between.url, bucket), by_sdk(bucket), tmp_path)


CONTINUE = b"HTTP/1.1 100 Continue\r\n"
OK = b"HTTP/1.1 200 OK\r\n"
ENDS = [
    b"", b"HTTP/1.1 1", CONTINUE[:-2], CONTINUE, CONTINUE + b"Connection: keep-alive\r\n",
    CONTINUE + b"\r\n", CONTINUE + b"\r\n" + CONTINUE, CONTINUE + b"\r\n" + OK[:12],
    CONTINUE + b"\r\n" + OK, OK, OK + b"ETag: ", OK + b'ETag: "1"\r\n', OK + b"\r\n",
    OK + b"Content-Length:", OK + b"Content-Length: 513\r\n", OK + b"Content-Length: 5\r\n\r\n<a/>",
]  # fmt: skip


@pytest.mark.parametrize("answer", ENDS, ids=range(len(ENDS)))
def test_an_end_after_part_of_an_answer_is_an_error(
    ending: Callable[[bytes], Any], answer: bytes
) -> None:
    server = ending(answer)
    keys = {"aws_access_key_id": "AKIAFLOWSTONETESTKEY", "aws_secret_access_key": "of-the-tests"}
    there = behind(server.url, S3Bucket(bucket_name="raw", credentials=AwsCredentials(**keys)))
    looks: list[Callable[[], object]] = [
        lambda: there.write_path("a", b"1"),
        lambda: there.upload_from_file_object(BytesIO(b"1"), "a"),
        lambda: there.read_path("a"),
        lambda: there.object_info("a"),
        lambda: list(there.list_objects()),
    ]
    for look in looks:
        with pytest.raises(StorageError):
            look()
    assert server.heads
    assert not [head for head in server.heads if b"expect:" in head.lower()]
