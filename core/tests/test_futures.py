from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from flowstone import Future, flow, task
from flowstone.errors import CancelledRun, RunTimeout, SuspendedRun, SuspendSignal
from flowstone.futures import (
    as_completed,
    resolve_futures_to_results,
    resolve_futures_to_states,
    wait,
)
from flowstone.task_runners import ThreadPoolTaskRunner

pytestmark = pytest.mark.usefixtures("services")


@task
def double(x: int) -> int:
    return x * 2


@task
def passes(gate: threading.Event, x: int) -> int:
    assert gate.wait(300)
    return x


def test_as_completed_gives_what_ends_first_first() -> None:
    gates = [threading.Event() for _ in range(3)]

    @flow
    def f() -> list[int]:
        futures = passes.map(gates, range(3))
        gates[2].set()
        order = []
        for future in as_completed([*futures, futures[0]]):
            order.append(future.result())
            gates[future.result() - 1].set()
        return order

    assert f() == [2, 1, 0]


def test_as_completed_says_how_many_are_missing() -> None:
    gate = threading.Event()

    @flow
    def f() -> int:
        futures = [double.submit(1), passes.submit(gate, 1), passes.submit(gate, 2)]
        futures[0].wait()
        given = 0
        try:
            with pytest.raises(
                RunTimeout, match=r"waiting for 2 of 3 futures.*The runs continue\."
            ):
                for _ in as_completed(futures, timeout=0.01):
                    given += 1
        finally:
            gate.set()
        return given

    assert f() == 1


def test_as_completed_in_an_async_flow() -> None:
    gate, other = threading.Event(), threading.Event()

    @task
    async def opens(x: int) -> int:
        await asyncio.sleep(0)
        return x

    @flow
    async def f() -> list[int]:
        futures: list[Future[int]] = [passes.submit(gate, 1), opens.submit(2)]
        order = []
        async for future in as_completed(futures):
            gate.set()
            order.append(await future)
        late = passes.submit(other, 3)
        with pytest.raises(RunTimeout, match="waiting for 1 of 1"):
            async for _ in as_completed([late], timeout=0.01):
                pass
        other.set()
        return order

    assert asyncio.run(f()) == [2, 1]


def test_wait_tells_what_has_ended_and_what_has_not() -> None:
    gate = threading.Event()

    @flow
    def f() -> None:
        quick, slow = double.submit(1), passes.submit(gate, 1)
        quick.wait()
        done, not_done = wait([quick, slow], timeout=0.01)
        gate.set()
        assert (done, not_done) == ({quick}, {slow})
        assert wait([quick, slow]).not_done == set()

    f()


def test_a_future_has_the_members_that_people_know() -> None:
    @flow
    def f() -> None:
        future = double.submit(2)
        seen: list[Future[int]] = []
        future.wait(timeout=300)
        future.add_done_callback(seen.append)
        assert future.task_run_id == future.run_id
        assert future.state.is_completed()
        assert future.result(timeout=1, raise_on_failure=True) == 4
        assert seen == [future]

    f()


# ---------------------------------------------------------------- a full pool can't lock up


def test_a_task_that_waits_for_its_own_on_one_worker() -> None:
    @task
    def outer() -> list[int]:
        first = double.submit(1)
        after = double.submit(first, wait_for=[first])
        mapped = double.map([1, 2, 3])
        early = [future.result() for future in as_completed(mapped)]
        waited = wait(double.map([4, 5])).done
        return [after.result(), *sorted(early), *sorted(future.result() for future in waited)]

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
    def f() -> list[int]:
        return outer.submit().result(timeout=300)

    assert f() == [4, 2, 4, 6, 8, 10]


def test_a_worker_that_waits_for_what_is_queued_behind_it() -> None:
    @task
    def later(x: int) -> int:
        return x

    @task
    def sums(futures: list[Future[int]]) -> int:
        return sum(future.result() for future in as_completed(futures))

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
    def f() -> int:
        from flowstone import quote

        gate = threading.Event()
        passes.submit(gate, 0)
        many: list[Future[int]] = list(later.map(range(5)))
        total = sums.submit(quote(many))
        gate.set()
        return total.result(timeout=300)

    assert f() == 10


@pytest.mark.parametrize("depth", [1, 5])
def test_maps_in_maps_on_one_worker(depth: int) -> None:
    @task
    def nest(level: int) -> int:
        return 1 if not level else sum(nest.map([level - 1] * 2).result())

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
    def f() -> int:
        return nest.submit(depth).result(timeout=300)

    assert f() == 2**depth


