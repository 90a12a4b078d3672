"""Local files: written whole or not at all, and directories walked past an ignore file."""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from flowstone.blocks.ignore_files import is_ignored, read_rules
from flowstone.errors import StorageError
from flowstone.settings import make_private_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

_PRIVATE, _SHARED = 0o600, 0o666  # but for what the umask takes away
PREFIX, SUFFIX = ".flowstone-", ".part"


def is_draft(name: str) -> bool:
    """Whether a file name is that of a file in the making."""
    return name.startswith(PREFIX) and name.endswith(SUFFIX)


@contextmanager
def open_atomically(path: Path, *, is_private: bool = False) -> Iterator[BinaryIO]:
    """Open a file to write; it takes its place when the block ends well, else nothing changes.

    Args:
        path: where; directories that are missing are made.
        is_private: whether it, and they, are their owner's alone, whatever the umask.

    Raises:
        StorageError: the disk is full, the place can't be written to.
    """
    draft = path.with_name(f"{PREFIX}{secrets.token_hex(8)}{SUFFIX}")
    try:
        file = _create_draft(draft, _PRIVATE if is_private else _SHARED)
    except OSError as error:
        raise translate_write_error(path, error) from error
    try:
        with file:
            yield file
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        if isinstance(error, StorageError):
            raise
        raise translate_write_error(path, error) from error
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _create_draft(draft: Path, mode: int) -> BinaryIO:
    def create(path: str, flags: int) -> int:
        return os.open(path, flags, mode)

    try:
        return open(draft, "xb", opener=create)
    except FileNotFoundError:  # most often the directory is there
        if mode == _PRIVATE:
            make_private_directory(draft.parent)
        else:
            draft.parent.mkdir(parents=True, exist_ok=True)
        return open(draft, "xb", opener=create)


def translate_write_error(path: Path, error: OSError) -> StorageError:
    """Return our error for a local path that can't be written."""
    problem = f"it can't be written ({error.strerror or error})"
    return StorageError(
        os.fspath(path), problem, "Check the disk's space, and who may write there."
    )


def translate_read_error(path: Path, error: OSError) -> StorageError:
    """Return our error for a local path that can't be read."""
    problem = f"it can't be read ({error.strerror or error})"
    return StorageError(os.fspath(path), problem, "Check the path, and who may read it.")


def walk(root: Path, ignore_file: Path | str | None = None) -> Iterator[str]:
    """Yield the files of a directory and below, relative and with slashes, in a fixed order.

    Args:
        root: the directory; links to directories in it are not followed.
        ignore_file: patterns of what to leave out, as in a .gitignore; None leaves out nothing.

    Raises:
        StorageError: the directory or the ignore file can't be read.
    """
    try:
        lines = [] if ignore_file is None else Path(ignore_file).read_text("utf-8").splitlines()
    except OSError as error:
        raise translate_read_error(Path(ignore_file or ""), error) from error
    rules = read_rules(lines)

    def refuse(error: OSError) -> None:
        raise translate_read_error(Path(error.filename or root), error) from error

    for place, folders, files in os.walk(root, onerror=refuse):
        here = Path(place).relative_to(root)
        folders[:] = sorted(
            name for name in folders if not is_ignored(rules, (here / name).as_posix(), folder=True)
        )
        for name in sorted(files):
            relative = (here / name).as_posix()
            if not is_ignored(rules, relative, folder=False):
                yield relative
