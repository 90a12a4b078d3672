"""What Azure is asked when an object is written: its type, its metadata, and a condition."""

from __future__ import annotations

import mimetypes
import re
from typing import TYPE_CHECKING, Any

from flowstone.errors import ObjectChanged, ObjectExists, ObjectMissing, StorageError
from flowstone_azure.errors import read_code

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowstone.blocks.object_stores import WriteOptions

#: What the name of a C# identifier may not have, and so no name of Azure's metadata.
_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9_]")
#: What the service answers where a condition does not hold.
_UNMET = {"BlobAlreadyExists", "ConditionNotMet", "TargetConditionNotMet"}


def find_content_type(key: str, options: WriteOptions) -> str | None:
    """Return the type that was given, or what the object's name says; None for Azure's own."""
    if options.content_type:
        return options.content_type
    kind, encoding = mimetypes.guess_type(key)
    return kind if kind and not encoding else None


def make_metadata(where: str, metadata: Mapping[str, str]) -> dict[str, str]:
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


def make_condition(options: WriteOptions) -> dict[str, Any]:
    """Return the SDK's arguments for a condition, and for a request that is sent only once.

    The SDK would send it again after a broken connection, when the first may have been done.
    """
    if not options.has_condition():
        return {}
    from azure.core import MatchConditions  # loaded with the first client

    if options.is_new:
        return {"match_condition": MatchConditions.IfMissing, "retry_total": 0}
    return {
        "etag": f'"{options.if_match}"',
        "match_condition": MatchConditions.IfNotModified,
        "retry_total": 0,
    }


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
