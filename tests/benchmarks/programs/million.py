"""Very many tasks in one flow: the time of each, the most memory, the size of the store."""

import json
import resource
import sys
from importlib import import_module
from pathlib import Path
from time import perf_counter, process_time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import flowstone as library
else:
    library = import_module(sys.argv[1])
how, count = sys.argv[2], int(sys.argv[3])
WINDOW = 100


@library.task
def work(number: int) -> int:
    return number


@library.flow
def called(count: int) -> int:
    return sum(work(number) for number in range(count))


@library.flow
def streamed(count: int) -> int:
    stream = work.map(iter(range(count)), max_in_flight=WINDOW)
    return sum(future.result() for future in stream)


def peak() -> int:
    """Return the most memory that this process has had, in kB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def size(name: str) -> int:
    """Return the bytes of the store's files of that name."""
    return sum(path.stat().st_size for path in Path().rglob(name))


many = {"called": called, "streamed": streamed}[how]
many(1000)
before = peak()
began, used = perf_counter(), process_time()
assert many(count) == count * (count - 1) // 2
took, used = perf_counter() - began, process_time() - used
print(
    json.dumps(
        {
            "us": 1e6 * took / count,
            "cpu": 1e6 * used / count,
            "kb": peak() - before,
            "file_mb": size("flowstone.db") / 1e6,
            "log_mb": size("flowstone.db-wal") / 1e6,
        }
    )
)
