"""A task mapped over processes, in one flow, beside a bare pool of processes."""

import json
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import flowstone as library
    from flowstone.task_runners import ProcessPoolTaskRunner
else:
    library = import_module(sys.argv[1])
    ProcessPoolTaskRunner = import_module(f"{sys.argv[1]}.task_runners").ProcessPoolTaskRunner
count, workers = int(sys.argv[2]), 2


def bare(number: int) -> int:
    return number


@library.task
def work(number: int) -> int:
    return number


def mapped(count: int) -> float:
    began = perf_counter()
    assert sum(work.map(range(count)).result()) == count * (count - 1) // 2
    return perf_counter() - began


@library.flow(task_runner=ProcessPoolTaskRunner(max_workers=workers))
def timed(count: int) -> tuple[float, float]:
    """Return what it takes with processes to start, and what once they are there."""
    return mapped(count), min(mapped(count) for _ in range(3))


def floor(count: int) -> tuple[float, float]:
    """Do the same in a bare pool, with no library."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context) as pool:

        def once() -> float:
            began = perf_counter()
            assert sum(pool.map(bare, range(count))) == count * (count - 1) // 2
            return perf_counter() - began

        return once(), min(once() for _ in range(3))


if __name__ == "__main__":
    cold, warm = timed(count)
    bare_cold, bare_warm = floor(count)
    figures = {"cold": cold, "warm": warm, "bare_cold": bare_cold, "bare_warm": bare_warm}
    print(json.dumps({name: 1e6 * took / count for name, took in figures.items()}))
