"""A store of many runs: to list some, to delete most while a flow writes, to get the space back."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.fresh import Library, timed
from tests.benchmarks.rows import Row

from flowstone.records.events import make_birth_event, make_change_event
from flowstone.records.states import COMPLETED, State
from flowstone.stores.sqlite import open_sqlite
from flowstone_testing.conformance.samples import begin, child_run, fence, life, line, root_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowstone.stores.sqlite import SqliteStore

COMMAND = str(Path(sys.executable).with_name("flowstone"))
#: Of each ten runs, so many are of the flow that is deleted.
OLD = 9


def stores(count: int, rounds: int, _: Library | None) -> list[Row]:
    """Measure the commands of an operator on a store of so many runs, each with a task."""
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory) / "home"
        library = Library("flowstone", sys.executable, {"FLOWSTONE_HOME": str(home)})
        with closing(open_sqlite(home / "flowstone.db")) as store:
            _fill(store, count)
        commands = {
            "help": [COMMAND, "--help"],
            "ls": [COMMAND, "run", "ls"],
            "none": [COMMAND, "run", "ls", "--since", "2999-01-01"],
        }
        found = timed(library, commands, rounds)
        least = found["help"].least
        what = f"run ls, {count:,} runs"
        rows = [
            Row(what, found["ls"].middle, "ms", found["help"].middle, "--help", 300),
            Row("... least", found["ls"].least, "ms", least, "--help", 300),
            Row("... of which none fits, least", found["none"].least, "ms", least, "--help", 300),
        ]
        return [*rows, *_delete(home, count, library.environment(directory))]


def _delete(home: Path, count: int, environment: dict[str, str]) -> list[Row]:
    def call(*args: str) -> float:
        began = time.perf_counter()
        subprocess.run([COMMAND, *args], env=environment, cwd=home, check=True, capture_output=True)
        return time.perf_counter() - began

    file = home / "flowstone.db"
    before = file.stat().st_size
    seconds, deleting = _beside_a_writer(file, lambda: call("run", "delete", "--flow", "old", "-y"))
    gone = count * OLD // 10
    _, vacuuming = _beside_a_writer(file, lambda: call("store", "vacuum"))
    _, again = _beside_a_writer(file, lambda: call("store", "vacuum"))
    return [
        Row(f"run delete, {gone:,} runs beside a writer, each", 1e6 * seconds / gone, "us"),
        Row("... the writer's longest wait", 1000 * deleting, "ms"),
        Row("store vacuum, the file is left with", 100 * file.stat().st_size / before, "%"),
        Row("... a writer's longest wait, the first time", 1000 * vacuuming, "ms"),
        Row("... and later", 1000 * again, "ms"),
    ]


def _fill(store: SqliteStore, count: int) -> None:
    for number in range(count):
        unit = "old" if number % 10 < OLD else "kept"
        root = replace(root_run(f"run-{number}"), unit=unit)
        store.create(make_birth_event(root))
        facts, _ = life(child_run(root), COMPLETED)
        store.append([*facts, line(root), line(root)], fence(root))
        store.record(make_change_event(root, State(COMPLETED), 1))


def _beside_a_writer(file: Path, call: Callable[[], float]) -> tuple[float, float]:
    """Return what a call returns, and how long a line took at most that was written meanwhile."""
    is_over = threading.Event()
    waits = [0.0]

    def write() -> None:
        with closing(open_sqlite(file)) as store:
            root = begin(store)
            while not is_over.wait(0.01):
                began = time.perf_counter()
                store.append([line(root)], fence(root))
                waits.append(time.perf_counter() - began)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        return call(), max(waits)
    finally:
        is_over.set()
        writer.join()
