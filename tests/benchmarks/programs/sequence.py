"""A task called in a loop, in one flow; the flow's end writes all that is not written yet."""

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
def sequence(count: int) -> None:
    for number in range(count):
        work(number)


sequence(count // 10)
began = perf_counter()
sequence(count)
print(json.dumps({"us": 1e6 * (perf_counter() - began) / count}))
