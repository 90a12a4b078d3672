"""What is said of an object when it is written: its type, its metadata, and a condition."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from flowstone.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Names that S3, GCS and Azure all keep as they are.
_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_VALUE = re.compile(r"[!-~](?:[ -~]*[!-~])?|")
#: S3 takes no more; the others take 8 kB.
METADATA_BYTES = 2048


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """How an object is to be written.

    Attributes:
        content_type: its media type; None for what its name says.
        metadata: texts by name that are kept with it.
        if_match: write only over the content with this etag.
        is_new: write only where there is no such object.
    """

    content_type: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    if_match: str | None = None
    is_new: bool = False

    def has_condition(self) -> bool:
        """Return whether the object is written only where a condition holds."""
        return self.is_new or self.if_match is not None


def make_write_options(
    where: str,
    *,
    if_none_match: Literal["*"] | None,
    if_match: str | None,
    content_type: str | None,
    metadata: Mapping[str, str] | None,
) -> WriteOptions:
    """Return the options of a write, as they were given to a method of `ObjectStore`.

    Raises:
        StorageError: no service takes them.
    """
    if if_none_match not in {None, "*"}:
        problem = f"if_none_match is {if_none_match!r}"
        raise StorageError(where, problem, "Pass '*', or an etag as if_match.")
    if if_none_match and if_match is not None:
        remedy = "Pass one of them."
        raise StorageError(where, "if_none_match and if_match exclude each other", remedy)
    if content_type is not None and not _VALUE.fullmatch(content_type):
        remedy = "Pass a media type, as 'text/csv'."
        raise StorageError(where, f"content_type is {content_type!r}", remedy)
    given = dict(metadata or {})
    _check_metadata(where, given.items())
    return WriteOptions(content_type or None, given, if_match, if_none_match is not None)


def _check_metadata(where: str, metadata: Iterable[tuple[object, object]]) -> None:
    size = 0
    for name, value in metadata:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            remedy = "Use lower-case letters, digits and underscores, which every service keeps."
            raise StorageError(where, f"metadata can't have the name {name!r}", remedy)
        if not isinstance(value, str) or not _VALUE.fullmatch(value):
            problem = f"the metadata {name!r} is no text of printable ASCII characters"
            raise StorageError(where, problem, "Encode it, as with urllib.parse.quote.")
        size += len(name) + len(value)
    if size > METADATA_BYTES:
        problem = f"its metadata has {size} bytes"
        raise StorageError(where, problem, f"Pass {METADATA_BYTES} at most, as S3 takes no more.")
