"""The stages of a check, each in a separate process, so that a crash doesn't end the check."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import current_thread, main_thread
from time import monotonic
from typing import TYPE_CHECKING, Any

from flowstone_testing.levels import ExpectedSuite, Grade, JoinedSuite, Result, grade_suites

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    #: Called with the stage and its facts so far.
    Watch = Callable[[str, "Reading"], object]

#: Display names of the stages.
STAGES = {"stock": "what it offers", "outside": "from outside", "joined": "its own tests"}
#: Seconds between reads of the facts that a stage writes.
PAUSE = 0.1
#: Lines of a stage's output that are shown if it did not finish.
TAIL = 5


@dataclass(slots=True)
class CheckRecord:
    """The facts that the stages have recorded.

    Attributes:
        package: `name`, `version`, `plugin`, `tests` and `error`; only `known` if there is no such
            package.
        problems: what could not be checked, and why.
    """

    package: dict[str, Any] = field(default_factory=dict)
    wanted: list[ExpectedSuite] = field(default_factory=list)
    joined: list[JoinedSuite] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def grade(self) -> list[Grade]:
        return grade_suites(self.wanted, self.joined, self.results)


@dataclass(slots=True)
class Reading:
    """The facts of one stage, read while they are written.

    Attributes:
        doing: the current step of the stage.
        tests: the number of tests it will run; `results` is how many have ended.
        problems: the number of problems it has reported.
        done: whether it finished.
    """

    path: Path
    found: CheckRecord
    doing: str = "starting"
    tests: int = 0
    results: int = 0
    problems: int = 0
    done: bool = False
    _offset: int = 0

    def go_on(self) -> bool:
        """Read what has been written since the last call; return whether there was anything.

        If a process is killed while it writes, its last, incomplete line is ignored.
        """
        if not self.path.exists():
            return False
        with self.path.open("rb") as file:
            file.seek(self._offset)
            written, newline, _ = file.read().rpartition(b"\n")
        self._offset += len(written) + len(newline)
        for line in written.splitlines():
            self._take(line)
        return bool(newline)

    def _take(self, line: bytes) -> None:
        found = self.found
        ((kind, record),) = json.loads(line).items()
        match kind:
            case "doing":
                self.doing = record
            case "collected":
                self.tests = record
            case "package":
                found.package = record
            case "wanted":
                found.wanted.append(ExpectedSuite(**record))
            case "joined":
                # Each process of a parallel test run reports the same.
                found.joined += [
                    each for each in [JoinedSuite(**record)] if each not in found.joined
                ]
            case "result":
                self.results += 1
                found.results.append(Result(**record))
            case "problem":
                self.problems += 1
                found.problems.append(record)
            case _:
                self.done = True


def check_in_stages(
    package: str, tests: Path | None, *, own: bool, live: bool, seconds: float, watch: Watch
) -> CheckRecord:
    """Check a package in three stages: inventory, outside checks, the package's tests.

    Args:
        package: a distribution, a module, or the name of a plugin.
        tests: the package's conformance tests; None uses those in its source tree.
        own: whether to run them.
        live: whether they run against the real service.
        seconds: the timeout of each stage, in seconds.
        watch: called with the progress of each stage, many times a second.
    """
    found = CheckRecord()
    with _exit_cleanly(), TemporaryDirectory(prefix="flowstone-check-") as name:
        folder = Path(name)
        stage = StageRunner(folder, found, seconds, watch)
        stage.run("stock", "flowstone_testing.check", package, str(folder))
        if found.package.get("known") is not None or found.package.get("error"):
            return found
        if found.package:
            stage.test("outside", folder / "test_outside.py")
            known = found.package.pop("tests", [])
            places = (tests,) if tests else tuple(Path(path) for path in known)
            if own and places:
                found.package["tests"] = [str(path) for path in places]
                stage.test("joined", *places, options=["--live"] if live else [])
    return found


class StageRunner:
    """Runs stages one after another; their facts and output are written to a directory."""

    def __init__(self, folder: Path, found: CheckRecord, seconds: float, watch: Watch) -> None:
        self._folder, self._found, self._seconds, self._watch = folder, found, seconds, watch

    def test(self, name: str, *tests: Path, options: Sequence[str] = ()) -> None:
        """Run tests in their own directory, which determines pytest's settings."""
        recorder = ("-p", "flowstone_testing.check.recorder", "-p", "no:cacheprovider")
        facts = (f"--kit-facts={self._folder / name}", f"--kit-stage={name}")
        paths = [path.resolve() for path in tests]
        where = paths[0] if paths[0].is_dir() else paths[0].parent
        # A truncated message would omit names that have to be fixed.
        whole = ("-o", "verbosity_assertions=2")
        words = ("-q", *options, *whole, *recorder, *facts, *map(str, paths))
        self.run(name, "pytest", *words, cwd=where)

    def run(self, name: str, module: str, *words: str, cwd: Path | None = None) -> None:
        """Run a module in a separate process and read the facts that it writes."""
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
        reading = Reading(self._folder / name, self._found)
        try:
            code = self._wait(process, STAGES[name], reading)
        finally:
            _end(process)
        reading.go_on()
        if code is None:
            ending = f"stopped after {self._seconds:g} s, at {reading.doing}"
            self._found.problems.append(f"{STAGES[name]}: {ending}")
        elif not reading.done and not reading.problems:
            ending = f"{STAGES[name]}: its process ended with {code}, at {reading.doing}"
            # Once tests have run, the output may contain their values.
            last = said.read_text("utf-8", "replace").strip().splitlines()[-TAIL:]
            self._found.problems.append("\n".join([ending, *([] if reading.results else last)]))

    def _wait(self, process: subprocess.Popen[bytes], stage: str, reading: Reading) -> int | None:
        """Return the exit code; None on timeout."""
        end = monotonic() + self._seconds
        while True:
            self._watch(stage, reading)
            try:
                return process.wait(min(PAUSE, max(0.0, end - monotonic())))
            except subprocess.TimeoutExpired:
                if monotonic() >= end:
                    return None
            reading.go_on()


@contextmanager
def _exit_cleanly() -> Iterator[None]:
    """Exit on termination signals, so that the child processes are ended, too."""
    if current_thread() is not main_thread():
        yield
        return
    asked = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    heard = [number for number in asked if signal.getsignal(number) is not signal.SIG_IGN]  # nohup
    before = [(number, signal.signal(number, _leave)) for number in heard]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def _leave(number: int, _: object) -> None:
    sys.exit(128 + number)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and its children."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        process.kill()
    process.wait()
