"""Whether prints are logged: the nearest flow or task that says so decides, then the setting."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from flowstone import flow, task
from flowstone.context.current import Services, use_services
from flowstone.records.events import LogLine
from flowstone.task_runners import ProcessPoolTaskRunner, ThreadPoolTaskRunner

#: For functions that are in no decorator's reach.
make_flow: Any = flow


@pytest.fixture(params=[True, False], ids=["set", "unset"])
def prints(request: pytest.FixtureRequest, services: Services) -> Iterator[Services]:
    settings = replace(services.settings, log_prints=request.param)
    with use_services(replace(services, settings=settings)) as current:
        yield current


def logged(services: Services) -> set[str]:
    services.journal.flush()
    events = services.runs.events(kinds=["LogWritten"])
    lines = [event.payload for _, event in events if isinstance(event.payload, LogLine)]
    return {line.message for line in lines if line.logger == "flowstone.prints"}


@task
def step() -> None:
    print("by the task")


@task
async def astep() -> None:
    print("by the async task")


@task(log_prints=True)
def loud() -> None:
    print("by the loud task")


@flow
def child() -> None:
    print("by the child")
    step()


@flow
def many() -> Iterator[int]:
    print("by the flow that yields")
    yield 1


@flow
async def achild() -> None:
    print("by the async child")


def run_all() -> None:
    step()
    step.submit().wait()
    astep.submit().wait()
    child()
    list(many())
    asyncio.run(achild())
    print("by the flow")


ALL = {"by the task", "by the async task", "by the child", "by the flow", "by the async child"}
ALL |= {"by the flow that yields"}


@pytest.mark.parametrize("says", [True, False])
def test_what_a_flow_says_holds_for_all_in_it(prints: Services, says: bool) -> None:
    make_flow(run_all, log_prints=says)()
    assert logged(prints) == (ALL if says else set())


def test_where_nobody_says_the_setting_does(prints: Services) -> None:
    make_flow(run_all)()
    assert logged(prints) == (ALL if prints.settings.log_prints else set())


def test_the_nearest_says(prints: Services) -> None:
    @flow(log_prints=False)
    def quiet() -> None:
        loud()
        child.with_options(log_prints=True)()

    quiet()
    assert logged(prints) == {"by the loud task", "by the child", "by the task"}


@pytest.mark.slow
@pytest.mark.parametrize("says", [True, False])
@pytest.mark.parametrize("runner", [ThreadPoolTaskRunner(1), ProcessPoolTaskRunner(1)])
def test_it_holds_in_every_runner(prints: Services, says: bool, runner: Any) -> None:
    @flow(log_prints=says, task_runner=runner)
    def f() -> None:
        step.submit().wait()

    f()
    assert logged(prints) == ({"by the task"} if says else set())


@pytest.mark.parametrize("says", [True, False])
def test_captured_output_follows(services: Services, says: bool) -> None:
    settings = replace(services.settings, capture_stdout=True, log_prints=True)
    with use_services(replace(services, settings=settings)) as current:
        make_flow(lambda: step(), log_prints=says)()
    current.journal.flush()
    assert len(current.runs.events(kinds=["LogWritten"])) == (3 if says else 2)  # its begin and end
