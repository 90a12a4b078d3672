"""A request to cancel, written by another process, ends a run within two seconds."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flowstone import flow, task
from flowstone.ambient import Services
from flowstone.errors import CancelSignal
from flowstone.events import changed
from flowstone.runs import Run, RunQuery
from flowstone.states import Cancelling
from flowstone.stores.sqlite import open_sqlite

SCRIPT = """
import asyncio, sys, threading, time
from flowstone import flow, task

@task
def spin():
    end = time.time() + 60
    while time.time() < end:
        time.sleep(0.01)

@flow
def sleeps():
    print("up", flush=True)
    time.sleep(60)

@flow
def waits():
    future = spin.submit()
    print("up", flush=True)
    future.result()

@flow(retries=3, retry_delay_seconds=60)
def retries():
    print("up", flush=True)
    raise ValueError("again")

@flow
async def awaits():
    print("up", flush=True)
    await asyncio.sleep(60)

@flow
def stubborn():
    print("up", flush=True)
    while True:
        try:
            time.sleep(60)
        except Exception:
            pass

chosen = globals()[sys.argv[1]]
if sys.argv[1] == "awaits":
    asyncio.run(chosen())
else:
    chosen()
"""


@contextmanager
def running(home: Path, name: str) -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, name],
        env={**os.environ, "FLOWSTONE_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "up\n"
        yield child
    finally:
        child.kill()
        child.communicate()


@pytest.mark.parametrize("name", ["sleeps", "waits", "retries", "awaits", "stubborn"])
def test_a_run_of_another_process_is_cancelled(tmp_path: Path, name: str) -> None:
    with running(tmp_path, name) as child:
        store = open_sqlite(tmp_path / "flowstone.db")
        [run] = store.runs(RunQuery(listed=True))
        store.record(changed(run, Cancelling("asked by a test"), run.attempt))
        _, errors = child.communicate(timeout=30)
        assert child.returncode != 0
        ends = {found.unit: found.state.name for found in store.runs(RunQuery())}
        assert ends.pop(name) == "Cancelled", errors
        assert set(ends.values()) <= {"Cancelled"}
        [again] = store.runs(RunQuery(listed=True))
        assert again.state.message == (
            "its coroutine was cancelled" if name == "awaits" else "its flow run was cancelled"
        )
        store.close()


def cancel(services: Services) -> None:
    [run] = services.runs.runs(RunQuery(listed=True))
    services.runs.record(changed(run, Cancelling(), run.attempt))


def test_a_run_on_another_thread_is_cancelled(services: Services) -> None:
    ends: list[Run] = []

    @task
    def spin() -> None:
        while True:
            threading.Event().wait(0.01)

    @flow
    def f() -> None:
        cancel(services)
        spin()

    def drive() -> None:
        try:
            f()
        except BaseException:
            ends.extend(services.runs.runs(RunQuery()))

    thread = threading.Thread(target=drive)
    thread.start()
    thread.join(30)
    assert [run.state.name for run in ends] == ["Cancelled", "Cancelled"]


def test_a_request_that_comes_with_the_end_does_not_hide_the_end(services: Services) -> None:
    @flow
    def f() -> int:
        cancel(services)
        return 5

    with pytest.raises(CancelSignal):
        f()
    [run] = services.runs.runs(RunQuery())
    assert run.state.name == "Completed"


def test_facts_that_were_waiting_are_kept_under_the_request(services: Services) -> None:
    @task
    def quick() -> None: ...

    @flow
    async def f() -> None:
        quick()
        cancel(services)
        quick()
        services.journal.flush()
        await asyncio.sleep(60)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(f())
    assert [run.state.name for run in services.runs.runs(RunQuery())] == [
        "Cancelled", "Completed", "Completed",
    ]  # fmt: skip
