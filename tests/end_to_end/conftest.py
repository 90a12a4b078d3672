"""Real programs: started as processes of their own, stopped as people and machines stop them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flowstone.records.events import LogLine
from flowstone.records.runs import RunQuery
from flowstone.stores.sqlite import open_sqlite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flowstone.records.runs import Run
    from flowstone.stores.sqlite import SqliteStore

SCRIPTS = Path(__file__).parent / "scripts"
PATIENCE = 300.0


@dataclass(frozen=True)
class Ended:
    """How a program ended; a signal's number is negative, as `subprocess` has it."""

    code: int
    out: str
    err: str


class Program:
    """A script in a process of its own, which says on standard output how far it has come."""

    def __init__(self, home: Path, script: str, *args: str) -> None:
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        env = {**kept, "HOME": str(home.parent), "FLOWSTONE_HOME": str(home)}
        self._err = (home.parent / f"stderr-{time.time_ns()}").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, str(SCRIPTS / script), *args],
            env=env,
            cwd=home.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._err,
            text=True,
        )
        self._said: list[str] = []

    def wait_for(self, word: str) -> str:
        """Read on to the line that begins with a word, and return the rest of it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._said.append(line)
            if line.split(" ")[0].strip() == word:
                return line.removeprefix(word).strip()
        ended = self.end()
        raise AssertionError(f"it ended with {ended.code} before {word!r}:\n{ended.err}")

    def stop(self, number: int = signal.SIGTERM) -> Ended:
        """Send a signal, and wait for the end."""
        self.process.send_signal(number)
        return self.end()

    def end(self) -> Ended:
        """Wait for the end."""
        out, _ = self.process.communicate(timeout=PATIENCE)
        self._err.seek(0)
        return Ended(self.process.returncode, "".join(self._said) + out, self._err.read())

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._err.close()


class Facts:
    """What a store says; looking opens it, which ends dead runs."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        store.reap()

    def root(self, unit: str) -> Run:
        """Return the one root run of a flow or task."""
        (found,) = [run for run in self.store.runs(RunQuery(unit=unit)) if run.is_root]
        return found

    def tasks(self, root: Run) -> list[Run]:
        runs = self.store.runs(RunQuery(root_id=root.id))
        return [run for run in runs if run.kind == "task"]

    def lines(self, root: Run) -> list[str]:
        """Return what was logged in the tree of a run, in order."""
        events = self.store.events(root_id=root.id)
        return [e.payload.message for _, e in events if isinstance(e.payload, LogLine)]

    def unfinished(self) -> list[Run]:
        """Return the runs that have not ended although their root has, and live roots."""
        return [run for run in self.store.runs(RunQuery()) if run.ended is None]


class Place:
    """A home of its own, the programs that were started in it, and its store."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._programs: list[Program] = []

    def start(self, script: str, *args: str) -> Program:
        program = Program(self.home, script, *args)
        self._programs.append(program)
        return program

    def run(self, script: str, *args: str) -> Ended:
        return self.start(script, *args).end()

    def command(self, *words: str) -> str:
        """Run a command that knows of this home only by the environment."""
        env = {"PATH": os.environ["PATH"], "FLOWSTONE_HOME": str(self.home)}
        done = subprocess.run(words, env=env, capture_output=True, text=True, check=True)
        return done.stdout

    def read(self, look: Callable[[Facts], None]) -> None:
        """Open the store as a next program would, and look."""
        with closing(open_sqlite(self.home / "flowstone.db")) as store:
            look(Facts(store))

    def wait_until(self, is_so: Callable[[SqliteStore], bool]) -> None:
        """Block until the store says so, looking on without touching dead runs."""
        pause = threading.Event()
        end = time.monotonic() + PATIENCE
        with closing(open_sqlite(self.home / "flowstone.db")) as store:
            while not is_so(store):
                assert time.monotonic() < end, "it did not come to be"
                pause.wait(0.01)

    def close(self) -> None:
        for program in self._programs:
            program.close()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path / "home")
    yield place
    place.close()
