"""Transfers of large objects: parts in parallel, in little memory, and no partial objects."""

from __future__ import annotations

import os
import stat
from io import BufferedReader, FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, cast
from urllib.parse import urlencode

from flowstone.blocks.object_stores import ObjectBody, map_in_threads, send_in_parts
from flowstone_aws.errors import read_code
from flowstone_aws.logs import keep_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from botocore.response import StreamingBody
    from s3transfer.futures import TransferFuture
    from s3transfer.manager import TransferManager
    from types_boto3_s3.client import S3Client
    from types_boto3_s3.type_defs import CompletedPartTypeDef, CopySourceTypeDef

#: Options in S3's names; S3 checks their types.
Options: TypeAlias = "Mapping[str, Any]"

MB = 1024 * 1024
#: Objects up to this size go in one request; larger ones in parts of it.
PART_BYTES = 8 * MB
READ_BYTES = 128 * 1024
#: The largest copy in one request; larger objects are copied in parts.
COPY_BYTES = 5 * 1024 * MB
COPY_PART_BYTES = 256 * MB
MOST_PARTS = 10_000
#: Options of an object that also apply to each of its parts.
PART_OPTIONS = frozenset(
    (
        "ExpectedBucketOwner",
        "RequestPayer",
        "SSECustomerAlgorithm",
        "SSECustomerKey",
        "SSECustomerKeyMD5",
    )
)
#: Codes of services that do not support tags.
NO_TAGS = frozenset({"MethodNotAllowed", "NotImplemented", "501"})
#: The option with which the source of a copy is read.
_COPY_SOURCE = "CopySource"
METADATA = (
    "CacheControl",
    "ContentDisposition",
    "ContentEncoding",
    "ContentLanguage",
    "ContentType",
    "Metadata",
    "WebsiteRedirectLocation",
)


def make_manager(client: S3Client) -> TransferManager:
    """Return the manager of part transfers for all objects of a client, which share its threads."""
    # The SDK takes 0.2 s to load, which a flow that only names a bucket does not need.
    from s3transfer.manager import TransferConfig, TransferManager

    config = TransferConfig(
        multipart_threshold=PART_BYTES,
        multipart_chunksize=PART_BYTES,
        max_request_concurrency=8,
        # Parts of streams are in memory: those in transfer, and one in reserve. Files' are not.
        max_in_memory_upload_chunks=3,
        max_in_memory_download_chunks=3,
        max_submission_concurrency=1,
        max_io_queue_size=16,
        io_chunksize=MB // 4,
    )
    manager = TransferManager(client, config)
    keep_secrets()  # s3transfer has loggers, too
    return manager


def finish(transfer: TransferFuture) -> None:
    """Wait for a transfer; if the wait is interrupted, stop the transfer and clean up first."""
    try:
        transfer.result()
    except BaseException as error:
        if not transfer.done():
            transfer.cancel()
            _wait(transfer)
        if isinstance(error, _SourceInterrupted) and error.__cause__ is not None:
            raise error.__cause__ from None
        raise


def _wait(transfer: TransferFuture) -> None:
    try:
        transfer.result()
    except Exception:  # noqa: BLE001 - it was cancelled; the reason is on its way already
        return


def find_file(source: BinaryIO) -> str | None:
    """Return the path of a source that is a whole file: its parts are not held in memory."""
    if type(source) is not BufferedReader or type(source.raw) is not FileIO:
        return None  # a decompressor also has a file and a path
    name = source.name
    if not isinstance(name, str) or source.tell():
        return None
    try:
        same = Path(name).stat()
        own = os.fstat(source.fileno())
    except OSError:
        return None
    return name if stat.S_ISREG(own.st_mode) and os.path.samestat(same, own) else None


class _SourceInterrupted(Exception):
    """Replaces a source's KeyboardInterrupt or SystemExit, after which the manager would hang."""


class _Unclosed:
    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        if source.seekable():
            self.seek, self.tell = source.seek, source.tell

    def read(self, size: int = -1) -> bytes:
        try:
            return self._source.read(size)
        except Exception:
            raise
        except BaseException as error:
            raise _SourceInterrupted from error

    def seekable(self) -> bool:
        return self._source.seekable()

    def close(self) -> None:
        """Do nothing: the caller closes it."""


def leave_open(source: BinaryIO) -> BinaryIO:
    """Return a wrapper of the source that the manager can't close: the caller does that."""
    return cast("BinaryIO", _Unclosed(source))


