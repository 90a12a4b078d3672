"""A flow without any settings: no server, no child process, no file outside its home."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPT = Path(__file__).parent / "scripts" / "plain.py"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture
def user(tmp_path: Path) -> Path:
    """A person's machine: a home, a working directory, a directory for temporary files."""
    for name in ("home", "work", "tmp"):
        (tmp_path / name).mkdir()
    (tmp_path / "work" / "flow.py").write_text(SCRIPT.read_text())
    return tmp_path


@pytest.fixture
def program(user: Path) -> Iterator[subprocess.Popen[str]]:
    env = {"PATH": os.environ["PATH"], "HOME": str(user / "home"), "TMPDIR": str(user / "tmp")}
    with subprocess.Popen(
        [sys.executable, "flow.py"],
        env=env,
        cwd=user / "work",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        yield program
        program.kill()


def _wait_for(program: subprocess.Popen[str], word: str) -> None:
    assert program.stdout is not None
    assert program.stdout.readline() == f"{word}\n"


def _go_on(program: subprocess.Popen[str]) -> None:
    assert program.stdin is not None
    program.stdin.write("\n")
    program.stdin.flush()


def _children(pid: int) -> list[str]:
    found: list[str] = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError):  # the thread has ended meanwhile
            found += (thread / "children").read_text().split()
    return found


def _sockets(pid: int) -> list[str]:
    files = [path.readlink() for path in Path(f"/proc/{pid}/fd").iterdir()]
    return [path.name for path in files if path.name.startswith("socket:")]


def _files(place: Path) -> set[str]:
    return {str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()}


def test_a_flow_leaves_nothing_but_its_home(user: Path, program: subprocess.Popen[str]) -> None:
    for moment in ("inside", "after"):
        _wait_for(program, moment)
        assert _children(program.pid) == [], moment
        assert _sockets(program.pid) == [], moment
        _go_on(program)
    assert program.wait(300) == 0
    outside = {name for name in _files(user) if not name.startswith("home/.flowstone/")}
    assert outside == {"work/flow.py"}
    assert "home/.flowstone/flowstone.db" in _files(user)


def test_it_is_readable_by_its_owner_only(user: Path, program: subprocess.Popen[str]) -> None:
    for moment in ("inside", "after"):
        _wait_for(program, moment)
        _go_on(program)
    program.wait(300)
    home = user / "home" / ".flowstone"
    others = [path.name for path in [home, *home.rglob("*")] if path.stat().st_mode & 0o077]
    assert others == []
