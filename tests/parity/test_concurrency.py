"""Limits: how many may do the same at once, as people write them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.parity.conftest import lines, runs, states

from flowstone.context import current
from flowstone.errors import ObjectNotFound, SlotTimeout
from flowstone.records.limits import KIND, Limit, encode_limit

if TYPE_CHECKING:
    from tests.parity.conftest import Program


def set_limit(name: str, slots: int, decay_per_second: float = 0.0) -> None:
    """Do as `flowstone limit set` does."""
    body = encode_limit(Limit(name, slots, slot_decay_per_second=decay_per_second))
    current.services().documents.put(KIND, name, body)


#: Counts who is inside at once.
CROWD = """
        import threading

        class Crowd:
            def __init__(self):
                self.now = self.most = 0
                self.lock = threading.Lock()

            def __enter__(self):
                with self.lock:
                    self.now += 1
                    self.most = max(self.most, self.now)

            def __exit__(self, *_):
                with self.lock:
                    self.now -= 1

        crowd = Crowd()
"""


def test_slots_of_a_block(program: Program) -> None:
    set_limit("database", 2)
    made = program(
        CROWD
        + """
        from prefect import flow, task
        from prefect.concurrency.sync import concurrency

        @task
        def insert(x):
            with concurrency("database", occupy=1):
                with crowd:
                    return x * 2

        @flow
        def f(): return insert.map(range(12)).result()

        values = f()
    """
    )
    assert made.values == [x * 2 for x in range(12)]
    assert made.crowd.most <= 2


def test_slots_of_several_limits(program: Program) -> None:
    for name in ("database", "network"):
        set_limit(name, 3)
    program("""
        from prefect.concurrency.sync import concurrency

        with concurrency(["database", "network"], occupy=3, timeout_seconds=10):
            try:
                with concurrency(names="network", timeout_seconds=0.05):
                    raise AssertionError
            except TimeoutError as error:
                late = error
        with concurrency("network", occupy=3, timeout_seconds=10, strict=True):
            pass
        assert "network" in str(late)
    """)


def test_async_slots(program: Program) -> None:
    set_limit("api", 1)
    made = program("""
        import asyncio
        from prefect import flow, task
        from prefect.concurrency.asyncio import concurrency, rate_limit

        inside = []

        @task
        async def call(x):
            async with concurrency("api", occupy=1):
                inside.append(1)
                await asyncio.sleep(0)
                assert sum(inside) == 1
                inside.append(-1)
            return x

        @flow
        async def f():
            await rate_limit("not-there")
            return await asyncio.gather(*(call(x) for x in range(5)))
    """)
    assert asyncio.run(made.f()) == [0, 1, 2, 3, 4]


def test_rates(program: Program) -> None:
    set_limit("calls", 2, decay_per_second=1000.0)
    program("""
        from prefect import flow
        from prefect.concurrency.sync import rate_limit

        @flow
        def f():
            for _ in range(10):
                rate_limit("calls")
            rate_limit(["calls"], occupy=2, timeout_seconds=10, strict=True)
            return "done"

        assert f() == "done"
    """)


def test_limits_that_are_not_there(program: Program) -> None:
    made = program("""
        from prefect import flow
        from prefect.concurrency.sync import concurrency

        @flow
        def f(strict):
            with concurrency("unheard-of", strict=strict):
                return "inside"

        value, state = f(False), f(True, return_state=True)
    """)
    assert made.value == "inside"
    assert isinstance(made.state.result(raise_on_failure=False), ObjectNotFound)
    assert any("unheard-of" in line for line in lines())  # it is said, and only that


def test_tags_are_limited(program: Program) -> None:
    set_limit("tag:warehouse", 1)
    made = program(
        CROWD
        + """
        from prefect import flow, tags, task

        @task(tags=["warehouse"])
        def query(x):
            with crowd:
                return x

        @task
        def other(x):
            with crowd:
                return x

        @flow
        def f():
            with tags("warehouse"):
                futures = other.map(range(4))
            return query.map(range(4)).result() + futures.result()

        values = f()
    """
    )
    assert made.values == [0, 1, 2, 3] * 2
    assert made.crowd.most == 1
    assert states("query") == ["Completed"] * 4


def test_a_limit_of_none_refuses(program: Program) -> None:
    set_limit("tag:closed", 0)
    made = program("""
        from prefect import task

        @task(tags=["closed"])
        def never(): raise AssertionError

        state = never(return_state=True)
    """)
    assert made.state.is_failed()
    assert "closed" in str(made.state.message)
    assert runs("never")[0].attempt <= 1


def test_a_timeout_is_a_timeout() -> None:
    assert issubclass(SlotTimeout, TimeoutError)
