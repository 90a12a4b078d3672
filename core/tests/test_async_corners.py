"""Async and sync code in each other, and what asyncio cancels."""

from __future__ import annotations

import asyncio
import threading

import pytest

from flowstone import flow, task
from flowstone.context.current import Services
from flowstone.records.runs import RunQuery


def ends(services: Services) -> dict[str, str]:
    services.journal.flush()
    return {run.unit: run.state.name for run in services.runs.runs(RunQuery())}


@task
def sync_double(x: int) -> int:
    return 2 * x


@task
async def async_double(x: int) -> int:
    await asyncio.sleep(0)
    return 2 * x


def test_async_tasks_in_a_sync_flow(services: Services) -> None:
    @flow
    def f() -> list[int]:
        after = sync_double.submit(async_double.submit(1))
        return [async_double.submit(1).result(), after.result(), *async_double.map([3]).result()]

    assert f() == [2, 4, 6]


def test_sync_tasks_and_flows_in_an_async_flow(services: Services) -> None:
    @flow
    def inner(x: int) -> int:
        return sync_double(x)

    @flow
    async def deep(x: int) -> int:
        return await async_double(x)

    @flow
    async def f() -> list[int]:
        return [
            sync_double(1),
            await sync_double.submit(2),
            inner(3),
            await deep(4),
            *await asyncio.gather(deep(5), async_double(6), sync_double.submit(7)),
        ]

    assert asyncio.run(f()) == [2, 4, 6, 8, 10, 12, 14]
    assert set(ends(services).values()) == {"Completed"}


def test_a_sync_task_does_not_block_the_loop_where_it_is_submitted(services: Services) -> None:
    gate = threading.Event()

    @task
    def waits() -> bool:
        return gate.wait(300)

    @task
    async def opens() -> None:
        gate.set()

    @flow
    async def f() -> bool:
        future = waits.submit()
        await opens()
        return await future

    assert asyncio.run(f()) is True


def test_a_task_group_cancels_the_others(services: Services) -> None:
    begun = asyncio.Event()

    @task
    async def forever() -> None:
        begun.set()
        await asyncio.Event().wait()

    @flow
    async def waits() -> None:
        await forever()

    @task
    async def fails() -> None:
        await begun.wait()
        raise ValueError("no")

    @flow
    async def f() -> str:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(waits())
                group.create_task(fails())
        except* ValueError:
            pass
        return "went on"

    assert asyncio.run(f()) == "went on"
    assert ends(services) == {
        "f": "Completed",
        "waits": "Cancelled",
        "forever": "Cancelled",
        "fails": "Failed",
    }


def test_a_timeout_of_asyncio_cancels_what_it_waits_for(services: Services) -> None:
    @task
    async def forever() -> None:
        await asyncio.Event().wait()

    @flow
    async def f() -> None:
        async with asyncio.timeout(0.05):
            await forever()

    with pytest.raises(TimeoutError):
        asyncio.run(f())
    assert ends(services) == {"f": "Failed", "forever": "Cancelled"}


def test_a_task_that_is_cut_short_by_a_timeout_may_be_answered(services: Services) -> None:
    @task
    async def forever() -> None:
        await asyncio.Event().wait()

    @flow
    async def f() -> str:
        try:
            await asyncio.wait_for(forever(), 0.05)
        except TimeoutError:
            return "gave up"
        return "never"

    assert asyncio.run(f()) == "gave up"
    assert ends(services) == {"f": "Completed", "forever": "Cancelled"}


def test_a_flow_that_is_cancelled_ends_what_it_has_submitted(services: Services) -> None:
    begun = threading.Event()

    @task
    async def forever() -> None:
        begun.set()
        await asyncio.Event().wait()

    @flow
    async def f() -> None:
        await forever.submit()

    async def main() -> None:
        running = asyncio.create_task(f())
        await asyncio.to_thread(begun.wait, 20)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(main())
    assert ends(services) == {"f": "Cancelled", "forever": "Cancelled"}


class Shop:
    @flow
    async def close(self) -> None:
        """Close it."""


def test_the_warning_of_a_call_that_nobody_awaits_names_it(services: Services) -> None:
    @flow(name="greet-all")
    async def hello() -> None: ...

    with pytest.warns(RuntimeWarning, match="coroutine 'flow hello' was never awaited"):
        hello()  # type: ignore[unused-coroutine]
    with pytest.warns(RuntimeWarning, match="coroutine 'task async_double' was never awaited"):
        async_double(1)  # type: ignore[unused-coroutine]
    with pytest.warns(RuntimeWarning, match=r"coroutine 'flow Shop\.close' was never awaited"):
        Shop().close()  # type: ignore[unused-coroutine]
