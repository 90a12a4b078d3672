"""Transfers of large objects in parallel blocks, with bounded memory and no partial objects."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, BinaryIO, Unpack
from uuid import uuid4

import requests
from azure.core import MatchConditions
from azure.core.exceptions import ServiceResponseError
from azure.storage.blob import BlobBlock
from requests.adapters import HTTPAdapter

from flowstone.blocks.object_stores import map_in_threads, send_in_parts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from azure.core.pipeline.transport._requests_basic import RequestsTransport
    from azure.storage.blob import BlobClient

    from flowstone_azure.blob_settings import PartGiven, ReadGiven
    from flowstone_azure.writing import Given
else:
    from azure.core.pipeline.transport import RequestsTransport  # which is exported untyped

MB = 1024 * 1024
#: Objects up to this size are sent in one request, larger ones in blocks.
PART_BYTES = 8 * MB
BLOCK_BYTES = 4 * MB
MOST_BLOCKS = 50_000
WORKERS = 4
#: Limits the blocks in memory, of all transfers of this process.
_in_memory = threading.BoundedSemaphore(16)

CLIENT_DEFAULTS: Mapping[str, Any] = {
    "retry_total": 3,
    # The SDK's default is to wait 15 s before the first retry.
    "initial_backoff": 1,
    "increment_base": 2,
    "connection_timeout": 10,
    "read_timeout": 60,
    "connection_data_block_size": MB // 4,
    # A download holds a chunk in memory.
    "max_single_get_size": BLOCK_BYTES,
    "max_chunk_get_size": BLOCK_BYTES,
    "user_agent": "flowstone-azure",
}


def open_transport(options: Mapping[str, Any]) -> RequestsTransport:
    """Return a transport with enough connections for parallel transfers of a folder."""
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=64))
    names = ("connection_timeout", "read_timeout", "connection_verify", "connection_cert")
    settings = {name: options[name] for name in names if name in options}
    return _Transport(session=session, **settings)


class _Transport(RequestsTransport):
    """Detects truncated responses, and hides the length of a response's content.

    The SDK would call `list` on content with a length, which allocates that many slots.
    """

    def send(self, request: Any, **kwargs: Any) -> Any:
        response = super().send(request, **kwargs)
        if _is_half(request.method, response):
            response.internal_response.close()
            raise ServiceResponseError("the connection ended in the middle of the response")
        if not kwargs.get("stream"):
            return response
        stream = response.stream_download
        response.stream_download = lambda *args, **options: _Content(stream(*args, **options))
        return response


def _is_half(method: str, response: Any) -> bool:
    """Return whether the connection broke within the headers, which the SDK does not notice."""
    if response.status_code not in {200, 201, 202, 206}:
        return False
    headers = {name.lower(): value for name, value in response.headers.items()}
    # Azurite sends no request id in responses to POST, whose XML shows when it is truncated.
    wanted = {"date"} if method == "POST" else {"date", "x-ms-request-id"}
    if response.status_code == 206:
        wanted.add("content-range")
    if method == "HEAD":
        wanted |= {"etag", "last-modified", "content-length"}
    has_end = {"content-length", "transfer-encoding"} & set(headers)
    ends_with_connection = headers.get("connection", "").lower() == "close"
    return not wanted <= set(headers) or not (has_end or ends_with_connection)


class _Content:
    def __init__(self, content: Any) -> None:
        self._content = content

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._content)


def upload_blocks(
    client: BlobClient,
    source: BinaryIO,
    size: int | None,
    part: PartGiven,
    **options: Unpack[Given],
) -> None:
    """Upload an object in parallel blocks; the last request commits it as a whole.

    After a failure, uploaded blocks are not part of any object; Azure deletes them after a week.

    Args:
        client: the client of the object.
        source: the content, read sequentially by one thread at a time.
        size: the number of bytes; None if unknown.
        part: arguments of the SDK's ``stage_block``.
        **options: arguments of the SDK's ``commit_block_list``: type, metadata, a condition.
    """
    upload = uuid4().hex

    def send(number: int, content: bytes) -> BlobBlock:
        # All block ids of an object must have the same length; the SDK encodes them.
        name = f"{upload}{number:08}"
        client.stage_block(name, content, length=len(content), **part)
        return BlobBlock(name)

    blocks = send_in_parts(
        source,
        send,
        choose_bytes=lambda number: _choose_block_bytes(size, number),
        workers=WORKERS,
        bound=_in_memory,
    )
    client.commit_block_list(blocks, **options)


def download_ranges(
    client: BlobClient, size: int, etag: str, target: BinaryIO, **options: Unpack[ReadGiven]
) -> None:
    """Download an object into a seekable file, in parallel ranges, from its current position.

    Args:
        client: the client of the object.
        size: the size of the object in bytes.
        etag: the etag of the object; the download fails if the object has changed.
        target: the file, written by one thread at a time and left at its end.
        **options: other arguments of the SDK's ``download_blob``.
    """
    start, writing = target.tell(), threading.Lock()

    def fetch(offset: int) -> None:
        with _in_memory:
            content = client.download_blob(
                offset,
                min(BLOCK_BYTES, size - offset),
                etag=f'"{etag}"',
                match_condition=MatchConditions.IfNotModified,
                max_concurrency=1,
                **options,
            ).readall()
            with writing:
                target.seek(start + offset)
                target.write(content)

    for _ in map_in_threads(fetch, range(0, size, BLOCK_BYTES), WORKERS):
        pass
    target.seek(start + size)


def _choose_block_bytes(size: int | None, number: int) -> int:
    """Return the size of a block, which grows with the object to limit the number of blocks."""
    if size is not None:
        return max(BLOCK_BYTES, -(-size // MOST_BLOCKS))
    return BLOCK_BYTES * (1 + number // 10_000)
