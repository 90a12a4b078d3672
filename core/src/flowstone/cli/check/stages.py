"""The stages of a check, each a process of its own: what it does to itself hurts nobody here."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from flowstone.grading import Grade, Joined, Result, Wanted, graded

#: So many lines of what a stage printed are shown, where it did not come to its end.
TAIL = 5


@dataclass(slots=True)
class Found:
    """What the stages have written down.

    Attributes:
        package: what `name`, `version`, `plugin`, `tests`, `error` are; with `known` only, there
            is no such package.
        problems: what could not be checked.
    """

    package: dict[str, Any] = field(default_factory=dict)
    wanted: list[Wanted] = field(default_factory=list)
    joined: list[Joined] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def grades(self) -> list[Grade]:
        return graded(self.wanted, self.joined, self.results)

    def read(self, facts: Path) -> tuple[bool, str]:
        """Take up facts; tell whether the stage came to its end, and what it did last."""
        done, doing = False, "starting"
        lines = facts.read_text("utf-8").splitlines() if facts.exists() else []
        for line in lines:
            ((kind, record),) = json.loads(line).items()
            match kind:
                case "package":
                    self.package = record
                case "wanted":
                    self.wanted.append(Wanted(**record))
                case "joined":
                    # Each process of a run in several says the same.
                    self.joined += [each for each in [Joined(**record)] if each not in self.joined]
                case "result":
                    self.results.append(Result(**record))
                case "problem":
                    self.problems.append(record)
                case "doing":
                    doing = record
                case _:
                    done = True
        return done, doing


def checked(package: str, tests: Path | None, *, own: bool, seconds: float) -> Found:
    """Check a package, in three stages: what it offers, what is seen from outside, its own tests.

    Args:
        package: a distribution, a module, or the name of a plugin.
        tests: the package's tests that join the kit; None takes those of its source tree.
        own: whether to run them.
        seconds: for each stage.
    """
    found = Found()
    with TemporaryDirectory(prefix="flowstone-check-") as name:
        folder = Path(name)
        stage = Stage(folder, found, seconds)
        stage.run("stock", "flowstone.testing.check", package, str(folder))
        if found.package.get("known") is not None or found.package.get("error"):
            return found
        if found.package:
            stage.test("outside", folder / "test_outside.py")
            known = found.package.pop("tests", [])
            places = (tests,) if tests else tuple(Path(path) for path in known)
            if own and places:
                found.package["tests"] = [str(path) for path in places]
                stage.test("joined", *places)
    return found


class Stage:
    """Runs stages one after the other; their facts, and what they print, go to a folder."""

    def __init__(self, folder: Path, found: Found, seconds: float) -> None:
        self._folder, self._found, self._seconds = folder, found, seconds

    def test(self, name: str, *tests: Path) -> None:
        """Run tests, in the directory where they are: it decides about pytest's settings."""
        recorder = ("-p", "flowstone.testing.check.recorder", "-p", "no:cacheprovider")
        facts = (f"--kit-facts={self._folder / name}", f"--kit-stage={name}")
        paths = [path.resolve() for path in tests]
        where = paths[0] if paths[0].is_dir() else paths[0].parent
        self.run(name, "pytest", "-q", *recorder, *facts, *map(str, paths), cwd=where)

    def run(self, name: str, module: str, *words: str, cwd: Path | None = None) -> None:
        """Run a module in a process of its own, and take up what it has written down."""
        said = self._folder / f"{name}.out"
        with said.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - a module of ours, or pytest
                [sys.executable, "-P", "-m", module, *words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd or self._folder,
                start_new_session=True,
            )
        try:
            code: int | None = process.wait(self._seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            _end(process)
        before = len(self._found.results)
        done, doing = self._found.read(self._folder / name)
        if code is None:
            self._found.problems.append(f"{name}: stopped after {self._seconds:g} s, at {doing}")
        elif not done:
            ending = f"{name}: its process ended with {code}, at {doing}"
            # Once tests have run, what was printed may have values of theirs in it.
            ran = len(self._found.results) > before
            last = [] if ran else said.read_text("utf-8", "replace").strip().splitlines()[-TAIL:]
            self._found.problems.append("\n".join([ending, *last]))


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process, and what it has started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        process.kill()
    process.wait()
