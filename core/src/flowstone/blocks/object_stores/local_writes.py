"""Move a new file to its target: replace an existing file, or only under a condition."""

from __future__ import annotations

import errno
import os
from contextlib import closing, suppress
from time import sleep
from typing import TYPE_CHECKING

from flowstone.blocks.local_files import translate_read_error
from flowstone.errors import ObjectChanged, ObjectExists
from flowstone.locking import lock_descriptor

if TYPE_CHECKING:
    from pathlib import Path

#: Error codes of system calls for paths that don't lead to a file.
NO_FILE = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.ENXIO}
#: Seconds between two attempts to lock a file that another writer has locked.
_NAP = 0.005


def make_etag(found: os.stat_result) -> str:
    """Return the etag of a file, which changes with its modification time or size."""
    return f"{found.st_mtime_ns:x}-{found.st_size:x}"


def replace_file(draft: Path, path: Path) -> None:
    """Replace a file with a draft, and make sure that its etag changes."""
    with suppress(OSError):
        old, new = path.stat(), draft.stat()
        if make_etag(old) == make_etag(new):
            # Timestamps of some file systems have a resolution of only a few milliseconds.
            os.utime(draft, ns=(new.st_atime_ns, new.st_mtime_ns + 1))
    draft.replace(path)


def place_new_file(draft: Path, path: Path) -> None:
    """Move a draft to a path that has no file yet.

    Raises:
        ObjectExists: there is a file already.
    """
    try:
        os.link(draft, path)
    except FileExistsError as error:
        if path.is_dir():
            raise
        raise ObjectExists(str(path)) from error
    draft.unlink()


def check_etag(path: Path, etag: str) -> None:
    """Check that a file exists and has an etag.

    Raises:
        ObjectChanged: there is no file, or it has another etag.
    """
    try:
        found = path.stat()
    except OSError as error:
        if error.errno not in NO_FILE:
            raise translate_read_error(path, error) from error
        raise ObjectChanged(str(path)) from error
    if make_etag(found) != etag:
        raise ObjectChanged(str(path))


def replace_matching_file(draft: Path, path: Path, etag: str) -> None:
    """Replace a file with a draft if it has an etag, under a lock that other writers wait for.

    Raises:
        ObjectChanged: there is no file, or it has another etag.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        if error.errno not in NO_FILE:
            raise
        raise ObjectChanged(str(path)) from error
    with closing(file):
        while not lock_descriptor(file.fileno()):
            sleep(_NAP)
        check_etag(path, etag)
        replace_file(draft, path)
