"""Comparison of a file with an object: when an ETag is sufficient, and when it isn't."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowstone_aws import AwsClientParameters, S3Bucket
from flowstone_aws.s3_checksums import _guess_sizes, matches_etag
from flowstone_aws.transfers import PART_BYTES, choose_part_bytes

MB = 1024 * 1024


def patterned(size: int) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def put_in_parts(bucket: S3Bucket, path: str, parts: list[bytes]) -> None:
    client, key = bucket.credentials.client("s3"), f"{bucket.basepath}/{path}"
    target: dict[str, Any] = {"Bucket": bucket.bucket_name, "Key": key}
    target["UploadId"] = client.create_multipart_upload(**target)["UploadId"]
    sent: list[Any] = [
        {
            "PartNumber": number,
            "ETag": client.upload_part(**target, PartNumber=number, Body=part)["ETag"],
        }
        for number, part in enumerate(parts, 1)
    ]
    client.complete_multipart_upload(**target, MultipartUpload={"Parts": sent})


def cut(content: bytes, *sizes: int) -> list[bytes]:
    parts, start = [], 0
    for size in sizes:
        parts.append(content[start : start + size])
        start += size
    return parts


def compare(bucket: S3Bucket, path: str, file: Path) -> bool | None:
    provider = bucket.make_provider()
    [info] = [info for info in provider.list("") if info.path == provider.make_key(path)]
    assert info.size == file.stat().st_size
    return provider.matches(info, file)


def spoil(file: Path) -> None:
    with file.open("r+b") as content:
        content.seek(-1, 2)
        content.write(b"?")


@pytest.mark.parametrize("size", [1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES])
@pytest.mark.parametrize("condition", [{}, {"if_none_match": "*"}], ids=["plain", "condition"])
def test_our_own_uploads_are_known(
    bucket: S3Bucket, tmp_path: Path, size: int, condition: dict[str, Any]
) -> None:
    file = tmp_path / "file"
    file.write_bytes(patterned(size))
    bucket.upload_from_path(file, "a", **condition)
    assert compare(bucket, "a", file) is True
    spoil(file)
    assert compare(bucket, "a", file) is False


@pytest.mark.parametrize(
    ("sizes", "same", "spoiled"),
    [
        ([5 * MB] * 4, True, False),
        ([7 * MB, 7 * MB, 6 * MB], True, False),  # as many parts as ours would be
        ([20 * MB], True, False),
        ([5 * MB, 8 * MB, 7 * MB], None, None),
        ([8 * MB, 7 * MB, 5 * MB], False, False),  # looks like ours: better sent twice than never
    ],
    ids=str,
)
def test_uploads_of_others_are_known_by_their_first_part(
    bucket: S3Bucket,
    tmp_path: Path,
    sizes: list[int],
    same: bool | None,
    spoiled: bool | None,
) -> None:
    file, content = tmp_path / "file", patterned(20 * MB)
    file.write_bytes(content)
    put_in_parts(bucket, "a", cut(content, *sizes))
    assert compare(bucket, "a", file) is same
    spoil(file)
    assert compare(bucket, "a", file) is spoiled


@pytest.mark.parametrize("in_parts", [False, True])
def test_with_a_key_of_kms_nothing_can_be_told(
    bucket: S3Bucket, tmp_path: Path, in_parts: bool
) -> None:
    file, content = tmp_path / "file", patterned(9 * MB if in_parts else 100)
    file.write_bytes(content)
    sealed = bucket.model_copy(update={"upload_options": {"ServerSideEncryption": "aws:kms"}})
    sealed.upload_from_path(file, "a")
    spoil(file)
    assert compare(bucket, "a", file) is None


@pytest.mark.parametrize("status", ["403 Forbidden", "400 Bad Request"])
def test_what_s3_does_not_say_can_not_be_told(
    bucket: S3Bucket, ending: Callable[[bytes], Any], tmp_path: Path, status: str
) -> None:
    """Credentials that may only write; an object encrypted with a customer-supplied key."""
    file = tmp_path / "file"
    file.write_bytes(b"content")
    bucket.upload_from_path(file, "a")
    provider = bucket.make_provider()
    [info] = provider.list(provider.make_prefix())
    server = ending(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
    parameters = AwsClientParameters(
        endpoint_url=server.url, config={"retries": {"max_attempts": 0}}
    )
    login = bucket.credentials.model_copy(update={"aws_client_parameters": parameters})
    other = bucket.model_copy(update={"credentials": login}).make_provider()
    assert other.matches(info, file) is True
    assert not server.heads
    spoil(file)
    assert other.matches(info, file) is None
    assert server.heads


@pytest.mark.parametrize("etag", ["", "1", "d41d8cd98f00b204e9800998ecf8427e-", "x" * 32])
def test_another_etag_says_nothing(tmp_path: Path, etag: str) -> None:
    def look(_: object) -> dict[str, Any]:
        raise AssertionError("there is nothing to ask")

    (tmp_path / "file").write_bytes(b"")
    assert matches_etag(etag, 0, tmp_path / "file", look) is None


def test_the_sizes_of_our_parts_are_known() -> None:
    most = 10_000 * PART_BYTES
    for size, parts, step in ((most, 10_000, 1), (most + 1, 5_001, 2), (2 * most + 1, 5_001, 4)):
        sizes = _guess_sizes(size, parts)
        assert sizes is not None
        assert sizes(0) == sizes(parts) == step * PART_BYTES
    assert _guess_sizes(most, 9_999) is None
    # Of an unknown size, they grow: 1000 of 8 MiB, 1000 of 16 MiB …
    assert _guess_sizes(2000 * PART_BYTES, 1500) is choose_part_bytes
    assert _guess_sizes(2000 * PART_BYTES, 1501) is None
