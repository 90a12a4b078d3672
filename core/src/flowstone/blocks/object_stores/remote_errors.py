"""Translate the errors of fsspec file systems."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from flowstone.errors import (
    AccessDenied,
    BucketMissing,
    FlowstoneError,
    ObjectMissing,
    PathInvalid,
    StorageError,
    Unreachable,
)
from flowstone.records.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Iterator

#: There is a file instead of a folder, or a folder instead of a file.
_IN_THE_WAY = (FileExistsError, IsADirectoryError, NotADirectoryError)


@contextmanager
def translate_errors(where: str, *, writes: bool = False) -> Iterator[None]:
    """Turn the errors of a file system into those of Flowstone.

    Args:
        where: the URL of the object, for messages.
        writes: whether the block writes the object.
    """
    try:
        yield
    except FlowstoneError:
        raise
    except Exception as error:  # each file system has its own errors
        raise _make_error(where, error, writes) from error


def word_error(error: Exception) -> str:
    """Return the type and the text of an error, without secrets."""
    text = redact(str(error)).strip().rstrip(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _make_error(where: str, error: Exception, writes: bool) -> StorageError:
    if isinstance(error, _IN_THE_WAY) and writes:
        return PathInvalid(
            where, f"a file or folder of that name exists already ({word_error(error)})"
        )
    if isinstance(error, FileNotFoundError) and writes:
        remedy = "Create the bucket or directory first."
        return BucketMissing(where, "the bucket or directory does not exist", remedy)
    if isinstance(error, (FileNotFoundError, *_IN_THE_WAY)):
        remedy = "`list_objects` shows what is there."
        return ObjectMissing(where, "there is no such object", remedy)
    if isinstance(error, PermissionError):
        remedy = "Check the credentials in settings, and their permissions."
        return AccessDenied(where, word_error(error), remedy)
    if isinstance(error, (ConnectionError, TimeoutError)):
        remedy = "Check the host and the network, and that the service is up."
        return Unreachable(where, word_error(error), remedy)
    if isinstance(error, NotImplementedError):
        remedy = "Use another file system, or the block of a Flowstone package for the service."
        return StorageError(where, "its file system does not support this", remedy)
    remedy = "Check basepath, settings, and the service."
    return StorageError(where, word_error(error), remedy)
