"""Local files: atomic writes, and walks through directories with an ignore file."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from flowstone.blocks.ignore_files import is_ignored, read_rules
from flowstone.errors import PathInvalid, StorageError
from flowstone.settings import make_private_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from flowstone.blocks.ignore_files import IgnoreRule

_PRIVATE, _SHARED = 0o600, 0o666  # minus the umask
PREFIX, SUFFIX = ".flowstone-", ".part"


def is_draft(name: str) -> bool:
    """Return whether a file name is that of an unfinished temporary file."""
    return name.startswith(PREFIX) and name.endswith(SUFFIX)


@contextmanager
def open_atomically(
    path: Path,
    *,
    is_private: bool = False,
    put_in_place: Callable[[Path, Path], object] = Path.replace,
) -> Iterator[BinaryIO]:
    """Open a file to write; it replaces the target if the block succeeds, else nothing changes.

    Args:
        path: the target; missing directories are created.
        is_private: whether only the owner can access it and new directories, whatever the umask.
        put_in_place: takes the temporary file's path and `path`, and moves the one to the other.

    Raises:
        StorageError: the disk is full, or the path can't be written to.
    """
    draft = path.with_name(f"{PREFIX}{secrets.token_hex(8)}{SUFFIX}")
    try:
        file = _create_draft(draft, _PRIVATE if is_private else _SHARED)
    except OSError as error:
        raise translate_write_error(path, error) from error
    try:
        with file:
            yield file
        put_in_place(draft, path)
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
    except FileNotFoundError:  # usually the directory exists
        if mode == _PRIVATE:
            make_private_directory(draft.parent)
        else:
            draft.parent.mkdir(parents=True, exist_ok=True)
        return open(draft, "xb", opener=create)


#: The kind of a path that is in the way of a new file.
_IN_THE_WAY = {
    errno.EISDIR: "a directory has that name",
    errno.ENOTDIR: "one of its parent directories is a file",
    errno.EEXIST: "one of its parent directories is a file",
    errno.ENAMETOOLONG: "the name is too long for this disk",
}


def translate_write_error(path: Path, error: OSError) -> StorageError:
    """Return the Flowstone error for a local path that can't be written."""
    place = os.fspath(path)
    if reason := _IN_THE_WAY.get(error.errno or 0):
        return PathInvalid(place, reason)
    problem = f"it can't be written ({error.strerror or error})"
    return StorageError(place, problem, "Check the free disk space and the permissions.")


def translate_read_error(path: Path, error: OSError) -> StorageError:
    """Return the Flowstone error for a local path that can't be read."""
    problem = f"it can't be read ({error.strerror or error})"
    return StorageError(os.fspath(path), problem, "Check the path and its permissions.")


def read_status(path: Path) -> os.stat_result:
    """Return the size and modification time of a file.

    Raises:
        StorageError: it does not exist.
    """
    try:
        return path.stat()
    except OSError as error:
        raise translate_read_error(path, error) from error


def read_ignore_file(path: Path | str | None) -> list[IgnoreRule]:
    """Return the rules of an ignore file; no rules for None.

    Raises:
        StorageError: it can't be read.
    """
    if path is None:
        return []
    try:
        return read_rules(Path(path).read_text("utf-8").splitlines())
    except OSError as error:
        raise translate_read_error(Path(path), error) from error


def walk(
    root: Path,
    rules: Sequence[IgnoreRule],
    left_out: dict[str, str],
    *,
    follow_links: bool = True,
) -> Iterator[str]:
    """Yield the files below a directory as relative paths with slashes, sorted as text.

    Object stores list in the same order. Only the names of one directory and those above it are in
    memory at a time.

    Args:
        root: the directory.
        rules: what to ignore, as `read_ignore_file` returns it.
        left_out: called with each path that is not a regular file, such as a named pipe, and why.
        follow_links: whether to follow symbolic links to directories.

    Raises:
        StorageError: a directory can't be read.
    """

    def scan(above: str, around: frozenset[tuple[int, int]]) -> Iterator[str]:
        with os.scandir(root / above) as entries:
            for entry in entries:
                relative = above + entry.name
                kind, reason = _judge(entry, around)
                is_folder = kind == stat.S_IFDIR
                if is_ignored(rules, relative, folder=is_folder):
                    continue
                if reason:
                    left_out[relative] = reason
                elif not is_folder:
                    yield relative
                elif follow_links or not entry.is_symlink():
                    yield f"{relative}/"

    def walk_folder(above: str, around: frozenset[tuple[int, int]]) -> Iterator[str]:
        folder = root / above
        try:
            own = folder.stat()
            around |= {(own.st_dev, own.st_ino)}
            names = sorted(scan(above, around))
        except OSError as error:
            raise translate_read_error(folder, error) from error
        for name in names:
            if name.endswith("/"):
                yield from walk_folder(name, around)
            else:
                yield name

    return walk_folder("", frozenset())


_NO_FILES = {stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}


def _judge(entry: os.DirEntry[str], around: frozenset[tuple[int, int]]) -> tuple[int, str]:
    """Return the kind of an entry, after following links, and why it is skipped, if it is."""
    try:
        entry.name.encode()
        if entry.is_file():
            return stat.S_IFREG, ""
        found = entry.stat()
    except UnicodeEncodeError:
        return 0, "its name is not valid UTF-8"
    except OSError as error:
        return 0, f"a broken link ({error.strerror})"
    kind = stat.S_IFMT(found.st_mode)
    if kind != stat.S_IFDIR:
        return kind, _NO_FILES.get(kind, "a device")
    if (found.st_dev, found.st_ino) in around:
        return kind, "a link to a directory that it is in"
    return kind, ""
