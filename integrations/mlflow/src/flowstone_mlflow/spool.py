"""The spool: files in the home that runs log to, and that are sent to MLflow from there.

Tasks write here from any thread or process, without waiting for a server. The process that drives
the flow reads, sends and deletes. The next program that tracks to the same place sends data that a
killed process left behind, or that an unavailable server did not receive.
"""

from __future__ import annotations

import fcntl
import json
import os
import pickle
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from flowstone.observers import make_observer_directory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flowstone_mlflow.credentials import MlflowTracking

#: The name of the observer, and of its directory in the home.
NAME = "mlflow"
Record = dict[str, Any]


class Spool:
    """The files of one outermost run and all runs below it.

    Args:
        root_id: the id of the outermost run.
        home: the directory of all spools; by default that in the current home.
    """

    def __init__(self, root_id: str, home: Path | None = None) -> None:
        self.root_id = root_id
        self.folder = (home or make_observer_directory(NAME)) / root_id
        self._owner: int | None = None

    # ------------------------------------------------------------ for runs

    def append(self, run_id: str, attempt: int, record: Record) -> None:
        """Append an entry that an attempt of a run logs."""
        self._append(f"{run_id}.{attempt}.jsonl", [record])

    def copy_in(self, source: Path) -> str:
        """Copy a file or directory to send it later; return its name in the spool."""
        name = f"files/{uuid4().hex}/{source.name}"
        self._make(self.folder / name)
        if source.is_dir():
            shutil.copytree(source, self.folder / name)
        else:
            shutil.copyfile(source, self.folder / name)
            (self.folder / name).chmod(0o600)
        return name

    def write_in(self, name: str, content: bytes) -> str:
        """Write a file to send it later; return its name in the spool."""
        path = f"files/{uuid4().hex}/{name}"
        self._make(self.folder / path)
        self._write(path, content)
        return path

    def read_id(self, run_id: str, attempt: int) -> str | None:
        """Return the id of an attempt's MLflow run; None until it is created."""
        with suppress(FileNotFoundError):
            return (self.folder / f"{run_id}.{attempt}.id").read_text() or None
        return None

    @property
    def is_away(self) -> bool:
        """Whether the server did not answer the last request."""
        return (self.folder / "away").exists()

    def read_tracking(self) -> MlflowTracking | None:
        """Return the tracking to send to; None while the run is not tracked."""
        with suppress(FileNotFoundError):
            content = (self.folder / "tracking").read_bytes()
            found: MlflowTracking = pickle.loads(content)  # noqa: S301 - our own, in a private folder
            return found
        return None

    # ------------------------------------------------------------ for the sender

    def own(self, tracking: MlflowTracking, key: str) -> bool:
        """Become the sender; return False if another process is."""
        if not self.take():
            return False
        self._write("key", key.encode())
        self._write("tracking", pickle.dumps(tracking))  # its secrets are encrypted
        return True

    def take(self) -> bool:
        """Take the lock, which ends with this process; return False if another process has it."""
        if self._owner is not None:
            return True
        self._make(self.folder / "owner")
        owner = os.open(self.folder / "owner", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(owner)
            return False
        self._owner = owner
        return True

    def release(self) -> None:
        """Release the lock."""
        if self._owner is not None:
            os.close(self._owner)
            self._owner = None

    @property
    def key(self) -> str:
        """A string that identifies the destination."""
        with suppress(FileNotFoundError):
            return (self.folder / "key").read_text()
        return ""

    def append_facts(self, facts: list[Record]) -> None:
        """Append facts about the runs of this tree."""
        self._append("tree.jsonl", facts)

    def read_facts(self) -> list[Record]:
        """Return the facts about the runs of this tree."""
        return self._read("tree.jsonl", 0)[0]

    def read(self, run_id: str, attempt: int, offset: int) -> tuple[list[Record], int]:
        """Return what an attempt has logged since an offset, and the next offset.

        Args:
            run_id: the run.
            attempt: the number of the attempt.
            offset: the offset in bytes.
        """
        return self._read(f"{run_id}.{attempt}.jsonl", offset)

    def write_id(self, run_id: str, attempt: int, mlflow_id: str) -> None:
        """Publish the id of an attempt's MLflow run to tasks in any process.

        Args:
            run_id: the run.
            attempt: the number of the attempt.
            mlflow_id: the id of the MLflow run.
        """
        self._write(f"{run_id}.{attempt}.id", mlflow_id.encode())

    def mark_away(self, *, is_away: bool) -> None:
        """Publish to tasks in any process whether the server answers."""
        with suppress(OSError):  # the disk may be full, or the home deleted
            if is_away:
                self._write("away", b"")
            else:
                (self.folder / "away").unlink(missing_ok=True)

    def delete_file(self, name: str) -> None:
        """Delete a file or directory that was sent."""
        shutil.rmtree((self.folder / name).parent, ignore_errors=True)

    def delete_log(self, run_id: str, attempt: int) -> None:
        """Delete the log of an attempt, once everything is sent."""
        (self.folder / f"{run_id}.{attempt}.jsonl").unlink(missing_ok=True)

    def delete(self) -> None:
        """Delete the spool, once everything is sent."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.release()

    # ------------------------------------------------------------ files

    def _append(self, name: str, records: list[Record]) -> None:
        path = self.folder / name
        self._make(path)
        lines = "".join(f"{json.dumps(record)}\n" for record in records).encode()
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            view = memoryview(lines)
            while view:
                view = view[os.write(file, view) :]
        finally:
            os.close(file)

    def _read(self, name: str, offset: int) -> tuple[list[Record], int]:
        with suppress(FileNotFoundError), (self.folder / name).open("rb") as file:
            file.seek(offset)
            content = file.read()
            whole = content[: content.rfind(b"\n") + 1]  # the last line may be incomplete
            return [json.loads(line) for line in whole.splitlines()], offset + len(whole)
        return [], offset

    def _write(self, name: str, content: bytes) -> None:
        path = self.folder / name
        new = path.with_name(f"{path.name}.{uuid4().hex}.new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
            file.write(content)
        new.replace(path)

    def _make(self, path: Path) -> None:
        folder = path.parent
        if not folder.is_dir():
            self._make(folder)
            folder.mkdir(mode=0o700, exist_ok=True)


def find_left_spools(key: str | None = None) -> Iterator[Spool]:
    """Yield the spools that ended processes have left, and lock them.

    Args:
        key: the `key` of the spools; None for all.
    """
    home = make_observer_directory(NAME)
    for folder in sorted(home.iterdir()):
        spool = Spool(folder.name, home)
        if spool.key and key in {None, spool.key} and spool.take():
            yield spool
