"""Multipart uploads are recorded in their run, and `flowstone run cleanup` aborts those left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import pytest

from flowstone import flow, runtime, task
from flowstone.bootstrap import open_services
from flowstone.context import current
from flowstone.context.external_work import read_handles
from flowstone.errors import StorageError, StoreUnusable
from flowstone.records.events import ExternalHandle
from flowstone.settings import Settings
from flowstone_aws import S3Bucket, s3_upload
from flowstone_aws import transfers as parts
from flowstone_aws.uploads import make_handle_id, parse_handle_id
from flowstone_testing.conformance.database.base import until

if TYPE_CHECKING:
    from typing import BinaryIO

#: Uploads an object whose source gives three parts, says so, and then nothing more.
PROGRAM = """
import sys
from flowstone import flow, task
from flowstone_aws import S3Bucket

class Endless:
    left = 3 * 8 * 1024 * 1024 + 1
    def seekable(self): return False
    def read(self, size=-1):
        if not self.left:
            print("sent", flush=True)
            sys.stdin.read()
        size = min(self.left, size)
        self.left -= size
        return bytes(size)

@task
def send():
    options = {"if_match": sys.argv[1]} if sys.argv[1:] else {}
    S3Bucket.load("raw").upload_from_file_object(Endless(), "a b/ü.bin", **options)

@flow(flow_run_name="sends")
def sends():
    send()

if __name__ == "__main__":
    sends()
