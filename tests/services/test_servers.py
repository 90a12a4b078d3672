"""Servers begin when asked, are shared where told, and end with their users."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import pytest
from tests.services.servers import ROOT, NotStarted, Program, serve

if TYPE_CHECKING:
    from collections.abc import Callable

#: Serves a file that says which processes it is: itself and a child.
SERVER = """
import os, sys, time
from http.server import HTTPServer, BaseHTTPRequestHandler
child = os.fork()
if not child:
    while True: time.sleep(60)
class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{os.getpid()} {child} {os.getcwd()}".encode())
HTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""
#: Uses the server until it is ended.
USER = """
import sys, time
from contextlib import nullcontext
from pathlib import Path
from urllib.request import urlopen
from tests.services.servers import serve
from tests.services.test_servers import PROGRAM
with serve(PROGRAM, Path(sys.argv[1]) if sys.argv[1:] else None) as port:
    print(port, urlopen(f"http://127.0.0.1:{port}").read().decode(), flush=True)
    sys.stdin.read()
"""
PROGRAM = Program("sample", ((sys.executable, "-c", SERVER, "{port}"),))


def start_users(*places: Path | None) -> list[User]:
    """Start them at once, and wait until all use the server."""
    users = [User(*([place] if place else [])) for place in places]
    for user in users:
        user.begin()
    return users


class User:
    """A process that uses the server."""

    def __init__(self, *args: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER, *map(str, args)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port, self.pids, self.folder = 0, [0], Path()

    def begin(self) -> None:
        """Wait until it uses the server."""
        assert self.process.stdout
        port, server, child, folder = self.process.stdout.readline().split()
        self.port, self.pids, self.folder = int(port), [int(server), int(child)], Path(folder)

    def end(self, number: int | None = None) -> None:
        if number:
            self.process.send_signal(number)
        self.process.communicate()


def has_ended(user: User) -> bool:
    return not user.folder.parent.exists() and not any(map(is_alive, user.pids))


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # One that has ended stays in the table until its parent, here the first process, looks.
    return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()


def wait_until(is_so: Callable[[], bool]) -> None:
    pause, end = Event(), time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end
        pause.wait(0.01)


@pytest.mark.parametrize("number", [None, signal.SIGTERM, signal.SIGKILL])
def test_nothing_stays_behind(number: int | None) -> None:
    (user,) = start_users(None)
    assert all(map(is_alive, user.pids))
    user.end(number)
    wait_until(lambda: has_ended(user))


def test_the_processes_of_a_run_share_a_server(tmp_path: Path) -> None:
    first, second = start_users(tmp_path, tmp_path)
    assert (first.port, first.pids) == (second.port, second.pids)
    first.end(signal.SIGKILL)
    (third,) = start_users(tmp_path)
    assert third.pids == first.pids
    second.end()
    third.end()
    wait_until(lambda: has_ended(first))
    (fourth,) = start_users(tmp_path)
    assert fourth.pids != first.pids
    fourth.end()
    wait_until(lambda: has_ended(fourth))


def test_without_a_run_each_has_its_own() -> None:
    with serve(PROGRAM) as one, serve(PROGRAM) as other:
        assert one != other


@pytest.mark.parametrize("later", [(), (("never", "reached"),)])
@pytest.mark.parametrize("is_shared", [False, True])
def test_what_does_not_begin_says_why(
    tmp_path: Path, later: tuple[tuple[str, ...], ...], is_shared: bool
) -> None:
    words = (sys.executable, "-c", "import sys; sys.exit('no such engine')")
    failing = Program("failing", (words, *later))
    with pytest.raises(NotStarted) as caught, serve(failing, tmp_path if is_shared else None):
        pass
    assert "failing did not begin" in str(caught.value)
    assert "no such engine" in str(caught.value)


ABSENT = """
from contextlib import contextmanager
from tests.services.servers import Absent
from tests.services import fixtures

@contextmanager
def opening(shared):
    raise Absent("engine", "wheel", "make it")
    yield

engine = fixtures.offer("engine", opening, shared=False)

def test_one(engine): ...
def test_two(engine): ...
"""


@pytest.mark.parametrize(("required", "code"), [("", 0), ("1", 1)])
@pytest.mark.check
def test_what_is_absent_is_named_once(tmp_path: Path, required: str, code: int) -> None:
    (tmp_path / "test_it.py").write_text(ABSENT)
    (tmp_path / "conftest.py").write_text("pytest_plugins = ['tests.services.fixtures']")
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-c", os.devnull, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "REQUIRE_SERVICES": required}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    line = "absent services, whose tests were skipped: engine (no wheel: make it)"
    assert done.stdout.count(line) == (not required)
    assert ("absent service: engine (no wheel: make it)" in done.stdout) == bool(required)
