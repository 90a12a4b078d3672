"""Async functions that yield: the same promises, on an event loop."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from functools import wraps
from pathlib import Path
from typing import Any

import pytest

from flowstone import flow, tags, task
from flowstone.context.current import Services, scope
from flowstone.errors import ClosedEarly, RunTimeout
from flowstone.records.events import make_change_event
from flowstone.records.runs import Run, RunQuery
from flowstone.runtime import task_run
from flowstone.states import Cancelling
from flowstone.stores.sqlite import open_sqlite


def on_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @wraps(test)
    def run(**fixtures: Any) -> None:
        asyncio.run(test(**fixtures))

    return run


def told(run: Run) -> str:
    return f"{run.state.name}: {run.state.message}" if run.state.message else run.state.name


def ends(services: Services) -> dict[str, str]:
    services.journal.flush()
    return {run.unit: told(run) for run in services.runs.runs(RunQuery())}


@task
async def numbers(count: int) -> AsyncIterator[int]:
    for number in range(count):
        await asyncio.sleep(0)
        yield number


@on_loop
async def test_values_of_tasks_in_flows(services: Services) -> None:
    @flow
    async def doubled(count: int) -> AsyncIterator[int]:
        async for number in numbers(count):
            yield number * 2

    values = doubled(3)
    assert ends(services) == {}
    assert await anext(values) == 0
    assert ends(services) == {"doubled": "Running", "numbers": "Running"}
    assert [value async for value in values] == [2, 4]
    assert ends(services) == {"doubled": "Completed", "numbers": "Completed"}


@on_loop
async def test_send_throw_and_close(services: Services) -> None:
    @task
    async def echo() -> AsyncGenerator[Any, Any]:
        got: Any = None
        while True:
            try:
                got = yield got
            except KeyError as error:
                got = error

    values = echo()
    assert await anext(values) is None
    assert await values.asend(5) == 5
    error = KeyError("x")
    assert await values.athrow(error) is error
    await values.aclose()
    assert ends(services) == {"echo": "Completed: closed by its consumer after 3 values"}


@on_loop
async def test_the_consumer_is_not_in_the_run(services: Services) -> None:
    seen: list[tuple[str, list[str]]] = []

    @task
    async def child() -> None:
        await asyncio.sleep(0)
        owner = scope.get().owner.request.unit.name  # type: ignore[union-attr]
        seen.append((owner, sorted(task_run.tags)))

    @flow
    async def inner() -> AsyncIterator[int]:
        with tags("inner"):
            await child()
            yield 1
            async with asyncio.TaskGroup() as group:
                group.create_task(child())

    @flow
    async def outer() -> None:
        async for _ in inner():
            await child()

    await outer()
    assert seen == [("inner", ["inner"]), ("outer", []), ("inner", ["inner"])]


@on_loop
async def test_failure_timeout_and_retry(services: Services) -> None:
    calls = []

    @task(timeout_seconds=0.2, retries=1)
    async def slow(before: bool) -> AsyncIterator[int]:
        calls.append(before)
        if before and len(calls) == 1:
            raise ValueError("no")
        yield 1
        await asyncio.sleep(60)

    values = slow(before=True)
    assert await anext(values) == 1
    with pytest.raises(RunTimeout, match=r"timeout of 0.2 s"):
        await anext(values)
    assert calls == [True, True]


@on_loop
async def test_submitted_it_is_collected(services: Services) -> None:
    @flow
    async def f() -> list[list[int]]:
        return [await numbers.submit(2), *await asyncio.gather(*numbers.map([1, 2]))]

    assert await f() == [[0, 1], [0], [0, 1]]
    state = await numbers(2, return_state=True)
    assert state.result() == [0, 1]


def test_a_sync_flow_collects_an_async_one(services: Services) -> None:
    @flow
    def f() -> list[int]:
        return numbers.submit(3).result()

    assert f() == [0, 1, 2]


@on_loop
async def test_the_end_of_a_flow_closes_what_it_has_begun(services: Services) -> None:
    begun: list[AsyncIterator[int]] = []

    @flow
    async def f() -> None:
        begun.append(numbers(5))
        await anext(begun[0])

    await f()
    assert ends(services)["numbers"] == "Completed: closed by the end of its flow after 1 value"
    with pytest.raises(ClosedEarly):
        await anext(begun[0])


@pytest.mark.parametrize("how", ["timeout", "group"])
@on_loop
async def test_a_consumer_that_is_cancelled_cancels_the_step(services: Services, how: str) -> None:
    begun = asyncio.Event()

    @flow
    async def waits() -> AsyncIterator[int]:
        yield 1
        begun.set()
        await asyncio.Event().wait()

    async def consume() -> None:
        async for _ in waits():
            pass

    async def fail() -> None:
        await begun.wait()
        raise ValueError("no")

    if how == "timeout":
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await consume()
    else:
        with pytest.raises(ExceptionGroup):
            async with asyncio.TaskGroup() as group:
                group.create_task(consume())
                group.create_task(fail())
    assert ends(services) == {"waits": "Cancelled: its coroutine was cancelled"}


def test_one_left_behind_is_ended_with_the_loop(services: Services) -> None:
    @flow
    async def outer() -> AsyncIterator[int]:
        async for number in numbers(5):
            yield number

    async def main() -> None:
        async for _ in outer():
            break

    asyncio.run(main())
    found = ends(services)
    assert found.pop("outer") == "Completed: closed by its consumer after 1 value"
    assert found["numbers"].startswith("Completed: closed by")


NUMBERS = """
import asyncio, os, signal, sys
from flowstone import flow, task

