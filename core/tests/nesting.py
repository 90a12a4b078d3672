"""A program that runs nestings of flows and tasks, for `test_nesting`: each has to end.

Its arguments: the runner, how many workers it has, how deep the nestings are, and of how many
parts which one. It prints the nestings that gave a wrong value. One that hangs ends the program,
with the stack of each thread.
"""

from __future__ import annotations

import asyncio
import faulthandler
import sys
from importlib import import_module
from itertools import islice
from typing import TYPE_CHECKING, Any

from flowstone import flow, task
from flowstone.futures import as_completed, wait
from flowstone.task_runners import ProcessPoolTaskRunner, ThreadPoolTaskRunner
from flowstone.testing import flowstone_test_harness

if TYPE_CHECKING:
    from collections.abc import Iterator

    #: Of each level but the outermost: how it is called, and what it is.
    Path = tuple[tuple[str, str], ...]

#: So long without the end of a nesting, in seconds, is a hang; most take milliseconds.
HANG = 120

FLOWS, TASKS = ("flow", "aflow"), ("task", "atask")
#: What code of either colour can do with each kind of unit.
WAYS: dict[bool, dict[str, tuple[str, ...]]] = {
    False: {
        "call": ("flow", "task"),
        **dict.fromkeys(("result", "wait", "completed", "map", "window"), TASKS),
    },
    True: {
        "call": (*FLOWS, *TASKS),
        "gather": ("aflow", "atask"),
        **dict.fromkeys(("result", "late", "wait", "map", "window", "future", "futures"), TASKS),
    },
}
#: These make two calls.
TWICE = {"map", "window", "gather", "futures", "completed"}


def nest(unit: Any, way: str, rest: Path) -> Any:
    """Do what sync and async code do in one way; None where they don't."""
    match way:
        case "result" | "late":
            return unit.submit(rest).result()
        case "wait":
            future = unit.submit(rest)
            wait([future])
            return future.state.result()
        case "completed":
            futures = [unit.submit(rest), unit.submit(rest)]
            return sum(future.result() for future in as_completed(futures))
        case "map":
            return sum(unit.map([rest, rest]).result())
        case "window":
            return sum(unit.map([rest, rest], max_in_flight=1).result())
    return None


def run(path: Path) -> Any:
    if not path:
        return 1
    (way, kind), rest = path[0], path[1:]
    unit = UNITS[kind]
    return unit(rest) if way == "call" else nest(unit, way, rest)


async def arun(path: Path) -> Any:
    if not path:
        return 1
    (way, kind), rest = path[0], path[1:]
    unit = UNITS[kind]
    match way:
        case "call":
            value = unit(rest)
            return await value if asyncio.iscoroutine(value) else value
        case "gather":
            return sum(await asyncio.gather(unit(rest), unit(rest)))
        case "future":
            return await unit.submit(rest)
        case "futures":
            return sum(await asyncio.gather(unit.submit(rest), unit.submit(rest)))
        case "late":
            future = unit.submit(rest)
            await asyncio.sleep(0)  # it may have begun by now
            return future.result()
    return nest(unit, way, rest)


UNITS: dict[str, Any] = {
    "flow": flow(run),
    "aflow": flow(arun),
    "task": task(run),
    "atask": task(arun),
}


def find_paths(kind: str, depth: int) -> Iterator[Path]:
    """Yield what can be nested in a kind of unit, so deep."""
    if not depth:
        yield ()
        return
    for way, kinds in WAYS[kind.startswith("a")].items():
        for inner in kinds:
            for rest in find_paths(inner, depth - 1):
                yield ((way, inner), *rest)


def run_nesting(kind: str, path: Path) -> object:
    try:
        value = UNITS[kind](path)
        return asyncio.run(value) if asyncio.iscoroutine(value) else value
    except Exception as error:
        return repr(error)


def main(runner: str, workers: int, depth: int, parts: int, part: int) -> None:
    """Run each nesting of that depth, and print how many there were."""
    kind = ProcessPoolTaskRunner if runner == "processes" else ThreadPoolTaskRunner
    for name in FLOWS:
        UNITS[name] = UNITS[name].with_options(task_runner=kind(workers))
    nestings = [(name, path) for name in UNITS for path in find_paths(name, depth)]
    count = 0
    with flowstone_test_harness():
        for name, path in islice(nestings, part, None, parts):
            faulthandler.dump_traceback_later(HANG, exit=True)
            print(end=f"{name} {path} ", flush=True)
            value = run_nesting(name, path)
            right = 2 ** sum(way in TWICE for way, _ in path)
            print("is right" if value == right else f"gave {value}, not {right}", flush=True)
            count += 1
    print(f"{count} nestings")


if __name__ == "__main__":
    # As a module, so that processes find its functions by their names.
    import_module("nesting").main(sys.argv[1], *map(int, sys.argv[2:]))
