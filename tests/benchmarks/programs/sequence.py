"""A task called in a loop, in one flow; the flow's end writes all that is not written yet.

Arguments: the library's name; how many; `sync` or `async`; how often it is measured.
"""

import asyncio
import json
import sys
from importlib import import_module
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import flowstone as library
else:
    library = import_module(sys.argv[1])
count, how = int(sys.argv[2]), sys.argv[3]
rounds = int(sys.argv[4]) if sys.argv[4:] else 3


@library.task
def work(number: int) -> int:
    return number


@library.flow
def sequence(count: int) -> None:
    for number in range(count):
        work(number)


@library.task
async def awork(number: int) -> int:
    return number


@library.flow
async def asequence(count: int) -> None:
    for number in range(count):
        await awork(number)


def run(count: int) -> None:
    if how == "sync":
        sequence(count)
    else:
        asyncio.run(asequence(count))


def timed() -> float:
    began = perf_counter()
    run(count)
    return perf_counter() - began


run(1000)
# The least of some: what else the machine does only ever adds.
print(json.dumps({"us": 1e6 * min(timed() for _ in range(rounds)) / count}))
