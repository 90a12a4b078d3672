"""Options of a write: content type, metadata, and a condition."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from flowstone.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Names that S3, GCS and Azure all keep unchanged.
_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_VALUE = re.compile(r"[!-~](?:[ -~]*[!-~])?|")
#: The limit of S3; the others allow 8 kB.
METADATA_BYTES = 2048


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """Options for writing an object.

    Attributes:
        content_type: its media type; None to guess it from the name.
        metadata: names and values to store with the object.
        if_match: only overwrite the object if it has this etag.
        is_new: only write if the object does not exist.
    """

    content_type: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    if_match: str | None = None
    is_new: bool = False

    def has_condition(self) -> bool:
        """Return whether the write is conditional."""
        return self.is_new or self.if_match is not None


def make_write_options(
    where: str,
    *,
    if_none_match: Literal["*"] | None,
    if_match: str | None,
    content_type: str | None,
    metadata: Mapping[str, str] | None,
) -> WriteOptions:
    """Validate the arguments of a write method of `ObjectStore`, and return its options.

    Raises:
        StorageError: an argument is invalid.
    """
    if if_none_match not in {None, "*"}:
        problem = f"if_none_match is {if_none_match!r}"
        raise StorageError(where, problem, "Pass '*', or pass the etag as if_match.")
    if if_none_match and if_match is not None:
        problem = "if_none_match and if_match can't be combined"
        raise StorageError(where, problem, "Pass one of them.")
    if content_type is not None and not _VALUE.fullmatch(content_type):
        remedy = "Pass a media type, such as 'text/csv'."
        raise StorageError(where, f"content_type is {content_type!r}", remedy)
    given = dict(metadata or {})
    _check_metadata(where, given.items())
    return WriteOptions(content_type or None, given, if_match, if_none_match is not None)


def _check_metadata(where: str, metadata: Iterable[tuple[object, object]]) -> None:
    size = 0
    for name, value in metadata:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            remedy = "Use lower-case letters, digits and underscores, and begin with no digit."
            raise StorageError(where, f"{name!r} is not a valid metadata name", remedy)
        if not isinstance(value, str) or not _VALUE.fullmatch(value):
            problem = f"the metadata value of {name!r} is not a str of printable ASCII characters"
            raise StorageError(where, problem, "Encode it, for example by urllib.parse.quote.")
        size += len(name) + len(value)
    if size > METADATA_BYTES:
        problem = f"the metadata has {size} bytes, and the limit is {METADATA_BYTES}"
        raise StorageError(where, problem, "Store larger values in a separate object.")