@task
async def numbers():
    for number in range(10):
        yield number

@flow
async def deep():
    async for number in numbers():
        yield number
        print("inside", flush=True)
        await asyncio.sleep(60)
"""
SCRIPT = f"""{NUMBERS}
async def main():
    values = deep()
    await anext(values)
    if sys.argv[1] == "inside":
        await anext(values)
    print("suspended", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.parametrize("kind", ["suspended", "inside"])
@pytest.mark.parametrize("how", ["sigterm", "cancel"])
def test_it_is_ended_from_outside(tmp_path: Path, kind: str, how: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, kind],
        env={**os.environ, "FLOWSTONE_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == f"{kind}\n"
        store = open_sqlite(tmp_path / "flowstone.db")
        [run] = store.runs(RunQuery(listed=True))
        if how == "sigterm":
            child.send_signal(signal.SIGTERM)
        else:
            store.record(make_change_event(run, Cancelling("asked by a test"), run.attempt))
            while not store.run(run.id).state.is_final():
                threading.Event().wait(0.01)
            child.send_signal(signal.SIGINT)
        _, errors = child.communicate(timeout=300)
        found = {run.unit: told(run) for run in store.runs(RunQuery())}
        store.close()
    if how == "sigterm":
        assert child.returncode == -signal.SIGTERM, errors
        assert found["deep"] == "Crashed: the process received SIGTERM"
    else:
        assert found["deep"].startswith("Cancelled: ")
    assert found["numbers"] != "Running"


SIGTERM_BETWEEN_LINES = f"""{NUMBERS}
left = int(sys.argv[1])

def trace(frame, event, _):
    global left
    if event == "line" and "flowstone" in frame.f_code.co_filename:
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGTERM)
    return trace

async def main():
    values = deep()
    await anext(values)
    sys.settrace(trace)
    await anext(values)

asyncio.run(main())
"""


@pytest.mark.parametrize("line", [1, 8, 15, 22, 24])
def test_sigterm_between_two_lines_of_the_engine_ends_it(tmp_path: Path, line: int) -> None:
    """Whichever line of a step is interrupted, no run is left Running."""
    done = subprocess.run(
        [sys.executable, "-c", SIGTERM_BETWEEN_LINES, str(line)],
        env={**os.environ, "FLOWSTONE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    store = open_sqlite(tmp_path / "flowstone.db")
    found = {run.unit: told(run) for run in store.runs(RunQuery())}
    store.close()
    assert done.returncode == -signal.SIGTERM, done.stderr
    assert found["deep"] == "Crashed: the process received SIGTERM"
    assert found["numbers"] != "Running"
