"""Facts: the findings of a check, written line by line, so that they survive a crash."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from flowstone_testing.levels import ExpectedSuite, JoinedSuite, Result


class FactLog:
    """A file of JSON lines, each ``{kind: record}``."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def note_step(self, what: str) -> None:
        """Record the next step, to blame it if the process ends or hangs."""
        self._write("doing", what)

    def note_package(self, **found: object) -> None:
        self._write("package", found)

    def note_count(self, number: int) -> None:
        """Record how many tests will run."""
        self._write("collected", number)

    def note_expected(self, found: ExpectedSuite) -> None:
        self._write("wanted", asdict(found))

    def note_joined(self, found: JoinedSuite) -> None:
        self._write("joined", asdict(found))

    def note_result(self, found: Result) -> None:
        self._write("result", asdict(found))

    def note_problem(self, what: str) -> None:
        """Record what could not be checked, and why."""
        self._write("problem", what)

    def note_end(self) -> None:
        self._write("done", True)

    def _write(self, kind: str, record: object) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({kind: record}) + "\n")
