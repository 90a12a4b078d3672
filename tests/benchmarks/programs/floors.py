"""What a person would have without a library: a call, a thread pool, a pair of upserts.

Arguments: a library's name, which is not used; how many; which floor (all where none is named);
how often each is measured.
"""

import json
import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter

count = int(sys.argv[2])
asked = sys.argv[3:4]
rounds = int(sys.argv[4]) if sys.argv[4:] else 3


def work(number: int) -> int:
    return number


def call() -> float:
    began = perf_counter()
    for number in range(count):
        work(number)
    return perf_counter() - began


def pool() -> float:
    began = perf_counter()
    with ThreadPoolExecutor(128) as threads:
        assert len(list(threads.map(work, range(count)))) == count
    return perf_counter() - began


def make_rows() -> list[tuple[str, str, str, str, float, str]]:
    """Return the rows of a pair of upserts for each run: it starts, and it has ended."""
    runs = [(f"{number:032x}", "task", f"work-{number}", "work", 0.0) for number in range(count)]
    return [(*run, state) for run in runs for state in ("RUNNING", "COMPLETED")]


def rows() -> float:
    """Make the rows only, to take their instructions off those of `upserts`."""
    began = perf_counter()
    make_rows()
    return perf_counter() - began


def upserts() -> float:
    """Write a run's row when it starts, and again when it has ended; a thousand to a commit."""
    pairs = make_rows()
    file = Path("floor.db")
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("CREATE TABLE runs (id TEXT PRIMARY KEY, kind, name, unit, at, state)")
    upsert = (
        "INSERT INTO runs VALUES (?,?,?,?,?,?)"
        " ON CONFLICT (id) DO UPDATE SET at = excluded.at, state = excluded.state"
    )
    began = perf_counter()
    for start in range(0, len(pairs), 1000):
        connection.execute("BEGIN")
        connection.executemany(upsert, pairs[start : start + 1000])
        connection.execute("COMMIT")
    took = perf_counter() - began
    connection.close()
    file.unlink()
    return took


floors = {floor.__name__: floor for floor in (call, pool, rows, upserts)}
# The least of some: what else the machine does only ever adds.
figures = {
    f"{name}_us": 1e6 * min(floors[name]() for _ in range(rounds)) / count
    for name in asked or floors
}
print(json.dumps(figures))
