"""Comparison of a file with an object by the ETag.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html: the ETag is the MD5 of an object
that was uploaded in one request. For one that was uploaded in parts, it is the MD5 of the MD5s of
the parts, with their count. With a KMS key or a customer-supplied key, it is neither.
"""

from __future__ import annotations

import hashlib
import re
from itertools import count, takewhile
from typing import TYPE_CHECKING, TypeAlias

from flowstone.blocks.object_stores import CHUNK_BYTES
from flowstone.errors import AccessDenied, StorageError
from flowstone_aws.errors import read_code
from flowstone_aws.transfers import MOST_PARTS, PART_BYTES, choose_part_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import BinaryIO

    from flowstone.blocks.object_stores import ObjectInfo
    from flowstone_aws.transfers import Options

    #: Returns the size of a part by its number, from 0.
    PartSizes: TypeAlias = Callable[[int], int]

_ETAG = re.compile(r"[0-9a-f]{32}(?:-([0-9]+))?")


def matches_object(info: ObjectInfo, file: Path, look: Callable[[Options], Options]) -> bool | None:
    """Call `matches_etag` for a listed object; return None if S3 denies reading its properties."""
    try:
        return matches_etag(info.etag or "", info.size, file, look)
    except AccessDenied:
        return None  # the credentials may only write
    except StorageError as error:
        # Without the customer-supplied key, S3 returns no properties of the object.
        if read_code(error.__cause__) in {"400", "InvalidRequest"}:
            return None
        raise


def matches_etag(
    etag: str, size: int, file: Path, look: Callable[[Options], Options]
) -> bool | None:
    """Return whether a file has the content behind an ETag; None if that is unknown.

    Args:
        etag: the ETag, without quotes.
        size: the size of the object and the file, in bytes.
        file: the file.
        look: requests the properties of the object, with further parameters.

    Raises:
        OSError: the file can't be read.
    """
    found = _ETAG.fullmatch(etag)
    if found is None:
        return None
    if found[1] is None:
        if _hash_whole(file) == etag:
            return True
        return None if _is_no_digest(look({})) else False
    parts = int(found[1])
    ours = _guess_sizes(size, parts)
    if ours is not None and _hash_parts(file, ours) == etag:
        return True
    first = look({"PartNumber": 1})
    length = first["ContentLength"]
    if _is_no_digest(first) or first.get("PartsCount") != parts or not length:
        return None
    if ours is not None and ours(0) == length:
        return False
    return _hash_parts(file, lambda _: length) == etag if -(-size // length) == parts else None


def _is_no_digest(found: Options) -> bool:
    """Return whether the ETag of an object is not an MD5, because of its encryption."""
    kind = found.get("ServerSideEncryption", "AES256")
    return kind != "AES256" or "SSECustomerAlgorithm" in found


def _guess_sizes(size: int, parts: int) -> PartSizes | None:
    """Return the sizes of this many parts, as uploads choose them; None if they would differ."""
    step = PART_BYTES
    while -(-size // step) > MOST_PARTS:  # like boto3
        step *= 2
    if -(-size // step) == parts:
        return lambda _: step
    ends, end = 0, 0
    while end < size and ends <= parts:
        end += choose_part_bytes(ends)
        ends += 1
    return choose_part_bytes if ends == parts else None


def _hash_whole(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, _md5).hexdigest()


def _hash_parts(file: Path, choose_bytes: PartSizes) -> str:
    with file.open("rb") as content:
        digests = (_hash_next(content, choose_bytes(number)) for number in count())
        made = list(takewhile(bool, digests))
    return f"{_md5(b''.join(made)).hexdigest()}-{len(made)}"


def _hash_next(content: BinaryIO, size: int) -> bytes:
    """Return the MD5 of the next `size` bytes, or of the rest; b"" at the end."""
    part, left = _md5(), size
    while left and (chunk := content.read(min(left, CHUNK_BYTES))):
        part.update(chunk)
        left -= len(chunk)
    return part.digest() if left < size else b""


def _md5(content: bytes = b"") -> hashlib._Hash:
    return hashlib.md5(content, usedforsecurity=False)
