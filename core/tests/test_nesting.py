"""Whatever runs inside whatever, and however it is waited for, it ends."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from flowstone import Future, flow, quote, task
from flowstone.errors import ConfigurationError
from flowstone.task_runners import ThreadPoolTaskRunner

PROGRAM = Path(__file__).with_name("nesting.py")


def run_nestings(*args: object) -> None:
    """Run the nestings of `nesting.py`; its watchdog ends it where one of them hangs."""
    command = [sys.executable, str(PROGRAM), *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    *lines, count = done.stdout.splitlines() or [""]
    wrong = [line for line in lines if not line.endswith(" is right")]
    assert (done.returncode, wrong) == (0, []), f"{count}\n{done.stderr[-20_000:]}"
    assert count == f"{len(lines)} nestings"


@pytest.mark.parametrize(("workers", "depth"), [(1, 1), (4, 1), (1, 2), (4, 2)])
def test_nestings_end(workers: int, depth: int) -> None:
    run_nestings("threads", workers, depth, depth**2, workers % depth**2)


@pytest.mark.slow
def test_nestings_end_in_processes() -> None:
    run_nestings("processes", 1, 1, 1, 0)


@pytest.mark.check
@pytest.mark.parametrize("part", range(8))
@pytest.mark.parametrize(
    ("runner", "workers", "depth"),
    [("threads", 1, 3), ("threads", 3, 3), ("processes", 1, 2), ("processes", 2, 2)],
)
def test_all_nestings_end(runner: str, workers: int, depth: int, part: int) -> None:
    run_nestings(runner, workers, depth, 8, part)


@task
async def descend(depth: int) -> int:
    return 1 + await descend.submit(depth - 1) if depth else 0


@task
async def block(depth: int) -> int:
    return 1 + block.submit(depth - 1).result() if depth else 0


@task
def alternate(depth: int) -> int:
    return 1 + ablock.submit(depth - 1).result() if depth else 0


@task
async def ablock(depth: int) -> int:
    return 1 + alternate.submit(depth - 1).result() if depth else 0


@task
async def pick(others: list[Future[int]], begun: threading.Event, go: threading.Event) -> int:
    begun.set()
    assert go.wait(300)
    return others[0].result()


@task
async def stay(gate: threading.Event) -> int:
    return await asyncio.to_thread(gate.wait, 300)


@pytest.mark.usefixtures("services")
@pytest.mark.parametrize("chain", [block, alternate])
def test_a_chain_of_blocking_tasks_ends(chain: Any) -> None:
    @flow(task_runner=ThreadPoolTaskRunner(1))
    def run() -> Any:
        return chain.submit(40).result()

    assert run() == 40


@pytest.mark.usefixtures("services")
def test_a_chain_that_awaits_may_be_long_and_one_that_blocks_says_where_it_ends() -> None:
    assert flow(lambda: descend.submit(300).result())() == 300
    with pytest.raises(ConfigurationError, match=r"event loop that this would block.*Await"):
        flow(lambda: block.submit(300).result())()


@pytest.mark.usefixtures("services")
def test_a_task_that_waits_for_one_beside_it_ends() -> None:
    begun, go, gate = threading.Event(), threading.Event(), threading.Event()

    @flow
    def both_have_begun() -> int:
        staying = stay.submit(gate)
        go.set()
        waiting = pick.submit(quote([staying]), begun, go)
        waiting.wait()
        gate.set()
        staying.wait()
        return waiting.result()

    with pytest.raises(ConfigurationError, match=r"waiting for 'stay-0'.*Await the future"):
        both_have_begun()

    @flow
    def one_has_begun() -> int:
        others: list[Future[int]] = []
        begun.clear()
        go.clear()
        waiting = pick.submit(quote(others), begun, go)
        assert begun.wait(300)
        others.append(descend.submit(1))
        go.set()
        return waiting.result()

    assert one_has_begun() == 1
