"""Programs that people have, run with `flowstone` for `prefect`, and nothing else changed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from tests.services.web import Handler, serve_web

from flowstone.context import current
from flowstone.records.events import LogLine
from flowstone.records.runs import RunQuery
from flowstone.testing.memory import memory_services

if TYPE_CHECKING:
    from flowstone.records.runs import Run

SAMPLES = Path(__file__).parent / "samples"
Sample = Callable[..., dict[str, Any]]
#: A program's text, and the names that it leaves undefined; what comes back has its names.
Program = Callable[..., Any]
Script = Callable[..., "subprocess.CompletedProcess[str]"]


class HastyClock:
    """A clock that does not wait, and remembers how long it should have."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def asleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def time(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


def moved(text: str) -> str:
    """Return a program with its imports changed, as a person would do it who moves it over."""
    text = re.sub(
        r"^(\s*)import prefect$", r"\1import flowstone as prefect", text, flags=re.MULTILINE
    )
    text, changes = re.subn(
        r"^(\s*(?:from|import)) prefect\b", r"\1 flowstone", text, flags=re.MULTILINE
    )
    text, more = re.subn(
        r"^(\s*(?:from|import)) prefect_(\w+)", r"\1 flowstone_\2", text, flags=re.MULTILINE
    )
    assert changes or more or "import flowstone as prefect" in text, (
        "it imports nothing of Prefect's"
    )
    return text


@pytest.fixture
def clock(tmp_path: Path) -> Iterator[HastyClock]:
    clock = HastyClock()
    services = memory_services(tmp_path / "home")
    with current.use_services(replace(services, clock=clock)):
        yield clock
    services.close()


@pytest.fixture
def sample(clock: HastyClock) -> Sample:
    """Runs a sample's text as a program; stand-ins are the names that it leaves undefined."""

    def run(name: str, host: str = "", **stand_ins: Any) -> dict[str, Any]:
        path = SAMPLES / f"{name}.txt"
        namespace = {"__name__": "__main__", **stand_ins}
        text = moved(path.read_text()).replace("https://api.github.com", host)
        exec(compile(text, path, "exec", dont_inherit=True), namespace)
        return namespace

    return run


@pytest.fixture
def program(clock: HastyClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Runs a program's text here, from a file of its own, in an empty directory.

    Only the imports are changed. Its names are attributes of what is returned.
    """
    monkeypatch.chdir(tmp_path)

    def run(text: str, **stand_ins: Any) -> Any:
        path = tmp_path / f"program_{len(list(tmp_path.glob('program_*')))}.py"
        path.write_text(moved(textwrap.dedent(text)))
        namespace = {"__name__": "__main__", "__file__": str(path), **stand_ins}
        exec(compile(path.read_text(), path, "exec", dont_inherit=True), namespace)
        return SimpleNamespace(**namespace)

    return run


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Runs a program's text as a process of its own; all of them share one home."""

    def run(text: str, **environ: str) -> subprocess.CompletedProcess[str]:
        path = tmp_path / "script.py"
        path.write_text(moved(textwrap.dedent(text)))
        home = str(tmp_path / "home")
        return subprocess.run(
            [sys.executable, str(path)],
            env={**os.environ, "FLOWSTONE_HOME": home, **environ},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    return run


@pytest.fixture
def api() -> Iterator[str]:
    """The address of a server that answers as GitHub's does."""
    with serve_web(_Repository) as server:
        yield server.url


class _Repository(Handler):
    def do_GET(self) -> None:
        body = json.dumps({"full_name": self.path.removeprefix("/repos/"), "stargazers_count": 42})
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *args: object) -> None:
        pass


def runs(unit: str) -> list[Run]:
    """Return the runs of a flow or task, in the order of their beginning."""
    services = current.services()
    services.journal.flush()
    return services.runs.runs(RunQuery(unit=unit))


def states(unit: str) -> list[str]:
    """Return the names of the states that the runs of a flow or task are in."""
    return [run.state.name for run in runs(unit)]


def lines() -> list[str]:
    """Return what runs have logged, but for what the engine says itself."""
    services = current.services()
    services.journal.flush()
    events = services.runs.events(kinds=["LogWritten"])
    said = [event.payload.message for _, event in events if isinstance(event.payload, LogLine)]
    return [line for line in said if not line.startswith(("began: ", "ended ", "attempt "))]
