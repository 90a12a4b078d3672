"""A task mapped over threads, in one flow; the flow's end writes all that is not written yet."""

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


@library.task
def work(number: int) -> int:
    return number


@library.flow
def mapped(count: int) -> int:
    return sum(work.map(range(count)).result())


mapped(count // 10)
began = perf_counter()
assert mapped(count) == count * (count - 1) // 2
print(json.dumps({"us": 1e6 * (perf_counter() - began) / count}))
