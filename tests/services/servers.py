"""Servers for tests: started when somebody asks, ended when nobody uses them any more."""

from __future__ import annotations

import fcntl
import json
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.services.certificates import Authority

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
#: What brings what is absent.
SETUP, ROOT_NEEDED = "`make setup`", "`make services`, as root"


class Absent(Exception):
    """A service that this machine can't start; `cure` says what brings it."""

    def __init__(self, name: str, lacks: str, cure: str) -> None:
        super().__init__(f"{name} (no {lacks}: {cure})")


class NotStarted(Exception):
    """A server that is here, and did not begin; its last words are in the message."""

    def __init__(self, name: str, words: str) -> None:
        super().__init__(f"{name} did not begin; its log ends with:\n{words}")


@dataclass(frozen=True)
class Program:
    """How a server is started.

    Attributes:
        commands: the last one is the server, those before it prepare it. `{port}` is a free port of
            127.0.0.1, `{data}` an empty folder, which is removed in the end; `{home}` see below.
        says: what its output says when it is ready; without it, a port that answers is enough.
        home: the folder of its files, if it has one; copied where its user can't read it.
        user: who it runs as, where the tests run as root and it refuses that.
        stop: the signal that ends it.
        keep: the folder that is `{data}` instead, and stays, for who starts it again later.
    """

    name: str
    commands: tuple[tuple[str, ...], ...]
    says: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    home: str = ""
    user: str | None = None
    stop: int = signal.SIGTERM
    keep: str = ""


@dataclass(frozen=True)
class SecureServer:
    """A server that refuses connections without TLS.

    Attributes:
        url: has the host by the name in its certificate.
        other_url: has it by its address, which is not in the certificate.
        files: those of its authority, and of a client.
    """

    url: str
    other_url: str
    files: Authority


def make_secure_server(url: str, port: int, files: Authority) -> SecureServer:
    """Return a server on this machine, whose certificate is for ``localhost`` only."""
    here, there = (url.format(host=host, port=port) for host in ("localhost", "127.0.0.1"))
    return SecureServer(here, there, files)


def write_file(name: str, content: str) -> tuple[str, ...]:
    """Return a command that writes a file into a server's folder, which only its user can read."""
    return ("/bin/sh", "-c", 'umask 077; printf %s "$1" > "$0"', f"{{data}}/{name}", content)


@contextmanager
def serve(program: Program, shared: Path | None = None) -> Iterator[int]:
    """Start a server, or join the one of this run, and yield its port.

    Args:
        program: what to start.
        shared: a folder that the processes of a run have in common; they share the server then.
    """
    with serve_in_folder(program, shared) as (_, port):
        yield port


@contextmanager
def serve_in_folder(program: Program, shared: Path | None = None) -> Iterator[tuple[Path, int]]:
    """Do as `serve`, and yield the folder `data` of the server, too."""
    with ExitStack() as stack:
        if shared is None:
            folder, port = _start(program, stack)
        else:
            folder, port = _join(program, shared, stack)
        yield folder / "data", port
    if shared is None:
        _wait_for_end(folder)


def _start(program: Program, stack: ExitStack) -> tuple[Path, int]:
    folder = Path(tempfile.mkdtemp(prefix="services-"))
    (folder / "users").touch()
    stack.enter_context(_hold(folder))
    done = subprocess.run(
        [sys.executable, "-I", "-S", HERE / "supervisor.py"],
        input=json.dumps({**asdict(program), "folder": str(folder)}),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout or '{"error": "it was ended"}')
    if "error" in answer:
        raise NotStarted(program.name, answer["error"])
    return folder, answer["port"]


def _join(program: Program, shared: Path, stack: ExitStack) -> tuple[Path, int]:
    found = shared / f"{program.name}.json"
    with (shared / f"{program.name}.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if found.exists():
            place, port = json.loads(found.read_text("utf-8"))
            try:
                stack.enter_context(_hold(Path(place)))
            except OSError:
                pass  # its last user has just left
            else:
                return Path(place), port
        folder, port = _start(program, stack)
        found.write_text(json.dumps([str(folder), port]), "utf-8")
    return folder, port


def _hold(folder: Path) -> IO[str]:
    """Use the server of a folder as long as the file that this returns is open.

    Raises:
        OSError: the server has ended, or is about to.
    """
    users = (folder / "users").open()
    try:
        fcntl.flock(users, fcntl.LOCK_SH | fcntl.LOCK_NB)
        (folder / "users").stat()  # locked after it was removed, it keeps nothing alive
    except OSError:
        users.close()
        raise
    return users


def _wait_for_end(folder: Path) -> None:
    try:
        with (folder / "alive").open() as alive:
            fcntl.flock(alive, fcntl.LOCK_SH)
    except FileNotFoundError:
        pass  # it has ended, with its folder
