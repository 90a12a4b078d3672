"""Flows that wait for people, and that send things to each other, as people write them."""

from __future__ import annotations

from threading import Thread
from time import sleep
from typing import TYPE_CHECKING, Any

import pytest

from flowstone import resume_flow_run
from flowstone.context import current
from flowstone.errors import NotPaused
from flowstone.records.runs import RunQuery

if TYPE_CHECKING:
    from tests.parity.conftest import Program


def resumed(call: Any, run_input: Any = None) -> Any:
    """Call a flow on a thread, resume it once it waits, and return what it returns."""
    ends: list[Any] = []
    thread = Thread(target=lambda: ends.append(call()))
    thread.start()
    while not ends:
        for run in current.services().runs.runs(RunQuery(states=("Paused",))):
            try:
                resume_flow_run(run.id, run_input)
            except NotPaused:
                continue
        sleep(0.01)
    thread.join()
    return ends[0]


def test_a_flow_asks_for_a_model(program: Program) -> None:
    made = program("""
        from prefect import flow
        from prefect.flow_runs import pause_flow_run
        from prefect.input import RunInput

        class UserInput(RunInput):
            name: str
            age: int

        @flow
        def greet_user():
            user_input = pause_flow_run(
                wait_for_input=UserInput.with_initial_data(name="anonymous"), poll_interval=0.05
            )
            return f"Hello, {user_input.name}! You are {user_input.age}."
    """)
    assert resumed(made.greet_user, {"age": 41}) == "Hello, anonymous! You are 41."


def test_a_flow_asks_for_a_text(program: Program) -> None:
    made = program("""
        from prefect import flow
        from prefect.flow_runs import pause_flow_run

        @flow
        def greet_user():
            return "Hello, " + pause_flow_run(wait_for_input=str, poll_interval=0.05)
    """)
    assert resumed(made.greet_user, {"value": "Ann"}) == "Hello, Ann"


def test_a_flow_waits_for_approval(program: Program) -> None:
    made = program("""
        from prefect import flow, pause_flow_run, task

        @task
        def marvin_setup():
            return "a raft of ducks walk into a bar..."

        @flow
        def inspiring_joke():
            setup = marvin_setup()
            pause_flow_run(timeout=600, poll_interval=0.05)
            return setup
    """)
    assert resumed(made.inspiring_joke).startswith("a raft of ducks")


def test_an_async_flow_waits(program: Program) -> None:
    made = program("""
        import asyncio
        from prefect import apause_flow_run, flow

        @flow
        async def waits():
            return await apause_flow_run(wait_for_input=int, poll_interval=0.05)

        def call():
            return asyncio.run(waits())
    """)
    assert resumed(made.call, {"value": 7}) == 7


def test_nobody_comes(program: Program) -> None:
    made = program("""
        from prefect import flow, pause_flow_run

        @flow
        def waits():
            pause_flow_run(timeout=0.05)
    """)
    with pytest.raises(TimeoutError):
        made.waits()


def test_a_flow_receives_inputs_while_it_runs(program: Program) -> None:
    made = program("""
        from prefect import flow
        from prefect.input import receive_input, send_input
        from prefect.runtime import flow_run

        @flow
        def greeter():
            for name in ("Ann", "Bob"):
                send_input(name, flow_run_id=flow_run.id)
            greetings = []
            for name_input in receive_input(str, timeout=0, poll_interval=0.1):
                greetings.append(f"Hello, {name_input}!")
            return greetings
    """)
    assert made.greeter() == ["Hello, Ann!", "Hello, Bob!"]
