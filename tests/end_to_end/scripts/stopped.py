"""Flows that go on until somebody stops them; the argument says what they are doing then."""

from __future__ import annotations

import asyncio
import sys
import time

from flowstone import flow, task
from flowstone.task_runners import ThreadPoolTaskRunner

AGES = 600


def ready() -> None:
    print("ready", flush=True)


def ready_when_idle() -> None:
    """Say so from the event loop, when each coroutine waits."""
    asyncio.get_running_loop().call_later(0.02, ready)


def snooze() -> None:
    """Wait for long, in steps between which Python code runs."""
    while True:
        time.sleep(0.01)


@task
def quick() -> int:
    return 1


@task
def late() -> None:
    raise AssertionError("it was told to stop before this")


@task
def busy() -> None:
    ready()
    snooze()


@task
def patient() -> None:
    snooze()


@task
def deaf(silent: bool = False) -> None:
    """Block in a call that nothing can interrupt in a worker thread."""
    if not silent:
        ready()
    time.sleep(AGES)


@task(retries=1, retry_delay_seconds=AGES)
def failing() -> None:
    raise OSError("not yet")


@task
async def abusy() -> None:
    ready_when_idle()
    await asyncio.sleep(AGES)


@flow(name="stopped")
def in_flow() -> None:
    quick()
    ready()
    time.sleep(AGES)


@flow(name="stopped")
def in_task() -> None:
    quick()
    busy()


@flow(name="stopped")
def in_retry() -> None:
    quick()
    failing()


@flow(name="inner")
def inner() -> None:
    busy()


@flow(name="stopped")
def in_subflow() -> None:
    quick()
    inner()


@flow(name="stopped")
def in_wait() -> None:
    """Wait for tasks of which some run, some wait for others, and some have not begun."""
    quick()
    futures = [patient.submit() for _ in range(4)]
    quick.submit(wait_for=futures)
    last = busy.submit()
    last.wait(AGES)


@flow(name="stopped")
def in_deaf_wait() -> None:
    quick()
    deaf.submit().wait(AGES)


@flow(name="stopped", task_runner=ThreadPoolTaskRunner(max_workers=1))
def in_queue() -> None:
    """Like the one before, with a task that has not begun when the flow is told to stop."""
    quick()
    first = deaf.submit(silent=True)
    second = late.submit(wait_for=[first])
    ready()
    second.wait(AGES)


@flow(name="stopped")
async def in_async() -> None:
    quick()
    ready_when_idle()
    await asyncio.sleep(AGES)


@flow(name="stopped")
async def in_async_step() -> None:
    """Block the event loop."""
    quick()
    ready()
    time.sleep(AGES)  # noqa: ASYNC251 - as people do by mistake


@flow(name="inner")
async def ainner() -> None:
    await abusy()


@flow(name="stopped")
async def in_async_subflow() -> None:
    quick()
    await ainner()


@flow(name="stopped")
async def in_async_deaf() -> None:
    quick()
    await deaf.submit()


@flow(name="stopped")
async def in_async_tasks() -> None:
    quick()
    first, second = abusy.submit(), patient.submit()
    await first
    await second


def main(scenario: str) -> None:
    run = globals()[scenario]
    if run.isasync:
        asyncio.run(run())
    else:
        run()


if __name__ == "__main__":
    main(sys.argv[1])
