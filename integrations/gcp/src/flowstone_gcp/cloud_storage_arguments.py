"""The arguments of the Cloud Storage tasks, and their interpretation."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import SecretStr

from flowstone import record_measures
from flowstone.blocks.local_files import translate_read_error
from flowstone_gcp.cloud_storage import GcsBucket
from flowstone_gcp.cloud_storage_provider import GcsProvider
from flowstone_gcp.credentials import GcpCredentials

Bucket = str | GcsBucket
EncryptionKey = str | bytes | SecretStr
Timeout = float | tuple[float, float]


def reach_bucket(
    bucket: Bucket, login: GcpCredentials | None = None, project: str | None = None
) -> GcsProvider:
    """Return the provider for a bucket, given as a name with credentials, or as a block."""
    if isinstance(bucket, str):
        bucket = GcsBucket(bucket=bucket)
    if login is not None or project is not None:
        login = login or bucket.gcp_credentials
        if project is not None:
            login = login.model_copy(update={"project": project})
        bucket = bucket.model_copy(update={"gcp_credentials": login})
    return bucket.make_provider()


def make_blob_key(provider: GcsProvider, bucket: Bucket, path: str) -> str:
    """Return a blob's full name; a name that is passed with a bucket's name is full already."""
    if isinstance(bucket, GcsBucket) or path.startswith("gs://"):
        return provider.make_key(path)
    return path


def shape_blob(chunk_size: int | None, encryption_key: EncryptionKey | None) -> dict[str, Any]:
    """Return the arguments of the SDK's `Bucket.blob` for a transfer."""
    key = encryption_key
    if isinstance(key, SecretStr):
        key = key.get_secret_value()
    content = key.encode() if isinstance(key, str) else key
    found = {"chunk_size": chunk_size, "encryption_key": content}
    return {name: value for name, value in found.items() if value is not None}


@contextmanager
def open_source(file: str | Path | BinaryIO) -> Iterator[BinaryIO]:
    """Open a file by its path; an open file is not closed."""
    if not isinstance(file, (str, Path)):
        yield file
        return
    with ExitStack() as stack:
        try:
            opened = stack.enter_context(Path(file).open("rb"))
        except OSError as error:
            raise translate_read_error(Path(file), error) from error
        yield opened


def send_blob(
    provider: GcsProvider,
    key: str,
    file: BinaryIO,
    shape: dict[str, Any],
    options: dict[str, Any],
) -> None:
    """Upload from the file's current position, and record the number of bytes."""
    size = None
    if file.seekable():
        start = file.tell()
        size = file.seek(0, os.SEEK_END) - start
        file.seek(start)
    written = provider.retry_refused(lambda: provider.send(key, file, size, shape, options), file)
    record_measures(bytes_written=written, objects_written=1)