"""


def list_uploads(bucket: S3Bucket) -> list[str]:
    client = bucket.credentials.client("s3")
    found = client.list_multipart_uploads(Bucket=bucket.bucket_name)
    return [upload["UploadId"] for upload in found.get("Uploads", ())]


def has_parts(bucket: S3Bucket, upload: str) -> bool:
    client, key = bucket.credentials.client("s3"), f"{bucket.basepath}/a b/ü.bin"
    return bool(client.list_parts(Bucket=bucket.bucket_name, Key=key, UploadId=upload).get("Parts"))


@contextmanager
def start_sending(home: Path, *args: str) -> Iterator[subprocess.Popen[str]]:
    """Start the program, and wait until it has read everything from its source."""
    program = home.parent / "program.py"
    program.write_text(PROGRAM, "utf-8")
    child = subprocess.Popen(
        [sys.executable, str(program), *args],
        env={**os.environ, "FLOWSTONE_HOME": str(home)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "sent\n"
        yield child
    finally:
        child.kill()
        child.communicate()


def clean_up(home: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flowstone", "run", "cleanup", "sends", *options],
        env={**os.environ, "FLOWSTONE_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no kill -9 here")
@pytest.mark.parametrize("conditional", [False, True])
def test_an_upload_that_was_killed_is_aborted(
    emulated: str, bucket: S3Bucket, home: Path, conditional: bool
) -> None:
    bucket.save("raw")
    bucket.write_path("a b/ü.bin", b"the old one")
    etag = bucket.object_info("a b/ü.bin").etag or ""
    with start_sending(home, *([etag] if conditional else [])) as child:
        [upload] = list_uploads(bucket)
        until(lambda: has_parts(bucket, upload), "a part is there", 60)
        child.send_signal(signal.SIGKILL)
        child.communicate()
    assert child.returncode == -signal.SIGKILL
    assert list_uploads(bucket) == [upload]
    done = clean_up(home)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Cancelled upload s3://")
    assert list_uploads(bucket) == []
    assert bucket.read_path("a b/ü.bin") == b"the old one"
    assert clean_up(home).stdout == "Nothing to clean up.\n"


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no kill -9 here")
def test_what_s3_has_forgotten_is_cleaned_up(emulated: str, bucket: S3Bucket, home: Path) -> None:
    bucket.save("raw")
    with start_sending(home) as child:
        child.kill()
        child.communicate()
    [upload] = list_uploads(bucket)
    key = f"{bucket.basepath}/a b/ü.bin"
    client = bucket.credentials.client("s3")
    client.abort_multipart_upload(Bucket=bucket.bucket_name, Key=key, UploadId=upload)
    [told] = json.loads(clean_up(home, "--json").stdout)
    assert (told["kind"], told["ended"], told["error"]) == ("upload", True, None)
    assert told["block"] == "s3-bucket/raw"


def record(work: object) -> list[tuple[str, bool]]:
    """Run a function in a task; return the blocks of its uploads, and whether they ended."""

    @task
    def inner() -> None:
        assert callable(work)
        work()

    @flow
    def outer() -> str:
        inner(return_state=True)
        return str(runtime.flow_run.id)

    root = outer()
    return [(work.handle.block, ended) for work, ended in read_handles(root)]


def test_uploads_that_ended_are_not_left(bucket: S3Bucket, home: Path, tmp_path: Path) -> None:
    large = tmp_path / "up/large"
    large.parent.mkdir()
    large.write_bytes(bytes(9 * parts.MB))
    bucket.save("raw")
    saved, unsaved = ("s3-bucket/raw", True), ("s3-bucket", True)
    assert record(lambda: bucket.upload_from_path(large, "a")) == [saved]
    assert record(lambda: bucket.upload_from_path(large, "b", if_none_match="*")) == [saved]
    assert record(lambda: bucket.put_directory(large.parent)) == [saved]
    name, login = bucket.bucket_name, bucket.credentials
    content = large.read_bytes()
    assert record(lambda: s3_upload.fn(content, name, login, None, "c")) == [unsaved]
    assert record(lambda: bucket.write_path("small", b"1")) == []


@pytest.mark.parametrize("condition", [None, "*"])
def test_an_upload_that_failed_is_not_left(
    bucket: S3Bucket, home: Path, condition: Literal["*"] | None
) -> None:
    class Broken(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 9 * parts.MB:
                until(lambda: list_uploads(bucket), "the upload has begun", 60)
                raise OSError("broken")
            return super().read(size)

        def seekable(self) -> bool:
            return False

    bucket.save("raw")
    source = cast("BinaryIO", Broken(bytes(20 * parts.MB)))
    found = record(lambda: bucket.upload_from_file_object(source, "a", if_none_match=condition))
    assert found == [("s3-bucket/raw", True)]
    assert list_uploads(bucket) == []


def test_a_copy_in_parts_is_recorded(
    bucket: S3Bucket, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "COPY_BYTES", 6 * parts.MB)
    monkeypatch.setattr(parts, "COPY_PART_BYTES", 5 * parts.MB)
    bucket.save("raw")
    bucket.write_path("a", bytes(7 * parts.MB))
    assert record(lambda: bucket.copy_object("a", "b")) == [("s3-bucket/raw", True)]


def test_an_upload_that_can_not_be_recorded_is_aborted(bucket: S3Bucket, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(bytes(9 * parts.MB))
    services = open_services(Settings(home=tmp_path / "home"))
    raised: list[Exception] = []

    @flow
    def send() -> None:
        services.close()
        try:
            bucket.upload_from_path(large, "a")
        except Exception as error:
            raised.append(error)

    with current.use_services(services), pytest.raises(StoreUnusable):
        send()
    assert isinstance(raised[0], StoreUnusable)
    assert list_uploads(bucket) == []


def test_uploads_need_no_run(bucket: S3Bucket, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(bytes(9 * parts.MB))
    bucket.upload_from_path(large, "a")
    assert bucket.object_info("a").size == 9 * parts.MB
    assert list_uploads(bucket) == []


@pytest.mark.parametrize("key", ["a", "a b/ü?#%.bin", "//a", "a//b/"])
def test_a_handle_is_read_as_it_was_made(key: str) -> None:
    upload = "id/with+odd=characters"
    made = make_handle_id("raw", key, upload)
    assert parse_handle_id(made) == ("raw", key, upload)


def test_other_handles_are_refused(bucket: S3Bucket) -> None:
    with pytest.raises(StorageError, match="not a multipart upload"):
        bucket.cancel_external(ExternalHandle("job", "s3-bucket/raw", "17"))
