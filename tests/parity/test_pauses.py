"""Flows that wait for a person, as people write them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.parity.conftest import runs

from flowstone import resume_flow_run
from flowstone.context import current
from flowstone.engine.clock import SystemClock
from flowstone.errors import InputInvalid, NotPaused

if TYPE_CHECKING:
    from tests.parity.conftest import HastyClock, Program

Apart = Callable[..., "Future[Any]"]


@pytest.fixture
def apart(clock: HastyClock) -> Iterator[Apart]:
    """Calls a flow on another thread, where time passes as it does."""
    with (
        current.use_services(replace(current.services(), clock=SystemClock())),
        ThreadPoolExecutor() as pool,
    ):
        yield lambda call, *args: pool.submit(copy_context().run, call, *args)


def _paused(unit: str, name: str = "Paused") -> str:
    """Return the id of a flow's run, once it waits."""
    pulse = threading.Event()
    for _ in range(3000):
        for run in runs(unit):
            if run.state.name == name:
                return run.id
        pulse.wait(0.01)
    raise AssertionError(runs(unit))


def test_a_flow_waits_until_it_is_resumed(program: Program, apart: Apart) -> None:
    made = program("""
        from prefect import flow, pause_flow_run, task

        @task
        def one(): return 1

        @flow
        def wait_for_me():
            first = one()
            pause_flow_run(timeout=60, poll_interval=0.05)
            return first + one()
    """)
    value = apart(made.wait_for_me)
    run_id = _paused("wait-for-me")
    resume_flow_run(run_id)
    assert value.result(30) == 2
    with pytest.raises(NotPaused):
        resume_flow_run(run_id)


def test_a_flow_asks_for_input(program: Program, apart: Apart) -> None:
    made = program("""
        from typing import Literal
        from prefect import flow, pause_flow_run, get_run_logger
        from prefect.input import RunInput

        class Person(RunInput):
            name: str
            age: int = 3
            mood: Literal["good", "bad"] = "good"

        @flow
        def greet():
            person = pause_flow_run(
                wait_for_input=Person.with_initial_data(
                    name="anonymous", description="Who are you?"
                ),
                poll_interval=0.05,
            )
            number = pause_flow_run(wait_for_input=int, poll_interval=0.05, key="number")
            return f"{person.name} is {person.age}, {person.mood}, {number + 1}"
    """)
    value = apart(made.greet)
    run_id = _paused("greet")
    with pytest.raises(InputInvalid, match="age"):
        resume_flow_run(run_id, run_input={"age": "old"})
    resume_flow_run(run_id, run_input={"name": "ann", "age": 30})
    run_id = _paused("greet")
    resume_flow_run(run_id, run_input=6)
    assert value.result(30) == "ann is 30, good, 7"


def test_nobody_came_in_time(program: Program, apart: Apart) -> None:
    made = program("""
        from prefect import flow, pause_flow_run

        @flow
        def impatient(): pause_flow_run(timeout=0.05, poll_interval=0.01)
    """)
    with pytest.raises(TimeoutError):
        apart(made.impatient).result(30)
    assert runs("impatient")[0].state.is_failed()


def test_async_flows_wait_too(program: Program, apart: Apart) -> None:
    made = program("""
        import asyncio
        from prefect import apause_flow_run, flow

        @flow
        async def ask():
            ticks = []

            async def tick():
                while True:
                    ticks.append(1)
                    await asyncio.sleep(0.01)

            ticking = asyncio.create_task(tick())
            name = await apause_flow_run(wait_for_input=str, poll_interval=0.05)
            ticking.cancel()
            return name, bool(ticks)

        def main(): return asyncio.run(ask())
    """)
    value = apart(made.main)
    resume_flow_run(_paused("ask"), run_input="ann")
    assert value.result(30) == ("ann", True)
