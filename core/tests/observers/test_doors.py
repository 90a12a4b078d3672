"""Observers of installed packages, in programs of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

PROGRAM = """
from flowstone import flow

@flow
def hello():
    return "hello"

print(hello())
"""
PLUGIN = """
from flowstone.plugins import Collection, hookimpl

@hookimpl
def collection():
    return Collection(observers={
        "acme-good": "acme_seen:Seen",
        "acme-late": "acme_seen:Late",
        "acme-lost": "acme_nowhere:Lost",
    })
"""
SEEN = """
class Seen:
    def __init__(self, settings):
        self.path = settings.home / "seen"

    def observe(self, events):
        with self.path.open("a") as file:
            file.writelines(f"{event.kind}\\n" for event in events)

    def close(self):
        with self.path.open("a") as file:
            file.write("closed\\n")

class Late(Seen):
    def __init__(self, settings):
        raise ValueError("no address")
"""


class World:
    """A directory with a program, packages beside it, and a home."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "program.py").write_text(PROGRAM)
        self.install("acme_plugin", PLUGIN)
        (path / "acme_seen.py").write_text(dedent(SEEN))

    def install(self, name: str, source: str) -> None:
        (self.path / f"{name}.py").write_text(source)
        info = self.path / f"{name}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[flowstone]\n{name} = {name}\n")

    def run(self, observers: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "program.py"],
            cwd=self.path,
            env={
                "FLOWSTONE_HOME": str(self.path / "home"),
                "FLOWSTONE_OBSERVERS": observers,
                "PYTHONWARNINGS": "error",
                **environ,
            },
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_an_observer_of_a_package_is_told_and_closed(world: World) -> None:
    done = world.run("acme-good")
    assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr
    told = (world.path / "home" / "seen").read_text().split()
    assert told == ["FlowRunStarted", "LogWritten", "LogWritten", "FlowRunCompleted", "closed"]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("acme-late", "observer 'acme-late' of acme_plugin 1.2 raised ValueError: no address"),
        ("acme-lost", "No module named 'acme_nowhere'"),
    ],
)
def test_one_that_cannot_be_made_breaks_nothing(world: World, name: str, problem: str) -> None:
    done = world.run(f"{name},acme-good")
    assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr
    assert done.stderr.count(problem) >= 1
    assert done.stderr.count("The run continues") == 1
    assert "closed" in (world.path / "home" / "seen").read_text()


def test_one_of_a_broken_plugin_is_warned_of(world: World) -> None:
    world.install("acme_broken", "NAME = 'acme-broken'\nraise OSError('no disk')\n")
    done = world.run("acme-broken,acme-good")
    assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr
    assert "observer 'acme-broken' receives no facts: plugin 'acme_broken'" in done.stderr
    assert "closed" in (world.path / "home" / "seen").read_text()


def test_an_unknown_one_stops_the_program_before_its_run(world: World) -> None:
    done = world.run("acme-god")
    assert done.returncode == 1
    assert "Did you mean 'acme-good'" in done.stderr


TERMINATED = """
import os, signal
from flowstone import flow

@flow
def ends():
    os.kill(os.getpid(), signal.SIGTERM)
    signal.sigwait([])

ends()
"""


def test_a_termination_is_told_before_the_process_ends(world: World) -> None:
    (world.path / "program.py").write_text(TERMINATED)
    assert world.run("acme-good").returncode == -signal.SIGTERM
    told = (world.path / "home" / "seen").read_text().split()
    assert told[-2:] == ["FlowRunCrashed", "closed"]


FORKING = """
import os
from flowstone import flow

@flow
def child():
    return 1

@flow
def parent():
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)

parent()
pid = os.fork()
if pid:
    os.waitpid(pid, 0)
else:
    child()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks on this system")
def test_forked_processes_each_tell_their_own(world: World) -> None:
    (world.path / "program.py").write_text(FORKING)
    done = world.run("acme-good", PYTHONWARNINGS="ignore")
    assert done.returncode == 0, done.stderr
    told = (world.path / "home" / "seen").read_text().split()
    assert told.count("FlowRunStarted") == told.count("FlowRunCompleted") == 2
    assert told.count("closed") == 2


def test_an_observer_may_be_imported_when_its_program_has_ended(world: World) -> None:
    """Python lets nobody import `concurrent.futures.thread` for the first time then."""
    seen = world.path / "acme_seen.py"
    seen.write_text(f"import concurrent.futures.thread, time\ntime.sleep(0.5)\n{seen.read_text()}")
    done = world.run("acme-good")
    assert done.returncode == 0, done.stderr
    assert (world.path / "home/seen").read_text().endswith("closed\n")


def test_an_observer_asks_for_its_place_and_for_runs(tmp_path: Path) -> None:
    from flowstone import flow, runtime
    from flowstone.observers import find_run, is_observer_chosen, make_observer_directory
    from flowstone.testing import flowstone_test_harness

    @flow
    def hello() -> str:
        return str(runtime.flow_run.id)

    with flowstone_test_harness():
        assert not is_observer_chosen("acme")
        folder = make_observer_directory("acme")
        assert folder.stat().st_mode & 0o777 == 0o700
        run_id = hello()
        found = find_run(run_id)
        assert found is not None
        assert (found.id, found.unit) == (run_id, "hello")
        assert find_run("nobody") is None
