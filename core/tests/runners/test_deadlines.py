"""Code knows how long it may still take, wherever its task runs."""

from __future__ import annotations

import asyncio

import pytest

from flowstone import flow, task
from flowstone.context.current import Services
from flowstone.context.deadlines import seconds_left
from flowstone.task_runners import ProcessPoolTaskRunner, ThreadPoolTaskRunner


@task
def ask() -> float | None:
    return seconds_left()


@task(timeout_seconds=50)
def ask_shorter() -> float | None:
    return seconds_left()


@pytest.mark.parametrize("runner", [ThreadPoolTaskRunner, ProcessPoolTaskRunner])
def test_submitted_tasks_know_the_first_timeout(services: Services, runner: type) -> None:
    @flow(timeout_seconds=100, task_runner=runner(max_workers=1))
    def limited() -> list[float | None]:
        return [ask.submit().result(), ask_shorter.submit().result()]

    @flow(task_runner=runner(max_workers=1))
    def unlimited() -> list[float | None]:
        return [ask.submit().result(), ask_shorter.submit().result()]

    of_flow, of_task = limited()
    assert of_flow is not None
    assert of_task is not None
    assert 0 < of_task <= 50 < of_flow <= 100
    nothing, of_task = unlimited()
    assert nothing is None
    assert of_task is not None
    assert 0 < of_task <= 50


def test_coroutines_know_the_first_timeout(services: Services) -> None:
    @task(timeout_seconds=50)
    async def ask_later() -> float | None:
        await asyncio.sleep(0)
        return await asyncio.to_thread(seconds_left)

    @flow(timeout_seconds=100)
    async def limited() -> tuple[float | None, float | None]:
        return await ask_later(), seconds_left()

    of_task, of_flow = asyncio.run(limited())
    assert of_task is not None
    assert of_flow is not None
    assert 0 < of_task <= 50 < of_flow <= 100
