"""Multipart uploads as external work of a run, so that those of a killed process can be aborted.

S3 stores the parts of an unfinished upload, and charges for them, until it is aborted.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from contextvars import Context, copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias
from urllib.parse import parse_qs, quote, unquote, urlsplit

from flowstone import record_external_end, record_external_start
from flowstone.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from types_boto3_s3.client import S3Client

    from flowstone.records.events import ExternalHandle
    from flowstone_aws.transfers import Options

    #: The context of botocore's events for a request; ours are its parameters.
    RequestContext: TypeAlias = dict[str, Mapping[str, str]]

_OURS = "flowstone_upload"
_PAYER = ("ExpectedBucketOwner", "RequestPayer")


@dataclass(frozen=True, slots=True)
class _Watch:
    """The uploads of an object to record, and the context of their run."""

    block: str
    run: Context

    def record_start(self, handle_id: str) -> ExternalHandle:
        return self.run.copy().run(record_external_start, "upload", self.block, handle_id)

    def record_end(self, handle: ExternalHandle) -> None:
        self.run.copy().run(record_external_end, handle)


class _Response(Protocol):
    status_code: int


_lock = threading.Lock()
_watches: dict[tuple[str, str], list[_Watch]] = {}
_open: dict[str, tuple[_Watch, ExternalHandle]] = {}


@contextmanager
def record_uploads(block: str, bucket: str, key: str) -> Iterator[None]:
    """Record multipart uploads of an object in this block as external work of the current run.

    An upload is recorded before its first part is sent, and when S3 has completed or aborted it.

    Args:
        block: the block that can abort it, as ``type/name``; only ``type`` if it is not saved.
        bucket: the bucket.
        key: the object.
    """
    watch, place = _Watch(block, copy_context()), (bucket, key)
    with _lock:
        _watches.setdefault(place, []).append(watch)
    try:
        yield
    finally:
        with _lock:
            _watches[place].remove(watch)
            if not _watches[place]:
                del _watches[place]


def watch_uploads(client: S3Client) -> None:
    """Make a client of boto3 record all uploads, in any thread and code."""

    def begin(parsed: Mapping[str, str], context: RequestContext, **_: object) -> None:
        params: Options = context[_OURS]
        upload = parsed.get("UploadId")
        watch = _find_watch((params["Bucket"], params["Key"]))
        if upload is None or watch is None:
            return
        try:
            handle = watch.record_start(make_handle_id(params["Bucket"], params["Key"], upload))
        except BaseException:
            # The code that started it does not have its id yet.
            payer = {name: params[name] for name in _PAYER if name in params}
            client.abort_multipart_upload(
                Bucket=params["Bucket"], Key=params["Key"], UploadId=upload, **payer
            )
            raise
        with _lock:
            _open[upload] = watch, handle

    events = client.meta.events
    for operation in ("CreateMultipartUpload", "CompleteMultipartUpload", "AbortMultipartUpload"):
        events.register(f"provide-client-params.s3.{operation}", _keep_params)
    events.register("after-call.s3.CreateMultipartUpload", begin)
    for operation in ("CompleteMultipartUpload", "AbortMultipartUpload"):
        events.register(f"after-call.s3.{operation}", _end)


def make_handle_id(bucket: str, key: str, upload: str) -> str:
    """Return the id of an upload's `ExternalHandle`."""
    return f"s3://{bucket}/{quote(key)}?uploadId={quote(upload, safe='')}"


def parse_handle_id(handle_id: str) -> tuple[str, str, str]:
    """Return the bucket, the key and the upload id from the id of an `ExternalHandle`.

    Raises:
        StorageError: it is not the id of an upload.
    """
    parts = urlsplit(handle_id)
    upload = parse_qs(parts.query).get("uploadId", [""])[0]
    if parts.scheme != "s3" or not upload:
        remedy = "Abort it with `client('s3').abort_multipart_upload(...)`."
        raise StorageError(handle_id, "it is not a multipart upload of S3", remedy)
    return parts.netloc, unquote(parts.path[1:]), upload


def _keep_params(params: Mapping[str, str], context: RequestContext, **_: object) -> None:
    context[_OURS] = dict(params)


def _end(http_response: _Response, context: RequestContext, **_: object) -> None:
    status = http_response.status_code
    if status >= 300 and status != 404:
        return  # it may still exist
    with _lock:
        found = _open.pop(context[_OURS]["UploadId"], None)
    if found is not None:
        watch, handle = found
        watch.record_end(handle)


def _find_watch(place: tuple[str, str]) -> _Watch | None:
    with _lock:
        found = _watches.get(place)
        return found[-1] if found else None
