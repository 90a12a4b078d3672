"""An MLflow server on this machine: the real one, over SQLite and a folder."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.request import urlopen

from tests.services.servers import SETUP, Absent, Program, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Its jobs would be a process more; its telemetry would leave this machine.
ENVIRONMENT = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
#: Seconds that it may take to start; it is 8 to 14.
PATIENCE = 120.0


def make_command(folder: str, port: str) -> tuple[str, ...]:
    """Return the command of a server whose files are in a folder."""
    places = f"--backend-store-uri sqlite:///{folder}/m.db --artifacts-destination {folder}/files"
    words = f"-m mlflow server {places} --host 127.0.0.1 --port {port} --workers 1"
    return (sys.executable, *words.split())


@contextmanager
def mlflow(shared: Path | None = None) -> Iterator[str]:
    """Start it; 10 s. Yield its URL."""
    if find_spec("mlflow") is None:
        raise Absent("mlflow", "mlflow", SETUP)
    program = Program("mlflow", (make_command("{data}", "{port}"),), environment=ENVIRONMENT)
    with serve(program, shared) as port:
        yield f"http://127.0.0.1:{port}"


def find_free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class MortalServer:
    """A server that a test may kill and start again; its data stay.

    Attributes:
        folder: of its data.
        port: a free one.
    """

    folder: Path
    port: int = field(default_factory=find_free_port)
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                make_command(str(self.folder), str(self.port)),
                env={**os.environ, **ENVIRONMENT},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        end = time.monotonic() + PATIENCE
        while not self._answers():
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < end, "the server took too long to start"
            time.sleep(0.1)

    def kill(self) -> None:
        """Kill it with all its workers."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            with urlopen(f"{self.url}/health", timeout=2) as response:
                return bool(response.status == 200)
        except (URLError, OSError):
            return False
