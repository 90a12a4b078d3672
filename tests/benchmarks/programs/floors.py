"""What a person would have without a library: a call, a thread pool, rows in SQLite."""

import json
import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from uuid import uuid4

count = int(sys.argv[2])


def work(number: int) -> int:
    return number


began = perf_counter()
for number in range(count):
    work(number)
call = perf_counter() - began

began = perf_counter()
with ThreadPoolExecutor(128) as pool:
    assert len(list(pool.map(work, range(count)))) == count
pooled = perf_counter() - began

# The same rows: one of the run, one for each of two facts of it; written in batches.
runs = [
    (str(uuid4()), "task", f"work-{number}", "work", 0.0, "COMPLETED") for number in range(count)
]
facts = [(str(uuid4()), run[0], kind, 0.0) for run in runs for kind in ("started", "completed")]
connection = sqlite3.connect(Path("floor.db"), isolation_level=None)
connection.execute("PRAGMA journal_mode = WAL")
connection.execute("PRAGMA synchronous = NORMAL")
connection.execute("CREATE TABLE runs (id TEXT PRIMARY KEY, kind, name, unit, at, state)")
connection.execute("CREATE TABLE facts (id TEXT PRIMARY KEY, run_id, kind, at)")
began = perf_counter()
for start in range(0, count, 1000):
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO runs VALUES (?,?,?,?,?,?)", runs[start : start + 1000])
    batch = facts[2 * start : 2 * start + 2000]
    connection.executemany("INSERT INTO facts VALUES (?,?,?,?)", batch)
    connection.execute("COMMIT")
insert = perf_counter() - began
connection.close()
figures = {"call_us": call, "pool_us": pooled, "insert_us": insert}
print(json.dumps({name: 1e6 * took / count for name, took in figures.items()}))
