"""The workspace of a dbt command: its own target directory, and the state shared in a project.

Two commands of one project would overwrite each other's artifacts, so each has its own directory.
It starts with a copy of dbt's last parse, so that only changes are parsed. At the end, its files
are moved to the project's target directory. Only one command at a time parses a project or changes
its packages.
"""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from time import sleep, time
from typing import TYPE_CHECKING, Self

try:
    import fcntl
except ImportError:  # Windows, where project directories are not locked
    fcntl = None  # type: ignore[assignment]

from flowstone_dbt.errors import DbtError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The file with dbt's last parse.
PARSED = "partial_parse.msgpack"
#: The lock file for parsing a project or changing its packages.
LOCK = "parse.lock"
#: The directory in a project's target directory for the workspaces of running commands.
RUNNING = ".flowstone"
#: Seconds after which the directory of a command counts as left behind by a killed process.
OLD = 7 * 24 * 3600


class Workspace:
    """The directory that one dbt command writes to, and the lock to parse its project.

    Args:
        target: the project's target directory.

    Attributes:
        folder: the directory that the command writes to.
    """

    def __init__(self, target: Path) -> None:
        self._target, self._running = target, target / RUNNING
        self.folder = self._running / token_hex(8)
        self._lock = ExitStack()

    def __enter__(self) -> Self:
        """Create the directory.

        Raises:
            DbtError: the target directory can't be written.
        """
        try:
            self._running.mkdir(parents=True, exist_ok=True)
            _remove_old(self._running)
            self.folder.mkdir()
            self._lock.enter_context(lock(self._running / LOCK))
            with suppress(FileNotFoundError):
                shutil.copy2(self._target / PARSED, self.folder / PARSED)
        except BaseException as error:
            self._lock.close()
            shutil.rmtree(self.folder, ignore_errors=True)
            if not isinstance(error, OSError):
                raise
            problem = f"the target folder {str(self._target)!r} can't be written: {error.strerror}"
            remedy = "Check its permissions and the free space, or set `target_path`."
            raise DbtError(problem, remedy) from error
        return self

    def __exit__(self, *_: object) -> None:
        """Move the files to the target directory."""
        self.release()
        if self.folder.exists():  # `dbt clean` removes the whole target directory
            try:
                with lock(self._running / LOCK):
                    _publish(self.folder, self._target)
            finally:
                shutil.rmtree(self.folder, ignore_errors=True)

    def release(self) -> None:
        """Release the lock, once the project is parsed."""
        self._lock.close()


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold a file lock that processes on this machine share."""
    with path.open("a") as file:
        if fcntl is not None:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    sleep(0.02)  # no blocking system call, as a run may be cancelled here
                else:
                    break
        yield


def _publish(own: Path, target: Path) -> None:
    for path in sorted(own.rglob("*")):
        if path.is_file() and _is_whole(path):
            to = target / path.relative_to(own)
            to.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, to)  # noqa: PTH105 - it replaces an existing file


def _is_whole(path: Path) -> bool:
    """Return whether dbt wrote a file completely; on a full disk, it may not."""
    if path.suffix != ".json":
        return True
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 16))
        return file.read().rstrip().endswith(b"}")


def _remove_old(running: Path) -> None:
    for path in running.iterdir():
        if path.is_dir() and time() - path.stat().st_mtime > OLD:
            shutil.rmtree(path, ignore_errors=True)
