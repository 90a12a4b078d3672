"""Futures and task runners, as people use them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.parity.conftest import lines, runs, states

from flowstone.errors import ConfigurationError, RunTimeout

if TYPE_CHECKING:
    from tests.parity.conftest import Program


def test_members_of_a_future(program: Program) -> None:
    made = program("""
        from prefect import flow, task

        seen = []

        @task
        def double(x): return 2 * x

        @task
        def bad(): raise ValueError("no")

        @flow
        def f():
            future = double.submit(4)
            future.add_done_callback(lambda done: seen.append(done.task_run_id))
            future.wait(timeout=300)
            assert future.state.is_completed()
            assert future.result(timeout=300) == 8
            assert seen == [future.task_run_id]
            failed = bad.submit()
            error = failed.result(raise_on_failure=False)
            assert isinstance(error, ValueError)
            try:
                failed.result()
            except ValueError as raised:
                assert raised is error
            return "done"

        value = f()
    """)
    assert made.value == "done"
    assert made.seen == [runs("double")[0].id]


def test_waiting_for_too_long(program: Program) -> None:
    made = program("""
        import threading
        from prefect import flow, task

        gate = threading.Event()

        @task
        def stuck(): gate.wait(300)

        @flow
        def f():
            future = stuck.submit()
            future.wait(timeout=0.01)
            early = future.state.is_final()
            try:
                future.result(timeout=0.01)
            except TimeoutError as error:
                late = error
            gate.set()
            return early, late

        early, late = f()
    """)
    assert made.early is False
    assert isinstance(made.late, RunTimeout)


def test_the_list_of_a_map(program: Program) -> None:
    made = program("""
        from prefect import flow, task

        @task
        def check(x):
            if x == 2:
                raise ValueError("two")
            return x

        @flow
        def f():
            futures = check.map([1, 2, 3])
            futures.wait(timeout=300)
            return [type(x).__name__ for x in futures.result(timeout=300, raise_on_failure=False)]

        @flow
        def g(): return check.map([1, 2]).result()

        kinds, state = f(), g(return_state=True)
    """)
    assert made.kinds == ["int", "ValueError", "int"]
    assert made.state.message == "ValueError: two"


def test_wait_and_as_completed(program: Program) -> None:
    made = program("""
        import threading
        from prefect import flow, task
        from prefect.futures import as_completed, wait

        gate = threading.Event()

        @task
        def quick(): return "quick"

        @task
        def slow():
            gate.wait(300)
            return "slow"

        @flow
        def f():
            futures = [slow.submit(), quick.submit()]
            quick_one = next(iter(as_completed(futures, timeout=300)))
            done, not_done = wait(futures, timeout=0.01)
            late = False
            try:
                list(as_completed(futures, timeout=0.01))
            except TimeoutError:
                late = True
            counts = len(done), len(not_done), late
            gate.set()
            rest = sorted(future.result() for future in as_completed(futures))
            everything = wait(futures)
            return quick_one.result(), counts, rest, len(everything.done)

        @flow
        async def g():
            gate.clear()
            futures = [slow.submit(), quick.submit()]
            names = []
            async for future in as_completed(futures):
                names.append(await future)
                gate.set()
            return names
    """)
    assert made.f() == ("quick", (1, 1, True), ["quick", "slow"], 2)
    assert asyncio.run(made.g()) == ["quick", "slow"]


def test_futures_inside_values_are_resolved(program: Program) -> None:
    program("""
        from prefect import flow, task
        from prefect.futures import resolve_futures_to_results, resolve_futures_to_states

        @task
        def one(x): return x

        @task
        def bad(): raise ValueError("no")

        @flow
        def f():
            nested = {"a": one.submit(1), "b": [one.submit(2), "text"]}
            assert resolve_futures_to_results(nested) == {"a": 1, "b": [2, "text"]}
            states = resolve_futures_to_states([one.submit(3), bad.submit()])
            assert [state.name for state in states] == ["Completed", "Failed"]
            try:
                resolve_futures_to_results([bad.submit()])
            except ValueError:
                return "ok"

        assert f() == "ok"
    """)


def test_futures_go_through_flows_and_tasks(program: Program) -> None:
    program("""
        from prefect import flow, task

        @task
        def make(x): return x

        @task
        def join(parts: dict): return sorted(parts.items())

        @flow
        def child(x: int, more: list[int]): return x + sum(more)

        @flow
        def parent():
            a, b = make.submit(1), make.submit(2)
            assert join({"a": a, "b": b}) == [("a", 1), ("b", 2)]
            return child(a, [a, b])

        assert parent() == 4
    """)


def test_submitting_outside_a_flow(program: Program) -> None:
    program("""
        from prefect import task

        @task
        def double(x): return 2 * x

        assert double.submit(1).result() == 2
        assert double.map([1, 2, 3]).result() == [2, 4, 6]
    """)
    assert states("double") == ["Completed"] * 4


# ---------------------------------------------------------------- task runners


def test_threads_run_together(program: Program) -> None:
    program("""
        import threading
        from prefect import flow, task
        from prefect.task_runners import ThreadPoolTaskRunner

        together = threading.Barrier(4, timeout=300)

        @task
        def meet(n):
            together.wait()
            return n

        @flow(task_runner=ThreadPoolTaskRunner(max_workers=4))
        def f(): return meet.map(range(4)).result()

        assert f() == [0, 1, 2, 3]
    """)


def test_a_full_pool_whose_tasks_submit_tasks_does_not_lock_up(program: Program) -> None:
    """Better on purpose: elsewhere this stands still after a warning."""
    program("""
        from prefect import flow, task
        from prefect.task_runners import ThreadPoolTaskRunner

        @task
        def leaf(x): return x

        @task
        def branch(x): return sum(future.result() for future in leaf.map(range(x)))

        @flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
        def f(): return branch.map([2, 3, 4]).result()

        assert f() == [1, 3, 6]
    """)


def test_processes(program: Program) -> None:
    made = program("""
        import os
        from prefect import flow, get_run_logger, task
        from prefect.runtime import flow_run
        from prefect.task_runners import ProcessPoolTaskRunner

        offset = 100

        def prepare(word): os.environ["PREPARED"] = word

        @task(log_prints=True)
        def crunch(x):
            print("crunching", x)
            get_run_logger().info("in %s", flow_run.name)
            return x + offset, os.getpid(), os.environ["PREPARED"]

        @task(retries=1)
        def flaky(path):
            if not os.path.exists(path):
                open(path, "w").close()
                raise ConnectionError("once")
            return "ok"

        runner = ProcessPoolTaskRunner(max_workers=2, initializer=prepare, initargs=("yes",))

        @flow(task_runner=runner, flow_run_name="crunched")
        def f(path):
            return crunch.map([1, 2]).result(), flaky.submit(path).result()

        (first, second), told = f("mark")
        here = os.getpid()
    """)
    assert (made.first[0], made.second[0], made.told) == (101, 102, "ok")
    assert made.here not in {made.first[1], made.second[1]}
    assert made.first[2] == "yes"
    assert sorted(lines()) == ["crunching 1", "crunching 2", "in crunched", "in crunched"]
    assert [run.attempt for run in runs("flaky")] == [2]


@pytest.mark.parametrize("name", ["ThreadPoolTaskRunner", "ProcessPoolTaskRunner"])
def test_a_pool_needs_room(program: Program, name: str) -> None:
    with pytest.raises(ConfigurationError, match="max_workers=0"):
        program(f"""
            from prefect.task_runners import {name}

            {name}(max_workers=0)
        """)


def test_async_and_sync_tasks_in_one_flow(program: Program) -> None:
    made = program("""
        import asyncio
        from prefect import flow, task

        @task
        def load(x): return x

        @task
        async def fetch(x):
            await asyncio.sleep(0)
            return x * 10

        @flow
        def sync_flow():
            return [load.submit(1).result(), fetch.submit(2).result()]

        @flow
        async def async_flow():
            future = load.submit(3)
            return [await fetch(1), load(2), await future, future.result()]
    """)
    assert made.sync_flow() == [1, 20]
    assert asyncio.run(made.async_flow()) == [10, 2, 3, 3]
