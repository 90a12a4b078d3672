"""Tasks that each return a large value: how much memory they take at the most."""

import json
import resource
import sys
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import flowstone as library
    from flowstone.futures import as_completed
else:
    library = import_module(sys.argv[1])
    as_completed = import_module(f"{sys.argv[1]}.futures").as_completed
how, count, kilobytes = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
WINDOW = 8


def work(number: int, slot: int = 0) -> bytes:
    return number.to_bytes(8, "little") * (kilobytes * 128)


plain = library.task(work)
#: Each is computed and written; a hundred files take them in turn, to spare the disk.
kept = library.task(
    persist_result=True, refresh_cache=True, result_storage_key="{parameters[slot]}"
)(work)


@library.flow
def streamed(count: int) -> int:
    """Hand out each future, and let go of it."""
    return sum(
        len(future.result()) for future in plain.map(iter(range(count)), max_in_flight=WINDOW)
    )


@library.flow
def persisted(count: int) -> int:
    """Do the same, with each value in a file."""
    slots = (number % 100 for number in range(count))
    futures = kept.map(iter(range(count)), slots, max_in_flight=WINDOW)
    return sum(len(future.result()) for future in futures)


@library.flow
def called(count: int) -> int:
    return sum(len(plain(number)) for number in range(count))


@library.flow
def completed(count: int) -> int:
    """Take the futures of one window after the other as they end."""
    found = 0
    for start in range(0, count, WINDOW):
        futures = plain.map(range(start, min(count, start + WINDOW)))
        found += sum(len(future.result()) for future in as_completed(futures))
    return found


def peak() -> int:
    """Return the most memory that this process has had, in kB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


flows = {"called": called, "streamed": streamed, "persisted": persisted, "completed": completed}
many = flows[how]
many(2)
before = peak()
began = perf_counter()
assert many(count) == count * kilobytes * 1024
took = perf_counter() - began
left = sum(path.stat().st_size for path in Path().rglob("*") if path.is_file())
figures = {"us": 1e6 * took / count, "mb": (peak() - before) / 1e3, "kept_mb": left / 1e6}
print(json.dumps(figures))
