"""Where a command of dbt works: a target folder of its own, and what commands of a project share.

Two commands of one project would write over each other's artifacts. Each has a folder of its own,
with a copy of what dbt parsed last, so that it parses only what has changed since; what it wrote
goes to the project's target folder in the end. One at a time parses a project, or changes its
packages.
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
except ImportError:  # Windows, where folders of projects are not locked
    fcntl = None  # type: ignore[assignment]

from flowstone_dbt.errors import DbtError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The file with what dbt has parsed.
PARSED = "partial_parse.msgpack"
#: The file that is locked while a project is parsed, or its packages are changed.
LOCK = "parse.lock"
#: The folder, in a project's target folder, with those of commands that run.
RUNNING = ".flowstone"
#: Seconds after which the folder of a command is taken for one that was killed.
OLD = 7 * 24 * 3600


class Workspace:
    """The folder for what one command of dbt writes, and the right to parse its project.

    Args:
        target: the project's target folder.

    Attributes:
        folder: where the command writes.
    """

    def __init__(self, target: Path) -> None:
        self._target, self._running = target, target / RUNNING
        self.folder = self._running / token_hex(8)
        self._lock = ExitStack()

    def __enter__(self) -> Self:
        """Make the folder.

        Raises:
            DbtError: the target folder can't be written.
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
        """Move what was written to the target folder."""
        self.release()
        if self.folder.exists():  # `dbt clean` removes the target folder with all that is in it
            try:
                with lock(self._running / LOCK):
                    _publish(self.folder, self._target)
            finally:
                shutil.rmtree(self.folder, ignore_errors=True)

    def release(self) -> None:
        """Let other commands parse the project; called when it has been parsed."""
        self._lock.close()


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold a lock that processes of this machine share by a file."""
    with path.open("a") as file:
        if fcntl is not None:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    sleep(0.02)  # and not for ever in a system call: a run may be cancelled here
                else:
                    break
        yield


def _publish(own: Path, target: Path) -> None:
    for path in sorted(own.rglob("*")):
        if path.is_file() and _is_whole(path):
            to = target / path.relative_to(own)
            to.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, to)  # noqa: PTH105 - it replaces what is there


def _is_whole(path: Path) -> bool:
    """Tell whether dbt could write a file to its end, which it may not on a full disk."""
    if path.suffix != ".json":
        return True
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 16))
        return file.read().rstrip().endswith(b"}")


def _remove_old(running: Path) -> None:
    for path in running.iterdir():
        if path.is_dir() and time() - path.stat().st_mtime > OLD:
            shutil.rmtree(path, ignore_errors=True)
