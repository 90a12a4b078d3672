"""A task mapped over threads, in one flow; the flow's end writes all that is not written yet.

Arguments: the library's name; how many; how often it is measured.
"""

import json
import sys
from importlib import import_module
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import flowstone as library
else:
    library = import_module(sys.argv[1])
count = int(sys.argv[2])
rounds = int(sys.argv[3]) if sys.argv[3:] else 3


@library.task
def work(number: int) -> int:
    return number


@library.flow
def mapped(count: int) -> int:
    return sum(work.map(range(count)).result())


def timed() -> float:
    began = perf_counter()
    assert mapped(count) == count * (count - 1) // 2
    return perf_counter() - began


mapped(1000)
# The least of some: what else the machine does only ever adds.
print(json.dumps({"us": 1e6 * min(timed() for _ in range(rounds)) / count}))
