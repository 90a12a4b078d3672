"""`kill -9` at random moments: nothing stays Running, and little is forgotten."""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flowstone.records.states import COMPLETED, CRASHED

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.end_to_end.conftest import Facts, Place

    from flowstone.records.runs import Run

KILLS, SOAK_KILLS = 100, 2000
#: A kill may lose what was done in this many seconds before it.
LOSS = 1.0


class Kill:
    """One life of the flow, and how it was found dead."""

    def __init__(self, place: Place, number: int) -> None:
        luck = random.Random(number)
        # Most lives are short. A tenth is longer than the loss allowed, so that it shows.
        long = number % 10 == 9
        self.life = luck.uniform(1.2, 1.9) if long else luck.uniform(0.0, 0.4)
        self.side = place.home.parent / f"side-{number}"
        program = place.start("two_hundred.py", str(self.side), "0.008" if long else "0.0015")
        self.run_id = program.wait_for("run")
        program.wait_for("working")
        try:
            program.process.wait(self.life)
        except subprocess.TimeoutExpired:
            program.process.kill()
        self.at = time.time()
        self.code = program.end().code
        program.close()
        place.read(self._look)

    def _look(self, facts: Facts) -> None:
        self.root = facts.store.run(self.run_id)
        self.tasks = {run.name: run for run in facts.tasks(self.root)}

    def lost(self) -> list[float]:
        """Return, for each task that was done and is not known to be, how long before the kill."""
        done = [line.split() for line in self.side.read_text().splitlines()]
        return [
            self.at - float(at)
            for name, at in done
            if name not in self.tasks or self.tasks[name].state.type is not COMPLETED
        ]

    def faults(self) -> list[str]:
        faults = []
        end = self.root.state
        if end.type is COMPLETED:
            done = [run for run in self.tasks.values() if run.state.type is COMPLETED]
            faults += [] if len(done) == 200 else [f"completed with {len(done)} tasks"]
        elif end.type is not CRASHED or not end.message or self.code == 0:
            faults.append(f"{end} after exit {self.code}")
        faults += [f"{run.name} is {run.state.name}" for run in self._unfinished()]
        if max(self.lost(), default=0.0) > LOSS:
            faults.append(f"lost what was done {max(self.lost()):.2f} s before")
        return [f"kill after {self.life:.3f} s: {fault}" for fault in faults]

    def _unfinished(self) -> list[Run]:
        return [run for run in self.tasks.values() if run.ended is None]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_kill_9_at_random_moments(
    place: Place, record_property: Callable[..., None], request: pytest.FixtureRequest
) -> None:
    count = SOAK_KILLS if request.config.getoption("--soak") else KILLS
    with ThreadPoolExecutor(2) as two:
        kills = list(two.map(lambda number: Kill(place, number), range(count)))
    assert [fault for kill in kills for fault in kill.faults()] == []
    place.read(_nothing_unfinished)
    _check_file(place.home / "flowstone.db")
    killed = Counter(kill.code for kill in kills)
    record_property("killed", killed[-signal.SIGKILL])
    record_property("worst loss", max(max(kill.lost(), default=0.0) for kill in kills))
    _check_list(place, kills)
    assert killed[-signal.SIGKILL] > count * 0.7, killed  # or the moments were too late to tell
    assert set(killed) <= {0, -signal.SIGKILL}
    assert len({len(kill.tasks) for kill in kills}) > min(count, 200) * 0.2  # the moments differ


def _nothing_unfinished(facts: Facts) -> None:
    assert facts.unfinished() == []


def _check_list(place: Place, kills: list[Kill]) -> None:
    """Look at what a person sees: `flowstone run ls`."""
    script = Path(sys.executable).parent / "flowstone"
    limit = str(len(kills) + 1)
    listed = place.command(str(script), "run", "ls", "--json", "--limit", limit)
    states = {run["id"]: run["state"] for run in json.loads(listed)}
    assert {kill.run_id: kill.root.state.type.value for kill in kills} == {
        run_id: state["type"] for run_id, state in states.items()
    }
    crashes = [state["message"] for state in states.values() if state["type"] == "CRASHED"]
    assert all("process" in message for message in crashes), crashes


def _check_file(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
