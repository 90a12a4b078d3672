"""The key file: the keys that open secrets, one per line; the first one seals."""

from __future__ import annotations

import os
import stat
from base64 import b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from flowstone.errors import SecretKeyInvalid, StoreUnusable
from flowstone.settings import make_private_directory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY_BYTES = 32
#: The line in the file from the creation of a new key until everything is sealed with it.
UNFINISHED = "# a rotation has begun: `flowstone secret rotate` finishes it"


class KeyFile:
    """A file of keys: base64 of 32 bytes each, newest first; lines with a # are comments."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def stamp(self) -> object:
        """Return a value that changes whenever the file does; None if there is no file."""
        try:
            found = self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise SecretKeyInvalid(str(self.path), _describe_unreadable(error)) from error
        return found.st_ino, found.st_mtime_ns, found.st_size

    def read(self) -> list[bytes]:
        """Return the keys.

        Raises:
            SecretKeyInvalid: the file can't be read, or others may read it, or it contains no keys.
        """
        return [_decode_line(line, self.path) for line in self._lines() if not line.startswith("#")]

    def is_unfinished(self) -> bool:
        """Return whether a rotation has begun and not ended."""
        return UNFINISHED in self._lines()

    def make(self) -> None:
        """Create the file atomically, with one key; if several processes try, one succeeds."""
        try:
            make_private_directory(self.path.parent)
            with self._draft([new_key()]) as draft, suppress(FileExistsError):
                os.link(draft, self.path)  # unless another process was first: use its key
        except OSError as error:
            raise _translate_write_error(self.path, error) from error

    def begin(self) -> None:
        """Insert a new key before the others, and mark that a rotation has begun."""
        self._rewrite([UNFINISHED, new_key(), *self._lines()])

    def finish(self, keys: int | None = None) -> None:
        """Remove that mark; with a number, keep only that many keys, the newest."""
        lines = [line for line in self._lines() if line != UNFINISHED]
        dropped = [line for line in lines if not line.startswith("#")][keys:] if keys else []
        self._rewrite([line for line in lines if line not in dropped])

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Let only one process at a time change the file."""
        # Takes 5 ms to import, and only a rotation needs it.
        from flowstone.locking import FileSystemLockManager

        locks, holder = FileSystemLockManager(self.path.parent / "locks"), "rotation"
        locks.acquire_lock(str(self.path), holder)
        try:
            yield
        finally:
            locks.release_lock(str(self.path), holder)

    def _lines(self) -> list[str]:
        try:
            mode = stat.S_IMODE(self.path.stat().st_mode)
            content = self.path.read_bytes()
        except OSError as error:
            raise SecretKeyInvalid(str(self.path), _describe_unreadable(error)) from error
        if os.name == "posix" and mode & 0o077:
            problem = f"others may read it (mode {mode:04o}); run `chmod 600 {self.path}`"
            raise SecretKeyInvalid(str(self.path), problem)
        lines = [line.strip() for line in content.decode("ascii", "replace").splitlines()]
        return [line for line in lines if line] or [""]

    def _rewrite(self, lines: list[str]) -> None:
        """Replace the file atomically: readers find either the old or the new content."""
        try:
            for left in self.path.parent.glob(f".{self.path.name}.*"):
                left.unlink(missing_ok=True)  # from a rotation that was killed: it contains keys
            with self._draft(lines) as draft:
                draft.replace(self.path)
            _sync(self.path.parent)
        except OSError as error:
            raise _translate_write_error(self.path, error) from error

    @contextmanager
    def _draft(self, lines: list[str]) -> Iterator[Path]:
        draft = self.path.with_name(f".{self.path.name}.{os.urandom(8).hex()}")
        try:
            opened = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(opened, "wb") as file:
                file.write("".join(f"{line}\n" for line in lines).encode())
                file.flush()
                os.fsync(file.fileno())
            yield draft
        finally:
            draft.unlink(missing_ok=True)


def new_key() -> str:
    """Return a new key, in the form used in the file and the setting."""
    return urlsafe_b64encode(os.urandom(KEY_BYTES)).decode()


def decode_key(text: str) -> bytes | None:
    """Return a key's bytes; None if the text is not base64 of 32 bytes."""
    try:
        raw = b64decode(text.encode().translate(bytes.maketrans(b"-_", b"+/")), validate=True)
    except NotBase64:
        return None
    return raw if len(raw) == KEY_BYTES else None


def _decode_line(line: str, path: Path) -> bytes:
    raw = decode_key(line)
    if raw is None:
        raise SecretKeyInvalid(str(path), "it does not hold base64 of 32 bytes")
    return raw


def _sync(directory: Path) -> None:
    """Make a renaming survive a power failure."""
    if os.name == "posix":
        opened = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def _describe_unreadable(error: OSError) -> str:
    return f"it can't be read ({error.strerror})"


def _translate_write_error(path: Path, error: OSError) -> StoreUnusable:
    return StoreUnusable(
        str(path),
        f"the key that encrypts secrets can't be stored there ({error.strerror})",
        "Make the directory writable, or set FLOWSTONE_SECRET_KEY.",
    )
