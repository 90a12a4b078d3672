"""Seeds, run: over memory or SQLite, with a report and a smaller form of what fails."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from flowstone.logging.run_logger import ROOT, configure
from flowstone.stores.sqlite import open_sqlite

from .scheduler import end_threads
from .world import Parts, World

if TYPE_CHECKING:
    from .wire import Store

#: Every so many seeds, the store is SQLite in a file, which each process has open for itself.
SQLITE = 50
#: In one of so many, runs log: the lines are facts too, but tracebacks take their time.
LOGGED = 4
#: So many other runs are tried to find which faults a failure needs.
MOST_TRIES = 60


def simulate(seed: int, parts: Parts | None = None, without: frozenset[int] = frozenset()) -> World:
    """Run a seed's world; `scheduler.failure` of what is returned says what is broken."""
    ROOT.setLevel("INFO" if seed % LOGGED == 0 else "CRITICAL")
    if parts is None and seed % SQLITE == SQLITE - 1:
        with TemporaryDirectory() as folder:
            return _over_sqlite(seed, without, Path(folder))
    world = World(seed, parts=parts, without=without)
    world.run()
    return world


def _over_sqlite(seed: int, without: frozenset[int], folder: Path) -> World:
    opened: list[Store] = []

    def open_store(now: Callable[[], float]) -> Store:
        opened.append(open_sqlite(folder / "flowstone.db", now=now))
        return opened[-1]

    try:
        world = World(seed, without=without, open_store=open_store)
        world.run()
    finally:
        for store in opened:
            store.close()
    return world


def first_failure(seeds: range, parts: Parts | None = None) -> World | None:
    """Run seeds until one fails."""
    with quiet():
        for seed in seeds:
            world = simulate(seed, parts)
            if world.scheduler.failure:
                return world
    return None


def shrunk(world: World) -> World:
    """Return a world that is broken in the same way, without the faults that it does not need."""
    seed, parts = world.seed, world.given
    best, without = world, world.faults.without
    with quiet():
        for number in reversed(world.faults.fired[:MOST_TRIES]):
            tried = simulate(seed, parts, without | {number})
            if _kind(tried) == _kind(world):
                best, without = tried, without | {number}
    return best


def _kind(world: World) -> str:
    """Return what is broken, without names and numbers."""
    return "".join(part for part in world.scheduler.failure or "" if not part.isdigit())


def report(world: World) -> str:
    """Say what is broken, how it came, and how to see it again."""
    smaller = shrunk(world)
    options = f"--seed {world.seed}"
    if smaller.faults.without:
        options += f" --without {','.join(map(str, sorted(smaller.faults.without)))}"
    needed, fired = len(smaller.faults.fired), len(world.faults.fired)
    lines = [
        f"seed {world.seed}: {world.scheduler.failure}",
        f"with {needed} of its {fired} faults: {smaller.scheduler.failure}",
        *smaller.lines(),
        f"Replay: .venv/bin/pytest -s core/tests/simulation/test_seeds.py -k test_seeds {options}",
    ]
    return "\n".join(lines)


@contextmanager
def quiet() -> Iterator[None]:
    """Let runs log to their stores only, and keep all threads on one processor.

    One thread runs at a time: that they need not be woken elsewhere makes it three times as fast.
    Each process of a test run has a processor of its own, where there are enough.
    """
    level, propagate, handler = ROOT.level, ROOT.propagate, logging.NullHandler()
    configure("INFO")
    ROOT.propagate = False
    shows, logging.raiseExceptions = logging.raiseExceptions, False  # of lines that can't be kept
    logging.getLogger().addHandler(handler)  # as a program that configures logging would show it
    pin: Callable[[int, Any], None] | None = getattr(os, "sched_setaffinity", None)
    allowed = sorted(os.sched_getaffinity(0)) if pin else []
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    try:
        if pin is not None:
            pin(0, {allowed[worker % len(allowed)]})
        yield
    finally:
        end_threads()
        if pin is not None:
            pin(0, allowed)
        logging.getLogger().removeHandler(handler)
        ROOT.propagate = propagate
        ROOT.setLevel(level)
        logging.raiseExceptions = shows
