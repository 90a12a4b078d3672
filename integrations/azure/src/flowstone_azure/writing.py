"""Options of a write for Azure's SDK: content type, metadata, and a condition."""

from __future__ import annotations

import mimetypes
import re
from typing import TYPE_CHECKING, cast

from flowstone.errors import ObjectChanged, ObjectExists, ObjectMissing, StorageError
from flowstone_azure.blob_settings import NewGiven
from flowstone_azure.errors import read_code

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azure.core import MatchConditions
    from azure.storage.blob import ContentSettings

    from flowstone.blocks.object_stores import WriteOptions

#: Names of metadata are C# identifiers; these characters are not allowed in them.
_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9_]")
#: The service's error codes for a condition that does not hold.
_UNMET = {"BlobAlreadyExists", "ConditionNotMet", "TargetConditionNotMet"}


class Given(NewGiven, total=False):
    """Keyword arguments of the SDK's methods for writing an object."""

    content_settings: ContentSettings
    metadata: dict[str, str]
    etag: str
    match_condition: MatchConditions
    retry_total: int


def describe_object(where: str, key: str, options: WriteOptions, given: NewGiven) -> Given:
    """Return the SDK's arguments for a write: content type, metadata, condition, and `given`.

    Conditional requests are sent only once. The SDK would retry them after a broken connection,
    although the first request may have succeeded.

    Raises:
        StorageError: a metadata value can't be sent in a header.
    """
    # Loaded with the first client, see `logins`.
    from azure.core import MatchConditions
    from azure.storage.blob import ContentSettings

    found: Given = {
        "content_settings": ContentSettings(content_type=_find_content_type(key, options)),
        "metadata": _make_metadata(where, options.metadata),
    }
    found |= cast("Given", given)
    if options.is_new:
        found |= {"match_condition": MatchConditions.IfMissing, "retry_total": 0}
    elif options.if_match is not None:
        found["etag"] = f'"{options.if_match}"'
        found |= {"match_condition": MatchConditions.IfNotModified, "retry_total": 0}
    return found


def _find_content_type(key: str, options: WriteOptions) -> str | None:
    """Return the given content type, or guess it from the name; None for Azure's default."""
    if options.content_type:
        return options.content_type
    kind, encoding = mimetypes.guess_type(key)
    return kind if kind and not encoding else None


def _make_metadata(where: str, metadata: Mapping[str, str]) -> dict[str, str]:
    """Return metadata with names that Azure allows; other clouds' may have other characters.

    Raises:
        StorageError: a value can't be sent in a header.
    """
    for name, value in metadata.items():
        if not value.isascii() or not value.isprintable():
            problem = f"the metadata value of {name!r} is not printable ASCII"
            raise StorageError(where, problem, "Remove it from the source, or encode it.")
    return {_make_name(name): value for name, value in metadata.items()}


def _make_name(name: str) -> str:
    found = _NOT_IN_NAME.sub("_", name)
    return f"_{found}" if found[:1].isdigit() else found


def find_unmet(where: str, options: WriteOptions, error: StorageError) -> StorageError | None:
    """Return the error to raise if the condition of a write does not hold; None otherwise."""
    cause = error.__cause__
    code, status = read_code(cause), getattr(cause, "status_code", None)
    is_unmet = code in _UNMET or (not code and status in {409, 412})
    if options.is_new and is_unmet:
        return ObjectExists(where)
    if options.if_match is not None and (is_unmet or isinstance(error, ObjectMissing)):
        return ObjectChanged(where)
    return None