def choose_part_bytes(number: int) -> int:
    """Return the size of a part by its number, for an object of unknown size."""
    return PART_BYTES * (1 + number // 1000)  # 10,000 parts hold 400 GB


def upload_in_parts(
    client: S3Client,
    source: BinaryIO,
    target: Options,
    options: Options,
    condition: Options,
) -> None:
    """Upload an object in parts on a condition, which boto3's manager does not support.

    Args:
        client: the client.
        source: the content, from its current position to its end.
        target: ``Bucket`` and ``Key``.
        options: options of the new object, in S3's names.
        condition: ``IfMatch`` or ``IfNoneMatch``.
    """
    upload = client.create_multipart_upload(**target, **options)["UploadId"]
    each = {name: value for name, value in options.items() if name in PART_OPTIONS}

    def send(number: int, content: bytes) -> CompletedPartTypeDef:
        part = {**target, **each, "UploadId": upload, "PartNumber": number + 1, "Body": content}
        return {"PartNumber": number + 1, "ETag": client.upload_part(**part)["ETag"]}

    try:
        parts = send_in_parts(source, send, choose_bytes=choose_part_bytes, workers=4)
        if not parts:
            parts = [send(0, b"")]
        client.complete_multipart_upload(
            **target, UploadId=upload, MultipartUpload={"Parts": parts}, **each, **condition
        )
    except BaseException:
        client.abort_multipart_upload(**target, UploadId=upload, **_find_payer(options))
        raise


def _find_payer(options: Options) -> Options:
    """Return the options for a request that does not transfer an object's content."""
    names = "ExpectedBucketOwner", "RequestPayer"
    return {name: options[name] for name in names if name in options}


def copy_whole(
    client: S3Client, source: Mapping[str, str], target: Mapping[str, str], kept: Options
) -> None:
    """Copy an object within S3 in one request; arguments as in `copy_in_parts`."""
    client.copy_object(
        Bucket=target["Bucket"],
        Key=target["Key"],
        CopySource=_name_source(source),
        CopySourceIfMatch=source["ETag"],
        **kept,
    )


def copy_in_parts(
    client: S3Client,
    source: Mapping[str, str],
    target: Mapping[str, str],
    size: int,
    kept: Options,
) -> None:
    """Copy an object within S3 that is too large for one request.

    Args:
        client: a client for the region of the target.
        source: ``Bucket``, ``Key`` and ``ETag`` of the source, optionally a ``VersionId``.
        target: ``Bucket`` and ``Key``.
        size: the size, in bytes.
        kept: further options of the new object, in S3's names.
    """
    bucket, key = target["Bucket"], target["Key"]
    step = max(COPY_PART_BYTES, -(-size // MOST_PARTS))
    read = {name: value for name, value in kept.items() if name.startswith(_COPY_SOURCE)}
    new = {name: kept[name] for name in kept if name not in read and name != "TaggingDirective"}
    each = {name: value for name, value in new.items() if name in PART_OPTIONS}
    own = {name.removeprefix(_COPY_SOURCE): value for name, value in read.items()}
    if "RequestPayer" in kept:
        own["RequestPayer"] = kept["RequestPayer"]
    found: Options = client.head_object(**_name_source(source), **own)
    # A copy in one request inherits these; a copy in parts is a new object.
    same = {name: found[name] for name in METADATA if name in found}
    if "Tagging" not in new and (tags := _read_tags(client, source, _find_payer(kept))):
        same["Tagging"] = tags
    started = client.create_multipart_upload(Bucket=bucket, Key=key, **{**same, **new})
    upload = started["UploadId"]

    def copy(number: int) -> CompletedPartTypeDef:
        first = (number - 1) * step
        answer = client.upload_part_copy(
            Bucket=bucket,
            Key=key,
            UploadId=upload,
            PartNumber=number,
            CopySource=_name_source(source),
            CopySourceIfMatch=source["ETag"],
            CopySourceRange=f"bytes={first}-{min(first + step, size) - 1}",
            **each,
            **read,
        )
        return {"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]}

    try:
        parts = list(map_in_threads(copy, range(1, -(-size // step) + 1), 8))
        client.complete_multipart_upload(
            Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}, **each
        )
    except BaseException:
        client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload, **_find_payer(kept))
        raise


def _read_tags(client: S3Client, source: Mapping[str, str], payer: Options) -> str:
    """Return the tags of an object as `Tagging`; "" if the service has none."""
    try:
        answer = client.get_object_tagging(**_name_source(source), **payer)
    except Exception as error:
        if read_code(error) not in NO_TAGS:
            raise
        return ""
    return urlencode({tag["Key"]: tag["Value"] for tag in answer["TagSet"]})


def _name_source(source: Mapping[str, str]) -> CopySourceTypeDef:
    named: CopySourceTypeDef = {"Bucket": source["Bucket"], "Key": source["Key"]}
    if "VersionId" in source:
        named["VersionId"] = source["VersionId"]
    return named


def make_body(
    body: StreamingBody,
    length: int,
    etag: str | None,
    translate_errors: Callable[[], AbstractContextManager[None]],
) -> ObjectBody:
    """Return the content of a response as a file, read in small calls; see `ObjectBody`."""
    return ObjectBody(
        lambda size: body.read(None if size < 0 else size),
        translate_errors,
        close=body.close,
        length=length,
        etag=etag,
        most_bytes=READ_BYTES,
    )
