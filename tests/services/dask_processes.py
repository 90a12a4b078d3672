"""A Dask scheduler and workers as processes of their own, as on other machines.

They run in another working directory, with an empty home, and see nothing of this process's paths
or environment.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from distributed import Client

#: Seconds that they may take to come up.
PATIENCE = 60.0


class DaskProcesses:
    """The processes of a cluster.

    Attributes:
        address: of the scheduler.
        scheduler: its process.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self.scheduler = self._start(
            "dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
            "--scheduler-file", str(self._file),
        )  # fmt: skip
        self.address = self._read_address()

    @property
    def _file(self) -> Path:
        return self._folder / "scheduler.json"

    def start_worker(self, *options: str) -> subprocess.Popen[bytes]:
        """Start a worker with one thread, below a nanny that starts it again where it dies."""
        return self._start(
            "dask_worker", self.address, "--host", "127.0.0.1", "--nthreads", "1",
            "--no-dashboard", "--local-directory", str(self._folder), *options,
        )  # fmt: skip

    def wait_for_workers(self, count: int) -> None:
        with Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(count, timeout=PATIENCE)

    def close(self) -> None:
        """End all of them, and what they have started."""
        for process in self._processes:
            os.killpg(process.pid, signal.SIGKILL)
        for process in self._processes:
            process.wait()

    def _start(self, program: str, *options: str) -> subprocess.Popen[bytes]:
        home = self._folder / "home"
        home.mkdir(exist_ok=True)
        with (self._folder / "log.txt").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.{program}", *options],
                cwd=home,
                env={"HOME": str(home), "PATH": os.environ["PATH"]},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._processes.append(process)
        return process

    def _read_address(self) -> str:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if self.scheduler.poll() is not None:
                break
            try:
                return str(json.loads(self._file.read_text())["address"])
            except (FileNotFoundError, ValueError):
                time.sleep(0.02)
        raise AssertionError((self._folder / "log.txt").read_text())


@contextmanager
def serve_dask(
    folder: Path, workers: Sequence[Sequence[str]] = ((), ())
) -> Iterator[DaskProcesses]:
    """Start a scheduler and workers, each with more options of its command; end them after it."""
    found = DaskProcesses(folder)
    try:
        for options in workers:
            found.start_worker(*options)
        found.wait_for_workers(len(workers))
        yield found
    finally:
        found.close()
