"""Fresh processes: a program runs in a Python and a home of its own, and says its figures."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

PROGRAMS = Path(__file__).parent / "programs"
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Library:
    """The library under test: which Python has it, under what name, with what settings."""

    module: str
    python: str
    settings: dict[str, str] = field(default_factory=dict)

    def environment(self, home: str) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        homes = {"HOME": home, "FLOWSTONE_HOME": f"{home}/flowstone", "PREFECT_HOME": f"{home}/p"}
        return {**kept, **homes, "FLOWSTONE_LOGGING_LEVEL": "ERROR", **self.settings}

    def run(self, program: str, *args: object, **more: str) -> dict[str, float]:
        """Run a program in a new home, and return the figures of its last line."""
        with tempfile.TemporaryDirectory() as home:
            command = [self.python, str(PROGRAMS / f"{program}.py"), self.module, *map(str, args)]
            env = {**self.environment(home), **more}
            done = subprocess.run(
                command, env=env, cwd=home, capture_output=True, text=True, check=False
            )
            # The peer may crash at its end, with its threads of dbt, when all is measured.
            if done.returncode and (self.module == OURS.module or not done.stdout):
                raise RuntimeError(f"{program} ended with {done.returncode}:\n{done.stderr}")
            figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
            return figures


OURS = Library("flowstone", sys.executable)


@dataclass(frozen=True)
class Times:
    """Wall times of several fresh processes, in milliseconds, and the processor's time."""

    times: list[float]
    cpu: list[float]

    @property
    def least(self) -> float:
        return min(self.times)

    @property
    def middle(self) -> float:
        return median(self.times)


def timed(library: Library, commands: dict[str, list[str]], rounds: int) -> dict[str, Times]:
    """Time commands in turn, so that a noisy moment meets them all; the first round is thrown away.

    The home stays: the first round makes it, and the bytecode.
    """
    found = {name: Times([], []) for name in commands}
    with tempfile.TemporaryDirectory() as home:
        env = library.environment(home)
        for turn in range(rounds + 1):
            for name, command in commands.items():
                began, used = time.perf_counter(), _used()
                subprocess.run(command, env=env, cwd=home, check=True, capture_output=True)
                if turn:
                    found[name].times.append(1000 * (time.perf_counter() - began))
                    found[name].cpu.append(1000 * (_used() - used))
    return found


def _used() -> float:
    """Return the processor's seconds that ended children have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
