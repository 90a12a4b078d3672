"""How a new file takes its place in a local directory: over what is there, or on a condition."""

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

#: What a system call fails with where a path leads to no file.
NO_FILE = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.ENXIO}
#: Seconds between two looks at a file that another writer has locked.
_NAP = 0.005


def make_etag(found: os.stat_result) -> str:
    """Return the etag of a file: it changes with the file's time or size."""
    return f"{found.st_mtime_ns:x}-{found.st_size:x}"


def replace_file(draft: Path, path: Path) -> None:
    """Put a file in the place of another, with another etag."""
    with suppress(OSError):
        old, new = path.stat(), draft.stat()
        if make_etag(old) == make_etag(new):
            # The clock of a file system may tick every few milliseconds only.
            os.utime(draft, ns=(new.st_atime_ns, new.st_mtime_ns + 1))
    draft.replace(path)


def place_new_file(draft: Path, path: Path) -> None:
    """Put a file where there is none.

    Raises:
        ObjectExists: there is one.
    """
    try:
        os.link(draft, path)
    except FileExistsError as error:
        if path.is_dir():
            raise
        raise ObjectExists(str(path)) from error
    draft.unlink()


def must_match(path: Path, etag: str) -> None:
    """Check that there is a file with an etag.

    Raises:
        ObjectChanged: there is none, or it has another etag.
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
    """Put a file in the place of the one with an etag; others that do so meanwhile wait.

    Raises:
        ObjectChanged: it has another etag, or is not there any more.
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
        must_match(path, etag)
        replace_file(draft, path)
