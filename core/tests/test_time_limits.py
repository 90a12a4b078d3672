"""A flow's time limit holds for what it has submitted, and for code that holds up an event loop."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from flowstone import Flow, Task, flow, task
from flowstone.context.current import Services
from flowstone.errors import RunTimeout
from flowstone.records.runs import RunQuery

pytestmark = pytest.mark.usefixtures("services")


def turning(started: threading.Event) -> Task[[], None]:
    @task
    def turn() -> None:
        started.set()
        while True:
            pass

    return turn


def sync_flow(work: Task[[], None], started: threading.Event, **options: Any) -> Flow[[], Any]:
    @flow(timeout_seconds=0.2, **options)
    def limited() -> None:
        work.submit()
        started.wait()
        time.sleep(60)

    return limited


def async_flow(work: Task[[], None], started: threading.Event, **options: Any) -> Flow[[], Any]:
    @flow(timeout_seconds=0.2, **options)
    async def limited() -> None:
        work.submit()
        started.wait()
        await asyncio.sleep(60)

    return limited


@pytest.mark.parametrize("make", [sync_flow, async_flow])
def test_what_a_flow_has_submitted_ends_with_its_time(
    services: Services, make: Callable[..., Flow[[], Any]]
) -> None:
    started = threading.Event()
    limited = make(turning(started), started)
    with pytest.raises(RunTimeout):
        call = limited()
        if asyncio.iscoroutine(call):
            asyncio.run(call)
    services.journal.flush()
    ends = {run.unit: (run.state.name, run.state.message) for run in services.runs.runs(RunQuery())}
    assert ends["turn"] == ("Cancelled", "its flow run exceeded its timeout")
    assert ends["limited"][0] == "TimedOut"


def test_the_timeout_of_a_task_lets_the_others_finish() -> None:
    ended = threading.Event()
    late = threading.Event()

    @task(timeout_seconds=0.05)
    def short() -> None:
        while True:
            pass

    @task
    def long() -> None:
        late.wait()
        ended.set()

    @flow(timeout_seconds=60)
    def both() -> None:
        long.submit()
        try:
            short.submit().result()
        finally:
            late.set()

    with pytest.raises(RunTimeout, match="short-0"):
        both()
    assert ended.is_set()


def test_async_code_that_holds_up_its_loop_is_late_and_says_so() -> None:
    @flow(timeout_seconds=0.02)
    async def blocking() -> str:
        threading.Event().wait(0.1)
        return "late"

    state = asyncio.run(blocking(return_state=True))
    assert state.name == "TimedOut"
    assert "It blocked its event loop; it ended after" in (state.message or "")


def test_an_error_that_is_taken_back_leaves_nothing_to_look_for() -> None:
    """Python 3.11 looks for ever for what a thread is to raise, where a profiler is at work."""
    code = """
import resource, sys, threading
from flowstone.engine.thread_errors import raise_in_thread, cancel_error_in_thread

over = threading.Event()
thread = threading.Thread(target=over.wait)
thread.start()
raise_in_thread(thread.ident, KeyboardInterrupt)
cancel_error_in_thread(thread.ident)
resource.setrlimit(resource.RLIMIT_CPU, (30, 30))
sys.setprofile(lambda *_: None)
sorted([2, 1], key=lambda number: number)
sys.setprofile(None)
over.set()
thread.join()
print("ended")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "ended\n", done.stderr
