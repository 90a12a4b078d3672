"""Snapshots of code: the files of a directory, stored in the home by their hash.

A snapshot is a single archive, which is not changed by accident. Each process that executes a run
has its own copy, so files that a run writes beside its code don't exist for the next one.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tarfile
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from secrets import token_hex
from time import time
from typing import TYPE_CHECKING, NamedTuple

from flowstone.blocks.ignore_files import is_ignored, read_rules
from flowstone.blocks.local_files import open_atomically, read_ignore_file
from flowstone.context.current import services
from flowstone.errors import ConfigurationError
from flowstone.locking import lock_descriptor
from flowstone.logging.run_logger import get_logger
from flowstone.settings import make_private_directory

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from flowstone.blocks.ignore_files import IgnoreRule

#: The file that lists what is not code in a directory, in the format of a .gitignore.
IGNORE_FILE = ".flowstoneignore"
#: A larger directory most likely contains more than code.
MOST_BYTES, MOST_FILES = 64 * 2**20, 10_000
#: Seconds for which an unneeded snapshot is retained, so that failed runs can be retried.
KEPT = 7 * 24 * 3600.0
#: Seconds for which a new copy is never removed.
_FRESH = 60.0
_USUAL = read_rules(
    [
        *(".git", ".hg/", ".svn/", ".venv/", "venv/", ".tox/", ".nox/", "node_modules/"),
        *("__pycache__/", "*.pyc", ".cache/", ".mypy_cache/", ".pytest_cache/", ".ruff_cache/"),
        *(".ipynb_checkpoints/", ".DS_Store", "/flowstone.yaml"),
    ]
)

_logger = get_logger("code")
#: The copies of this process, by their archives.
_copies: dict[Path, Path] = {}


class CodeFile(NamedTuple):
    """A file of a snapshot.

    Attributes:
        path: relative, with slashes.
        is_executable: whether its owner may execute it.
        changed: seconds since the epoch.
        content: its bytes.
    """

    path: str
    is_executable: bool
    changed: float
    content: bytes


def save_snapshot(folder: Path, package: str = "") -> str:
    """Store the files of a directory in the home, and return their hash.

    Files that `IGNORE_FILE` matches are skipped, and so are files that are never code:
    repositories, environments, caches and the home itself. Links are followed.

    Args:
        folder: the directory.
        package: the name of a directory in it, to store only that.

    Raises:
        ConfigurationError: there is no such directory, it is too large, or a file can't be read.
        StorageError: the home can't be written.
    """
    files = [_read_file(folder, path) for path in sorted(_list_paths(folder, package))]
    snapshot = _hash(files)
    archive = _find_archive(snapshot)
    if archive.exists():
        os.utime(archive)
        return snapshot
    make_private_directory(archive.parent)
    with (
        open_atomically(archive, is_private=True) as target,
        tarfile.open(fileobj=target, mode="w:gz") as tar,
    ):
        for file in files:
            member = tarfile.TarInfo(file.path)
            member.size, member.mtime = len(file.content), file.changed
            member.mode = 0o700 if file.is_executable else 0o600
            tar.addfile(member, BytesIO(file.content))
    return snapshot


def read_snapshot(snapshot: str) -> list[CodeFile]:
    """Return the files of a snapshot.

    Raises:
        ConfigurationError: it no longer exists, or was modified.
    """
    archive = _find_archive(snapshot)
    try:
        with tarfile.open(archive) as tar:
            files = list(_read_members(tar))
        os.utime(archive)
    except FileNotFoundError:
        raise _make_error(snapshot, "it is missing from your home") from None
    except (OSError, EOFError, tarfile.TarError) as error:
        raise _make_error(snapshot, f"it is damaged: {error}") from error
    if _hash(files) != snapshot:
        raise _make_error(snapshot, "it is damaged")
    return files


def copy_snapshot(snapshot: str, folder: Path) -> None:
    """Write the files of a snapshot to a directory.

    Raises:
        ConfigurationError: as for `read_snapshot`, or the directory can't be written.
    """
    try:
        folder.mkdir(mode=0o700, parents=True)
        for file in read_snapshot(snapshot):
            path = folder / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.content)
            path.chmod(0o700 if file.is_executable else 0o600)
            os.utime(path, (file.changed, file.changed))
    except OSError as error:
        problem = f"{folder} can't be written: {error.strerror}"
        raise _make_error(snapshot, problem) from error


def open_copy(snapshot: str) -> Path:
    """Return the directory of this process's own copy of a snapshot, which is deleted at exit.

    Raises:
        ConfigurationError: as for `copy_snapshot`.
    """
    archive = _find_archive(snapshot)
    if archive not in _copies:
        copies = _find_copies()
        make_private_directory(copies)
        folder = copies / token_hex(8)
        # Locked until this process ends, so that `remove_snapshots` knows which copies are left
        # over.
        descriptor = os.open(_find_lock(folder), os.O_RDWR | os.O_CREAT, 0o600)
        lock_descriptor(descriptor)
        copy_snapshot(snapshot, folder)
        _copies[archive] = folder
        atexit.register(_close_copy, folder, os.getpid(), time())
    return _copies[archive]


def remove_snapshots(needed: Collection[str], now: float) -> None:
    """Remove snapshots that are not needed, and copies of processes that were killed.

    Args:
        needed: snapshots of deployments, and of runs that have not ended.
        now: seconds since the epoch; what was used in the last week is retained.
    """
    for archive in _find_folder().glob("*.tar.gz"):
        if archive.name.removesuffix(".tar.gz") not in needed and _is_older(archive, now - KEPT):
            archive.unlink(missing_ok=True)
    for lock in _find_copies().glob("*.lock"):
        if _is_older(lock, now - _FRESH) and _is_left_over(lock):
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
            lock.unlink(missing_ok=True)


def _make_error(snapshot: str, problem: str) -> ConfigurationError:
    return ConfigurationError(f"the stored code {snapshot[:12]}", problem, "Deploy the flow again.")


def _find_folder() -> Path:
    return services().settings.home / "code"


def _find_archive(snapshot: str) -> Path:
    return _find_folder() / f"{snapshot}.tar.gz"


def _find_copies() -> Path:
    return _find_folder() / "copies"


def _find_lock(copy: Path) -> Path:
    return copy.with_suffix(".lock")


def _list_paths(folder: Path, package: str) -> Iterator[str]:
    """Yield the paths of the files of a directory, or package; refuse one that is too large."""
    rules = [*_USUAL, *_read_own_rules(folder)]
    sizes: dict[str, int] = {}
    prefix = f"{package}/" if package else ""
    found = _walk(folder / package, prefix, rules, frozenset())
    for count, (path, size) in enumerate(found, 1):
        top = path.removeprefix(prefix).partition("/")[0]
        sizes[top] = sizes.get(top, 0) + size
        if count > MOST_FILES or sum(sizes.values()) > MOST_BYTES:
            raise make_size_error(f"the directory {str(folder / package)!r}", sizes)
        yield path


def _read_own_rules(folder: Path) -> list[IgnoreRule]:
    path = folder / IGNORE_FILE
    return read_ignore_file(path) if path.is_file() else []


def make_size_error(where: str, sizes: dict[str, int]) -> ConfigurationError:
    """Return the error for code that is too large.

    Args:
        where: the code, for the message.
        sizes: sizes in bytes, by the names at the top level.
    """
    largest = max(sizes, key=sizes.__getitem__)
    problem = (
        f"it has more than {MOST_BYTES >> 20} MiB or {MOST_FILES:,} files to keep with the "
        f"deployment, most of them in {largest!r}"
    )
    remedy = f"List files that are not code in a {IGNORE_FILE} there, written like a .gitignore."
    return ConfigurationError(where, problem, remedy)


def _walk(
    folder: Path, prefix: str, rules: list[IgnoreRule], above: frozenset[str]
) -> Iterator[tuple[str, int]]:
    """Yield paths and sizes of the files in a directory.

    Args:
        folder: the directory.
        prefix: its path in the snapshot, with a slash at its end.
        rules: the rules of files to skip.
        above: the directories around it, so that a link to one of them is not followed.
    """
    real = os.path.realpath(folder)
    home = os.path.realpath(services().settings.home)
    if real in above or real == home or (prefix and (folder / "pyvenv.cfg").exists()):
        return
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        raise _make_read_error(folder, error) from error
    for entry in entries:
        path = f"{prefix}{entry.name}"
        if entry.is_dir():
            if not is_ignored(rules, path, folder=True):
                yield from _walk(folder / entry.name, f"{path}/", rules, above | {real})
        elif entry.is_file() and not is_ignored(rules, path, folder=False):
            yield path, _read_size(entry)


def _read_size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_size
    except OSError:  # just deleted, which reading it will report
        return 0


def _make_read_error(path: Path, error: OSError) -> ConfigurationError:
    problem = f"it can't be read: {error.strerror}"
    remedy = f"Check its permissions, or name it in {IGNORE_FILE}."
    return ConfigurationError(f"the code {str(path)!r}", problem, remedy)


def _read_file(folder: Path, path: str) -> CodeFile:
    place = folder / path
    try:
        status, content = place.stat(), place.read_bytes()
    except OSError as error:
        raise _make_read_error(place, error) from error
    return CodeFile(path, bool(status.st_mode & 0o100), min(status.st_mtime, time()), content)


def _read_members(tar: tarfile.TarFile) -> Iterator[CodeFile]:
    for member in tar:
        file = tar.extractfile(member)
        if file is not None:
            executable = bool(member.mode & 0o100)
            yield CodeFile(member.name, executable, member.mtime, file.read())


def _hash(files: Iterable[CodeFile]) -> str:
    """Return the hash of paths and contents, without times."""
    digest = sha256()
    for file in files:
        head = (os.fsencode(file.path), b"x" if file.is_executable else b"", len(file.content))
        digest.update(repr(head).encode())
        digest.update(file.content)
    return digest.hexdigest()


def _is_older(path: Path, than: float) -> bool:
    try:
        return path.stat().st_mtime < than
    except OSError:
        return False  # another process has removed it


def _is_left_over(lock: Path) -> bool:
    """Return whether the process that had a copy has ended."""
    try:
        descriptor = os.open(lock, os.O_RDWR)
    except OSError:
        return False
    try:
        return lock_descriptor(descriptor)
    finally:
        os.close(descriptor)


def _close_copy(folder: Path, owner: int, created: float) -> None:
    """Delete the copy of this process, and report files that were written to it."""
    if os.getpid() != owner:  # a fork
        return
    written = sorted(_find_written(folder, created))
    if written:
        shown = ", ".join(written[:5]) + (" …" if len(written) > 5 else "")
        _logger.warning(
            "files that the run wrote beside its code were deleted: %s. Write what is to "
            "stay to an absolute path, or set `working_dir`.",
            shown,
        )
    shutil.rmtree(folder, ignore_errors=True)
    _find_lock(folder).unlink(missing_ok=True)


def _find_written(folder: Path, since: float) -> Iterator[str]:
    for path in folder.rglob("*"):
        if "__pycache__" not in path.parts and path.is_file() and not _is_older(path, since):
            yield path.relative_to(folder).as_posix()