def test_a_chain_is_as_long_as_one_likes() -> None:
    """Waiting for its end runs what has not started, which waits for more, and so on."""
    gate = threading.Event()

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
    def f() -> int:
        passes.submit(gate, 0)  # so that none of the others is run by a worker
        future = double.submit(0)
        for _ in range(1500):
            future = double.submit(future)
        try:
            return future.result()
        finally:
            gate.set()

    assert f() == 0


@pytest.mark.parametrize("workers", [1, None])
def test_tasks_that_wait_for_their_own_are_as_deep_as_one_likes(workers: int | None) -> None:
    @task
    def down(x: int) -> int:
        return 1 + down.submit(x - 1).result() if x else 0

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=workers))
    def f() -> int:
        return down.submit(500).result()

    assert f() == 500


@pytest.mark.parametrize(
    ("error", "told"), [(KeyboardInterrupt, KeyboardInterrupt), (SuspendSignal, SuspendedRun)]
)
def test_what_stops_a_thread_that_helps_is_not_the_task_s_alone(
    error: type[BaseException], told: type[BaseException]
) -> None:
    """It came into the task only because the flow's thread did its work while it waited."""
    is_free = threading.Event()
    late: list[str] = []

    @task
    def block() -> None:
        is_free.wait(300)

    @task
    def stopped() -> None:
        raise error

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
    def f() -> None:
        block.submit()
        try:
            stopped.submit().wait()
            late.append("it goes on")
        finally:
            is_free.set()

    with pytest.raises(told):
        f()
    assert late == []


def test_an_interrupt_that_comes_after_the_end_leaves_it_as_it_was_kept() -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    @flow
    def f() -> int:
        future = double.with_options(on_completion=[interrupt]).submit(4)
        return future.result()

    assert f() == 8


def test_a_nest_of_futures_is_resolved() -> None:
    @task
    def positive(x: int) -> int:
        if x < 0:
            raise ValueError("no")
        return 2 * x

    @flow
    def f() -> tuple[Any, Any, Any]:
        nest = {
            "a": [positive.submit(1), 5],
            "b": (positive.submit(2), {"c": {positive.submit(3)}}),
        }
        states = resolve_futures_to_states([positive.submit(-1), [positive.submit(1)]])
        with pytest.raises(ValueError, match="no"):
            resolve_futures_to_results([[positive.submit(-1)]])
        return resolve_futures_to_results(nest), states[0].name, states[1][0].result()

    assert f() == ({"a": [2, 5], "b": (4, {"c": {6}})}, "Failed", 2)
    assert resolve_futures_to_results("nothing to do") == "nothing to do"


def test_a_callback_that_raises_keeps_nobody_waiting(caplog: pytest.LogCaptureFixture) -> None:
    gate = threading.Event()
    seen: list[Any] = []

    def broken(future: Future[int]) -> None:
        raise OSError(future.name)

    @flow
    def f() -> int:
        future = passes.submit(gate, 1)
        future.add_done_callback(broken)
        future.add_done_callback(seen.append)
        gate.set()
        future.wait(300)
        future.add_done_callback(broken)
        return future.result(timeout=0)

    assert f() == 1
    assert len(seen) == 1
    assert [line.name for line in caplog.records].count("flowstone.futures") == 2


@pytest.mark.parametrize("at_once", [False, True])
def test_a_loop_that_was_closed_meanwhile_keeps_nobody_waiting(at_once: bool) -> None:
    gate = threading.Event()

    async def impatient(future: Future[int]) -> None:
        with pytest.raises(TimeoutError):
            if at_once:
                async for _ in as_completed([future], timeout=0.001):
                    pass
            else:
                await asyncio.wait_for(future.aresult(), 0.001)

    @flow
    def f() -> int:
        future = passes.submit(gate, 1)
        while future.state.name != "Running":
            future.wait(0.001)
        asyncio.run(impatient(future))
        gate.set()
        return future.result(timeout=300)

    assert f() == 1


def test_an_async_task_is_cancelled_while_it_runs() -> None:
    gate = threading.Event()

    @task
    async def endless() -> None:
        gate.set()
        await asyncio.Event().wait()

    @flow
    def f() -> str:
        future = endless.submit()
        assert gate.wait(300)
        assert future.cancel()
        future.wait(300)
        assert not future.cancel()
        with pytest.raises(CancelledRun, match="its coroutine was cancelled"):
            future.result()
        return future.state.name

    @flow
    async def g() -> str:
        future = endless.submit()
        await asyncio.to_thread(gate.wait, 20)
        assert future.cancel()
        with pytest.raises(CancelledRun):  # and not asyncio's, as if the flow were cancelled
            await future
        return future.state.name

    assert f() == "Cancelled"
    gate.clear()
    assert asyncio.run(g()) == "Cancelled"
