"""A task whose results are kept: computed and written, then found again, beside bare files."""

import json
import sys
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import flowstone as library
else:
    library = import_module(sys.argv[1])
count = int(sys.argv[2])


@library.task(persist_result=True)
def work(number: int) -> int:
    return number


def once(count: int) -> float:
    """Return the time of each call."""
    began = perf_counter()
    assert sum(work(number) for number in range(count)) == count * (count - 1) // 2
    return (perf_counter() - began) / count


@library.flow
def kept() -> tuple[float, float]:
    work(-1)  # what is loaded with the first one
    # The least of many: what else the machine does only ever adds.
    return once(count), min(once(count // 10) for _ in range(50))


def read(folder: Path, count: int) -> float:
    began = perf_counter()
    for number in range(count):
        with (folder / f"{number}.json").open("rb") as file:
            assert json.loads(file.read()) == number
    return (perf_counter() - began) / count


def write(folder: Path, count: int) -> float:
    began = perf_counter()
    for number in range(count):
        with (folder / f"{number}.json").open("wb") as file:
            file.write(json.dumps(number).encode())
    return (perf_counter() - began) / count


miss, hit = kept()
bare = Path("bare")
bare.mkdir()
figures = {
    "miss": miss,
    "hit": hit,
    "write": write(bare, count),
    "read": min(read(bare, count // 10) for _ in range(50)),
}
print(json.dumps({name: 1e6 * took for name, took in figures.items()}))
