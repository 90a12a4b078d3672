"""The instructions of the processor, counted by valgrind: what else the machine does adds none.

They don't see waiting: a lock, a disk, threads that hand Python's lock to each other.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.benchmarks.fresh import OURS, PROGRAMS, timed
from tests.benchmarks.rows import Row
from tests.benchmarks.starts import HELLO, IMPORT
from tests.benchmarks.tasks import MAPPED, SEQUENCE
from tests.services.servers import ROOT_NEEDED, Absent

if TYPE_CHECKING:
    from tests.benchmarks.fresh import Library


def instructions(count: int, peer: Library | None) -> list[Row]:
    """Count the instructions of a start, and those that one more task takes."""
    if shutil.which("valgrind") is None:
        raise Absent("instructions", "valgrind", ROOT_NEEDED)
    hello = [str(PROGRAMS / "hello.py"), OURS.module]
    timed(OURS, {"hello": [OURS.python, *hello]}, 1)  # the bytecode is there from now on
    bare = _count(["-c", ""])
    imported = _count(["-c", f"from {OURS.module} import flow, task"])
    floor = _Each("floors", ("upserts", 1)).count(count) - _Each("floors", ("rows", 1)).count(count)
    rows = [
        Row("instructions of an import", imported / 1e6, "M", bare / 1e6, "bare", times=IMPORT),
        Row("... of a cold hello flow", _count(hello) / 1e6, "M", bare / 1e6, "bare", times=HELLO),
    ]
    each = {
        "... of a task in sequence": (_Each("sequence", ("sync", 1)), SEQUENCE),
        "... of an async task in sequence": (_Each("sequence", ("async", 1)), None),
        "... of a task mapped over threads": (_Each("mapped", (1,)), MAPPED),
    }
    for what, (program, times) in each.items():
        figure = program.count(count) / 1e3
        rows.append(Row(what, figure, "k", floor / 1e3, "two upserts", times=times))
    return rows


@dataclass(frozen=True)
class _Each:
    """A program that is run for two numbers of tasks, so that what each one takes is left."""

    program: str
    arguments: tuple[object, ...]

    def count(self, count: int) -> float:
        return (self._run(2 * count) - self._run(count)) / count

    def _run(self, count: int) -> int:
        path = str(PROGRAMS / f"{self.program}.py")
        return _count([path, OURS.module, str(count), *map(str, self.arguments)])


def _count(arguments: list[str]) -> int:
    """Return the instructions of a program, in a new home."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", OURS.python]
    with tempfile.TemporaryDirectory() as home:
        # The same hashes each time, so that the same paths are taken.
        env = {**OURS.environment(home), "PYTHONHASHSEED": "0"}
        done = subprocess.run(
            [*command, *arguments], env=env, cwd=home, capture_output=True, text=True, check=False
        )
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or found is None:
        raise RuntimeError(f"valgrind {arguments} ended with {done.returncode}:\n{done.stderr}")
    return int(found[1])
