"""What Azure is asked when an object is written: its type, its metadata, and a condition."""

from __future__ import annotations

import mimetypes
import re
from typing import TYPE_CHECKING, TypedDict

from flowstone.errors import ObjectChanged, ObjectExists, ObjectMissing, StorageError
from flowstone_azure.errors import read_code

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azure.core import MatchConditions
    from azure.storage.blob import ContentSettings

    from flowstone.blocks.object_stores import WriteOptions

#: What the name of a C# identifier may not have, and so no name of Azure's metadata.
_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9_]")
#: What the service answers where a condition does not hold.
_UNMET = {"BlobAlreadyExists", "ConditionNotMet", "TargetConditionNotMet"}


class Given(TypedDict, total=False):
    """What an object is written with, as the SDK's arguments."""

    content_settings: ContentSettings
    metadata: dict[str, str]
    etag: str
    match_condition: MatchConditions
    retry_total: int


def describe_object(where: str, key: str, options: WriteOptions) -> Given:
    """Return the SDK's arguments for an object's type, its metadata, and a condition.

    A request with a condition is sent only once: the SDK would send it again after a broken
    connection, when the first may have been done.

    Raises:
        StorageError: its metadata has a value that no header can have.
    """
    # Loaded with the first client, see `logins`.
    from azure.core import MatchConditions
    from azure.storage.blob import ContentSettings

    given: Given = {
        "content_settings": ContentSettings(content_type=_find_content_type(key, options)),
        "metadata": _make_metadata(where, options.metadata),
    }
    if options.is_new:
        given |= {"match_condition": MatchConditions.IfMissing, "retry_total": 0}
    elif options.if_match is not None:
        given["etag"] = f'"{options.if_match}"'
        given |= {"match_condition": MatchConditions.IfNotModified, "retry_total": 0}
    return given


def _find_content_type(key: str, options: WriteOptions) -> str | None:
    """Return the type that was given, or what the object's name says; None for Azure's own."""
    if options.content_type:
        return options.content_type
    kind, encoding = mimetypes.guess_type(key)
    return kind if kind and not encoding else None


def _make_metadata(where: str, metadata: Mapping[str, str]) -> dict[str, str]:
    """Return metadata with names that Azure takes; a copy from another cloud may have others.

    Raises:
        StorageError: a value is none that a header can have.
    """
    for name, value in metadata.items():
        if not value.isascii() or not value.isprintable():
            problem = f"its metadata {name!r} is no text of printable ASCII characters"
            raise StorageError(where, problem, "Take it off the source, or write without it.")
    return {_make_name(name): value for name, value in metadata.items()}


def _make_name(name: str) -> str:
    found = _NOT_IN_NAME.sub("_", name)
    return f"_{found}" if found[:1].isdigit() else found


def find_unmet(where: str, options: WriteOptions, error: StorageError) -> StorageError | None:
    """Return what to raise where an error says that the condition of a write does not hold."""
    cause = error.__cause__
    code, status = read_code(cause), getattr(cause, "status_code", None)
    is_unmet = code in _UNMET or (not code and status in {409, 412})
    if options.is_new and is_unmet:
        return ObjectExists(where)
    if options.if_match is not None and (is_unmet or isinstance(error, ObjectMissing)):
        return ObjectChanged(where)
    return None
